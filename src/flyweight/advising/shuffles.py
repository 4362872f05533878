"""Operations that only put channels or positions elsewhere."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from flyweight.advising.reading import Reading, args_of, reads_of, value_of

aten = torch.ops.aten

_SAME = (aten.clone.default, aten.contiguous.default)
_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


@dataclass(frozen=True)
class Move:
    """Something that is only put elsewhere.

    Attributes:
        node: what comes out of it.
        source: what goes in.
        through: all its operations.
    """

    node: str
    source: str
    through: tuple[str, ...]


def _before(node: fx.Node, *targets: Any) -> fx.Node | None:
    """What a node reads, if the node is one of these operations."""
    known = node.op == "call_function" and node.target in targets
    return reads_of(node) if known else None


def shuffles(reading: Reading) -> list[Move]:
    """Channel shuffles: a view in groups, a transposition, a view back."""
    found = []
    for node in reading.graph.graph.nodes:
        if node.op == "call_function" and node.target in (
            aten.channel_shuffle.default, aten.native_channel_shuffle.default,
        ):  # fmt: skip
            found.append(Move(node.name, args_of(node)[0].name, (node.name,)))
            continue
        turned = _before(node, aten.view.default, aten._unsafe_view.default, aten.reshape.default)
        if turned is None:
            continue
        through = [node.name]
        while (copied := _before(turned, *_SAME)) is not None:
            through.append(turned.name)
            turned = copied
        grouped = _before(turned, aten.transpose.int, aten.permute.default)
        if grouped is None:
            continue
        source = _before(grouped, aten.view.default, aten.reshape.default)
        if source is None or value_of(grouped).dim() != value_of(source).dim() + 1:
            continue
        if value_of(source).shape == value_of(node).shape and _swaps_channels(turned):
            found.append(Move(node.name, source.name, (*through, turned.name, grouped.name)))
    return found


def _swaps_channels(node: fx.Node) -> bool:
    if node.target is aten.transpose.int:
        return sorted(int(dim) for dim in args_of(node)[1:3]) == [1, 2]
    return list(args_of(node)[1])[:3] == [0, 2, 1]


def layout_changes(reading: Reading) -> list[fx.Node]:
    """Permutations between (batch, channels, height, width) and channels last."""
    return [
        node
        for node in reading.graph.graph.nodes
        if node.op == "call_function"
        and node.target is aten.permute.default
        and list(args_of(node)[1]) in (_TO_LAST, _TO_FIRST)
    ]
