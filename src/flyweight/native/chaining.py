"""Steps that are done together, a few rows at a time: what lies between them stays in the cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flyweight.graph.maps import Ids
from flyweight.native.draft import Draft
from flyweight.native.memory import rounded
from flyweight.native.nodes import AnyNode, Convolution, Pool, area
from flyweight.native.plan import Chain

LARGE = 64 * 1024
"""Floats of a feature map that is worth to be kept from slower memory."""

KEPT = 64 * 1024
"""Floats that may lie between the steps of a chain at a time: half of a usual second cache.

And a third of the maps themselves, since every thread has its own."""

WEIGHTS = 48 * 1024
"""Floats of a chain's weights, which are read again for all rows that are done at once."""


@dataclass(frozen=True)
class RowWindow:
    """Which rows of its input a row y of an output needs: `extent` from y * stride - padding on."""

    stride: int
    extent: int
    padding: int


def row_window(node: Convolution | Pool) -> RowWindow:
    """Which rows of its input a step needs."""
    kernel = node.weight.shape[2] if isinstance(node, Convolution) else node.kernel[0]
    extent = (kernel - 1) * node.dilation[0] + 1
    return RowWindow(node.stride[0], extent, node.padding[0])


def chains_of(draft: Draft, lanes: int) -> list[Chain]:
    """The chains of a network, in the order of its steps.

    Two steps may be done together where the second one alone reads what the first one puts out,
    and that is large. Of all ways to cut such steps into chains the one is taken that keeps most
    from slower memory.
    """
    reads = draft.times_read()
    nodes = draft.nodes
    # For the steps before each one: what is saved at best, and by which chains.
    best: list[tuple[float, tuple[Chain, ...]]] = [(0.0, ())] * (len(nodes) + 1)
    first_of_run = 0
    for end in range(1, len(nodes) + 1):
        best[end] = best[end - 1]
        if end == 1 or not _belong(nodes[end - 2], nodes[end - 1], reads, lanes):
            first_of_run = end - 1
        for first in range(end - 2, first_of_run - 1, -1):
            found = _chain(nodes[first:end], first, lanes)
            if found is None:
                break
            saved, chains = best[first][0] + found[0], best[first][1]
            if saved > best[end][0]:
                best[end] = (saved, (*chains, found[1]))
    return list(best[-1][1])


def _belong(one: AnyNode, other: AnyNode, reads: Ids, lanes: int) -> bool:
    """Whether two steps that follow each other may be done together, and should."""
    if not (_by_rows(one) and _by_rows(other)):
        return False
    height, width = area(one.out.space)
    alone = bool((reads[one.out.ids] == 1).all()) and np.array_equal(
        np.sort(other.x.ids), one.out.ids
    )
    return alone and height * width * rounded(one.out.channels, lanes) >= LARGE


def _by_rows(node: AnyNode) -> bool:
    if isinstance(node, Convolution):
        return len(node.out.space) == 2 and not node.winograd
    return isinstance(node, Pool) and not node.adaptive and len(node.out.space) == 2


def _chain(nodes: Sequence[AnyNode], first: int, lanes: int) -> tuple[float, Chain] | None:
    """A chain of as many rows at once as there is room for, and the floats that it saves.

    None where there isn't room for one row, or the weights are too many to be read again and again.
    """
    weights = sum(node.weight.numel() for node in nodes if isinstance(node, Convolution))
    if weights > WEIGHTS:
        return None
    windows = [row_window(node) for node in nodes if isinstance(node, Convolution | Pool)]
    areas = [area(node.out.space) for node in nodes]
    wide = [
        (width + 2) * rounded(node.out.channels, lanes)
        for (_, width), node in zip(areas[:-1], nodes[:-1], strict=True)
    ]
    height, whole = areas[-1][0], _floats([size for size, _ in areas[:-1]], wide)
    fitting, room = 0, min(KEPT, whole // 3)
    while fitting < height and _floats(_kept(windows, fitting + 1), wide) <= room:
        fitting += 1
    if not fitting:
        return None
    turns = -(-height // fitting)
    rows = -(-height // turns)
    kept = _kept(windows, rows)
    # Rows that are needed again next time are moved: a copy within the cache.
    again = [max(0, k - n) for k, n in zip(kept, _new(windows, rows), strict=True)]
    return whole - MOVING * turns * _floats(again, wide), Chain(first, rows, kept)


MOVING = 0.5
"""What moving a float within the cache costs, against one that goes to slower memory and back."""


def _floats(rows: Sequence[int], wide: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(rows, wide, strict=True))


def _kept(windows: Sequence[RowWindow], rows: int) -> tuple[int, ...]:
    """Rows of each value between the steps that are needed for `rows` rows of the last one's."""
    found = []
    for window in reversed(windows[1:]):
        rows = (rows - 1) * window.stride + window.extent
        found.append(rows)
    return tuple(reversed(found))


def _new(windows: Sequence[RowWindow], rows: int) -> tuple[int, ...]:
    """How many of them weren't there the time before."""
    found = []
    for window in reversed(windows[1:]):
        rows *= window.stride
        found.append(rows)
    return tuple(reversed(found))
