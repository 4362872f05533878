"""Channels in the order in which they lie, and put side by side where a reader needs that."""

from dataclasses import replace

import numpy as np
import torch

from flyweight.graph.program import Operand, Value
from flyweight.native.abreast import lay_abreast
from flyweight.native.draft import Draft
from flyweight.native.nodes import (
    AnyNode,
    Convolution,
    Elementwise,
    Gather,
    Neighbours,
    Softmax,
    area,
    in_runs,
    pieces,
)
from flyweight.native.sorting import sort_channels


def arrange(draft: Draft, lanes: int, image_planes: bool) -> None:
    """Make every operand readable by its node.

    Dense convolutions read channels through a table, wherever they are. All others read whole
    vectors: they work in the order in which channels lie, so that shuffles before them move behind
    them; only what then still lies scattered is gathered. Narrow groups are laid abreast.

    Args:
        draft: it is changed.
        lanes: floats in a vector.
        image_planes: whether the channels of the images lie apart, in planes.
    """
    _turn(draft)
    for node in draft.nodes:
        if isinstance(node, Convolution) and not node.depthwise:
            if node.groups > 1:
                lay_abreast(draft, node, lanes)
        elif not isinstance(node, (Gather, *_IN_ORDER)):
            sort_channels(draft, node)
    _gather(draft, lanes, image_planes)


_IN_ORDER = (Softmax, Neighbours)
"""What works on all channels of a pixel together, side by side and in their order."""


def _turn(draft: Draft) -> None:
    """Copy values whose one axis lies along rows for readers that think it is a column, or back.

    (batch, channels, positions) lies as one row; with a further dimension of 1 it is a column.
    """
    turned: list[AnyNode] = []
    known: dict[tuple[int, tuple[int, int]], Value] = {}

    def read(operand: Operand) -> Operand:
        new = draft.values.numbers()
        for value in draft.values.sources(operand.ids):
            wanted = area(operand.space)
            if area(value.space) == wanted:
                continue
            key = (value.first, wanted)
            if key not in known:
                known[key] = draft.values.new_value(value.channels, wanted, value.dtype)
                turned.append(Gather(Operand(value.ids, value.space), known[key], ""))
            new[value.ids] = known[key].ids
        return Operand(new[operand.ids], operand.space)

    for node in draft.nodes:
        node.change_operands(read)
        turned.append(node)
    draft.nodes = turned


LONG_RUN = 4
"""Channels from which on, in the mean, a vector for each run is faster than one by one."""


def _reads_through_table(node: AnyNode) -> bool:
    return isinstance(node, Gather) or (isinstance(node, Convolution) and not node.depthwise)


def _gather(draft: Draft, lanes: int, image_planes: bool) -> None:
    known: dict[bytes, Operand] = {}
    arranged: list[AnyNode] = []
    apart = draft.input.ids if image_planes else np.array([], dtype=np.int64)

    def gathered(operand: Operand, where: str) -> Operand:
        key = operand.ids.tobytes()
        if key not in known:
            out = draft.values.new_value(len(operand.ids), operand.space, torch.float32)
            lies_apart = np.isin(operand.ids, apart).any()
            by_runs = not lies_apart and in_runs(draft.values, operand.ids, LONG_RUN)
            arranged.append(Gather(operand, out, where, by_runs=by_runs))
            known[key] = Operand(out.ids, operand.space)
        return known[key]

    def readable(operand: Operand, whole: bool) -> bool:
        if np.isin(operand.ids, apart).any():
            return False
        runs = pieces(draft.values, operand.ids)
        if whole:
            return len(runs) == 1
        vectors = sum(-(-count // lanes) for _, count in runs)
        return vectors <= 1.25 * -(-len(operand.ids) // lanes) + 1

    for node in draft.nodes:
        if not _reads_through_table(node) and not readable(node.x, isinstance(node, _IN_ORDER)):
            node.x = gathered(node.x, node.where)
        if isinstance(node, Elementwise) and node.other and not readable(node.other, True):
            node.other = gathered(node.other, node.where)
        residual = node.finish.residual
        if residual is not None and not readable(residual, True):
            node.finish = replace(node.finish, residual=gathered(residual, node.where))
        arranged.append(node)
    draft.nodes = arranged
