"""What the layers of a network put out, from its count: for tables of architectures."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from flyweight.counting import Cost, Operation, count_model
from flyweight.nn import Network, SqueezeExcite
from flyweight.zoo import create_model

SIDE = 224


@dataclass(frozen=True)
class Layer:
    """A layer, or a unit of several.

    Attributes:
        size: height and width of its output, in pixels.
        stride: input pixels per output pixel, along one side.
        channels: of its output.
    """

    size: int
    stride: int
    channels: int


@dataclass(frozen=True)
class Structure:
    """A network of the zoo without weights, and what it counts for an image of 224x224."""

    network: Network
    cost: Cost

    def operations(self, module: str) -> list[Operation]:
        """Those of a module and its parts."""
        return [
            one
            for one in self.cost.operations
            if one.module == module or one.module.startswith(f"{module}.")
        ]

    def layer(self, module: str) -> Layer:
        """What a module puts out."""
        run = self.operations(module)
        before, after = run[0].input, run[-1].output
        side = after[2] if len(after) == 4 else 1
        return Layer(side, (before[2] if len(before) == 4 else 1) // side, after[1])

    def units(self, stage: str) -> list[Layer]:
        """What the units of a stage put out, in order."""
        count = len(list(self.network.stages[stage].children()))
        return [self.layer(f"stages.{stage}.{index}") for index in range(count)]

    def convolutions(self, module: str) -> list[tuple[int, Layer]]:
        """Kernel size and output of a module's convolutions, but those of squeeze-and-excitation.

        Of branches beside each other, all are listed, in the order in which they run.
        """
        found = []
        for name, part in self.network.get_submodule(module).named_modules(prefix=module):
            owner = self.network.get_submodule(name.rpartition(".")[0])
            if isinstance(part, nn.Conv2d) and not isinstance(owner, SqueezeExcite):
                found.append((part.kernel_size[0], self.layer(name)))
        return found


@functools.cache
def structure(name: str) -> Structure:
    """The structure of a network of the zoo.

    Raises:
        UsageError: an unknown name.
    """
    with torch.device("meta"):
        network = create_model(name)
        return Structure(network, count_model(network, (1, 3, SIDE, SIDE)))


def times(size: int) -> str:
    """A side in pixels as the papers write squares: "56x56"."""
    return f"{size}x{size}"


def side(kernel: int | tuple[int, ...]) -> int:
    """One side of a square kernel."""
    return kernel if isinstance(kernel, int) else kernel[0]


def runs(layers: Sequence[Layer]) -> list[tuple[Layer, int]]:
    """Layers one after another that put out the same, with how many they are."""
    found: list[tuple[Layer, int]] = []
    for layer in layers:
        if found and found[-1][0] == layer:
            found[-1] = (layer, found[-1][1] + 1)
        else:
            found.append((layer, 1))
    return found
