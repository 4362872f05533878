"""Padding, cutting and strided slices that become part of the convolutions that read them."""

import numpy as np

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand
from flyweight.native.draft import Draft
from flyweight.native.nodes import AnyNode, Convolution, Pick, Pool, area


def absorb_picks(draft: Draft) -> None:
    """Let convolutions read pixels from where they are, instead of from a copy.

    What a pool or an activation reads stays a copy, with several of them joined to one.
    """
    draft.nodes = [_as_pick(node) for node in draft.nodes]
    for node in draft.nodes:
        if isinstance(node, Pick):
            _join(draft, node)
        elif isinstance(node, Convolution):
            _absorb(draft, node)
    _drop_unread(draft)


def _as_pick(node: AnyNode) -> AnyNode:
    """A pool over windows of one pixel picks pixels."""
    single = isinstance(node, Pool) and node.kernel == (1, 1) and node.padding == (0, 0)
    if not isinstance(node, Pool) or not single or node.adaptive or node.counting == "FIXED":
        return node
    (height, width), (down, right) = area(node.out.space), node.stride
    return Pick(
        node.x, node.out, node.where, np.arange(height) * down, np.arange(width) * right,
        finish=node.finish,
    )  # fmt: skip


def _under(draft: Draft, x: Operand) -> tuple[Pick, Operand] | None:
    """What an operand's channels are picked from, where all are picked alike."""
    makers = draft.makers()
    found = [makers.get(value.first) for value in draft.values.sources(x.ids)]
    picks = [node for node in found if isinstance(node, Pick)]
    first = picks[0] if picks else None
    if first is None or not all(isinstance(node, Pick) and _alike(node, first) for node in found):
        return None
    new = draft.values.numbers()
    for pick in picks:
        new[pick.out.ids] = pick.x.ids
    return first, Operand(new[x.ids], first.x.space)


def _alike(one: Pick, other: Pick) -> bool:
    same = np.array_equal(one.rows, other.rows) and np.array_equal(one.columns, other.columns)
    return same and one.fill == other.fill and area(one.x.space) == area(other.x.space)


def _fills(pick: Pick) -> bool:
    return bool((pick.rows < 0).any() or (pick.columns < 0).any())


def _join(draft: Draft, node: Pick) -> None:
    """Let a pick of picked pixels pick them itself."""
    under = _under(draft, node.x)
    if under is None or area(node.x.space) != area(under[0].out.space):
        return
    first, x = under
    if _fills(node) and _fills(first) and node.fill != first.fill:
        return
    node.fill = node.fill if _fills(node) else first.fill
    node.rows = np.where(node.rows < 0, -1, first.rows[node.rows])
    node.columns = np.where(node.columns < 0, -1, first.columns[node.columns])
    node.x = x


def _absorb(draft: Draft, node: Convolution) -> None:
    under = _under(draft, node.x)
    if under is None or area(node.x.space) != area(under[0].out.space):
        return
    pick, x = under
    if _fills(pick) and pick.fill != 0:
        return
    steps, starts = [], []
    for axis, places in enumerate((pick.rows, pick.columns)):
        size, kernel = area(x.space)[axis], node.weight.shape[2 + axis]
        end = (area(node.out.space)[axis] - 1) * node.stride[axis] - node.padding[axis]
        end += (kernel - 1) * node.dilation[axis] + 1
        line = _line(places, size)
        if line is None:
            return
        start, step = line
        before, after = start - step, start + step * len(places)
        if (node.padding[axis] > 0 and before >= 0) or (end > len(places) and after < size):
            return  # the convolution's own padding would lie inside
        steps.append(step)
        starts.append(start)
    (down, right), (top, left) = steps, starts
    node.x = x
    node.stride = (node.stride[0] * down, node.stride[1] * right)
    node.dilation = (node.dilation[0] * down, node.dilation[1] * right)
    node.padding = (node.padding[0] * down - top, node.padding[1] * right - left)


def _line(places: Ids, size: int) -> tuple[int, int] | None:
    """(start, step) such that place i is start + step i where that is inside, and -1 elsewhere."""
    inside = np.flatnonzero(places >= 0)
    if not len(inside):
        return None
    first = int(inside[0])
    step = int(places[first + 1] - places[first]) if len(inside) > 1 else 1
    start = int(places[first]) - step * first
    expected = start + step * np.arange(len(places))
    expected[(expected < 0) | (expected >= size)] = -1
    return (start, step) if step > 0 and np.array_equal(expected, places) else None


def _drop_unread(draft: Draft) -> None:
    for node in [node for node in reversed(draft.nodes) if isinstance(node, Pick)]:
        if not draft.times_read()[node.out.ids].any():
            draft.nodes.remove(node)
