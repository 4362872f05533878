"""Rows that are networks of the zoo, and the sizes of their maps."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from flyweight.nn import Network
from flyweight.studies.study import Case
from flyweight.studies.tables import Value
from flyweight.zoo import create_model


@functools.cache
def building(name: str) -> Callable[[], nn.Module]:
    """Makes a network of the zoo; the same object for the same name, so that it's counted once."""
    return partial(create_model, name)


def network(
    label: str, name: str, *published: Value, side: int | tuple[int, int] = 224, note: str = ""
) -> Case:
    """A row of a table.

    Args:
        label: as the table has it.
        name: one of `flyweight.list_models()`.
        published: one figure for each column of the series.
        side: of the square input, in pixels; or height and width.
        note: where the network isn't quite the table's, and why.
    """
    height, width = (side, side) if isinstance(side, int) else side
    return Case(label, building(name), (3, height, width), published, note)


def images_per_s(ms: float) -> float:
    """The speed that a printed time says, to four digits, as no paper prints more."""
    return float(f"{1000 / ms:.4g}")


@dataclass(frozen=True)
class Part:
    """A layer, pool or block of a network, one after another.

    Attributes:
        stage: of the network, which it belongs to.
        name: within the stage; "" where the stage is one part.
        module: itself.
        input: of one image: channels, height, width.
        output: likewise.
    """

    stage: str
    name: str
    module: nn.Module
    input: tuple[int, int, int]
    output: tuple[int, int, int]

    @property
    def path(self) -> str:
        """Of its module in the network."""
        return ".".join(filter(None, ("stages", self.stage, self.name)))


@functools.cache
def parts(name: str, side: int = 224) -> tuple[Part, ...]:
    """What a network of the zoo is made of, up to its last feature map.

    Args:
        name: of the network.
        side: of the square input, in pixels.
    """
    with torch.device("meta"):
        model = building(name)().eval()
    assert isinstance(model, Network)
    with torch.no_grad():
        return tuple(_walk(model, torch.empty(1, 3, side, side, device="meta")))


def _walk(model: Network, x: torch.Tensor) -> Iterator[Part]:
    for stage, module in model.stages.items():
        # A block is a module of its own class, or a pair of layers in a sequence.
        inner = module.named_children() if type(module) is nn.Sequential else [("", module)]
        for name, one in inner:
            y = one(x)
            yield Part(stage, name, one, _size(x), _size(y))
            x = y


def _size(x: torch.Tensor) -> tuple[int, int, int]:
    channels, height, width = x.shape[1:]
    return channels, height, width
