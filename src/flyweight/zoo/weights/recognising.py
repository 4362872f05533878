"""Which layout a file of weights has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from flyweight.errors import WeightsError
from flyweight.zoo.weights import (
    alexnet,
    densenet,
    googlenet,
    inception_v3,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    shufflenet_v2,
    squeezenet,
    squeezenext,
    vgg,
)
from flyweight.zoo.weights.layout import Layout
from flyweight.zoo.weights.own import Saved, own_layout, own_layouts, saved_layout
from flyweight.zoo.weights.variants import family_of

LAYOUTS: tuple[Layout, ...] = (
    *shufflenet_v2.LAYOUTS,
    *mobilenet_v1.LAYOUTS,
    *mobilenet_v2.LAYOUTS,
    *resnet.LAYOUTS,
    *alexnet.LAYOUTS,
    *vgg.LAYOUTS,
    *googlenet.LAYOUTS,
    *inception_v3.LAYOUTS,
    *densenet.LAYOUTS,
    *squeezenet.LAYOUTS,
    *squeezenext.LAYOUTS,
)
"""Layouts of others."""

# The least share of a layout's names that a file has to hold: names that many networks use, such
# as "classifier.weight", don't make a layout.
_LEAST = 0.25

_LONGEST_NAME = 80


@dataclass(frozen=True)
class Recognised:
    """A file whose layout is known.

    Attributes:
        path: the file.
        layout: its layout.
        tensors: by the names that the layout's sources use.
        names: those names to the ones in the file, where they differ.
    """

    path: Path
    layout: Layout
    tensors: dict[str, Tensor]
    names: dict[str, str]

    def in_file(self, name: str) -> str:
        """A layout's name as the file has it, unless that is long beyond use."""
        original = self.names.get(name, name)
        return original if len(original) <= _LONGEST_NAME else name


def recognise(
    path: Path, tensors: dict[str, Tensor], saved: Saved | None, model: nn.Module
) -> Recognised:
    """Find the layout that has the most of its names in a file.

    Args:
        path: the file, for messages.
        tensors: what it holds.
        saved: what its metadata says, where it is ours.
        model: the network that the weights are for; its own layout comes first.

    Raises:
        WeightsError: names that fit no layout.
    """
    if saved:
        return Recognised(path, saved_layout(saved), tensors, {})
    family = family_of(model)
    own = own_layout(family, model.state_dict())
    ranked = [
        (_rank(layout, tensors, family), layout)
        for layout in _candidates(own, tensors)
        if layout.matches(tensors)
    ]
    (share, *_), layout = max(ranked, key=lambda candidate: candidate[0])
    if share < _LEAST:
        known = ", ".join(dict.fromkeys(["flyweight", *(layout.name for layout in LAYOUTS)]))
        raise WeightsError(
            f"{path}: {len(tensors)} tensors that fit no layout known here, such as"
            f" {few(tensors)}; known: {known}"
        )
    renamed = {layout.rename(key): key for key in tensors}
    return Recognised(path, layout, {new: tensors[old] for new, old in renamed.items()}, renamed)


def _candidates(own: Layout, tensors: Iterable[str]) -> Iterator[Layout]:
    yield own
    yield from LAYOUTS
    if any(key.startswith("stages.") for key in tensors):
        yield from own_layouts()


def _rank(layout: Layout, tensors: Iterable[str], family: str) -> tuple[float, bool, int]:
    """How well a layout fits: the share of its names that are among the tensors', above all.

    Families can have the same names, such as ResNet and ResNeXt: then the network's own comes
    first. A deep network's names can include all of a shallow one's: then the most names do.
    """
    present = {layout.rename(key) for key in tensors}
    names = {
        key
        for source in layout.sources(0.0).values()
        for key in source.keys
        if not key.endswith("num_batches_tracked")
    }
    found = len(names & present)
    return found / max(len(names), 1), layout.family == family, found


def few(keys: Iterable[str], count: int = 3) -> str:
    """Some of many names, and how many more there are."""
    keys = list(keys)
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(repr(key) for key in keys[:count]) + more
