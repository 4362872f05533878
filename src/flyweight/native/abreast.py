"""Narrow groups abreast: vectors whose lanes belong to several groups of a convolution.

Where a group has fewer outputs than a vector has lanes, the lanes of a vector of outputs are shared
by as many groups as it takes. An input vector then holds channels of the same groups, lane by lane:
with one channel of each it is multiplied as it is, with more of them once for each, after lanes of
the same group have changed places (lane l with lane l ^ i). All that depends on the order in which
channels lie: where the step that makes them can put them out in any order, it is asked for one
that needs no exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand, Values
from flyweight.native.draft import Draft
from flyweight.native.nodes import Abreast, AnyNode, Convolution, Elementwise, Pool, area, pieces
from flyweight.native.sorting import sort_channels, sorted_finish


@dataclass(frozen=True)
class Bundle:
    """Groups that share vectors.

    Attributes:
        groups: the group that each lane belongs to.
        vectors: (vectors, lanes): the inputs in the order in which they lie, by their number.
    """

    groups: tuple[int, ...]
    vectors: Ids

    @property
    def ranks(self) -> list[int]:
        """For each lane, how many before it belong to the same group."""
        return [self.groups[:lane].count(group) for lane, group in enumerate(self.groups)]


def bundles_of(node: Convolution, lanes: int) -> list[Bundle]:
    """The inputs of a convolution as vectors of channels that lie side by side, by their groups."""
    inputs = len(node.x.ids) // node.groups
    found: dict[tuple[int, ...], list[Ids]] = {}
    for vector in np.argsort(node.x.ids, kind="stable").reshape(-1, lanes):
        found.setdefault(tuple((vector // inputs).tolist()), []).append(vector)
    return [Bundle(groups, np.array(vectors)) for groups, vectors in found.items()]


def outputs_in_order(bundles: Sequence[Bundle], per_group: int, each: int) -> Ids:
    """The outputs of a convolution as they are put out; `each` of a group are in a vector."""
    return np.array(
        [
            group * per_group + first + rank
            for bundle in bundles
            for first in range(0, per_group, each)
            for group, rank in zip(bundle.groups, bundle.ranks, strict=True)
        ]
    )


def abreast_weights(node: Convolution, bundle: Bundle, outputs: Ids) -> NDArray[np.float32]:
    """What the inputs of a bundle are multiplied by.

    Args:
        node: a convolution that is laid abreast.
        bundle: some of its groups.
        outputs: their outputs, vector after vector.

    Returns:
        (input vectors x taps, exchanges, outputs).
    """
    assert node.abreast is not None
    lanes, each = len(bundle.groups), node.abreast.inputs
    weight = node.weight.detach().numpy().reshape(*node.weight.shape[:2], -1)
    partner = np.arange(lanes) ^ (np.arange(each) * node.abreast.step)[:, None]
    read = bundle.vectors[:, partner] % weight.shape[1]
    read = np.tile(read, len(outputs) // lanes)
    # (vectors, exchanges, outputs, taps)
    found: NDArray[np.float32] = weight[outputs[None, None], read]
    return found.transpose(0, 3, 1, 2).reshape(-1, each, len(outputs))


def lay_abreast(draft: Draft, node: Convolution, lanes: int) -> None:
    """Let the groups of a convolution share vectors, if they are narrow and their inputs allow it.

    Args:
        draft: changed where outputs are put out in another order.
        node: a convolution with groups that isn't depthwise.
        lanes: floats in a vector.
    """
    per_group = node.out.channels // node.groups
    if per_group >= NARROW * lanes or np.isin(node.x.ids, draft.input.ids).any():
        return
    path = _path(draft, node)
    if path and not _is_abreast(path[0]):
        _ask(draft, node, path, lanes)
    node.abreast = _found(draft.values, node, lanes)
    wanting = node.abreast is None and path and _is_abreast(path[0])
    if wanting and _wasted(path[0], lanes) < _wasted(node, lanes):
        # The groups before give way: that costs less than it saves here.
        _ask(draft, node, path, lanes)
        node.abreast = _found(draft.values, node, lanes)
    if node.abreast is not None:
        order = _order_abreast(node, lanes)
        node.finish = sorted_finish(node, order)
        new = draft.values.numbers()
        new[node.out.ids[order]] = node.out.ids
        draft.renumber(new)


NARROW = 2
"""Vectors of outputs from which on a group has vectors of its own."""


def _found(values: Values, node: Convolution, lanes: int) -> Abreast | None:
    """How many inputs of a group are in each vector, in which lanes, if it is the same for all."""
    ids = np.sort(node.x.ids)
    if (np.diff(ids) == 0).any() or any(count % lanes for _, count in pieces(values, ids)):
        return None
    bundles = bundles_of(node, lanes)
    inputs, outputs = len(ids) // node.groups, node.out.channels // node.groups
    each = bundles[0].groups.count(bundles[0].groups[0])
    same = [lane for lane, group in enumerate(bundles[0].groups) if group == bundles[0].groups[0]]
    step = same[1] if each > 1 else 1
    if each == lanes or outputs % each or same != [i * step for i in range(each)]:
        return None
    partners = np.arange(lanes)[:, None] ^ np.array(same)
    for bundle in bundles:
        groups = np.array(bundle.groups)
        alike = (groups[partners] == groups[:, None]).all()
        apart = len(np.unique(groups)) == lanes // each
        if not (alike and apart and len(bundle.vectors) * each == inputs):
            return None
    return Abreast(lanes // each, each, step)


def _is_abreast(node: AnyNode) -> bool:
    return isinstance(node, Convolution) and node.abreast is not None


def _wasted(node: AnyNode, lanes: int) -> float:
    """What a convolution has to do for lanes without an output, if each group has its own."""
    assert isinstance(node, Convolution)
    height, width = area(node.out.space)
    per_group = node.out.channels // node.groups
    empty = -(-per_group // lanes) * lanes / per_group - 1
    return node.weight.numel() * height * width * empty


def _ask(draft: Draft, node: Convolution, path: Sequence[AnyNode], lanes: int) -> None:
    """Let the maker of a convolution's inputs put one of each group side by side, if it can."""
    if node.groups % lanes:
        return
    ids = node.x.ids
    for step in path[:0:-1]:
        ids = step.x.ids[ids - step.out.first]
    maker = path[0]
    assert isinstance(maker, Convolution)
    places = ids - maker.out.first
    if maker.abreast:
        places = _order_abreast(maker, lanes)[places]
    reader = np.empty(len(ids), dtype=np.int64)
    reader[places] = np.arange(len(ids)) // (len(ids) // node.groups)
    order = _order(reader, maker, lanes)
    if order is None or not _one_of_each(reader[order].reshape(-1, lanes), node.groups):
        return
    if maker.abreast:
        _part(draft, maker, lanes)
    _put_out(draft, maker, order)
    for step in path[1:]:
        sort_channels(draft, step)


def _one_of_each(readers: Ids, groups: int) -> bool:
    """Whether no vector has two inputs of a group, and each group always the same lane."""
    rows = np.unique(readers, axis=0)
    return rows.size == groups and len(np.unique(rows)) == groups


def _path(draft: Draft, node: Convolution) -> list[AnyNode]:
    """The steps from a convolution whose order is free to a reader; none where there is none.

    What each of them puts out is read by the next one alone, all of it.
    """
    makers, reads = draft.makers(), draft.times_read()
    path: list[AnyNode] = []
    x = node.x
    while True:
        sources = draft.values.sources(x.ids)
        alone = len(sources) == 1 and len(x.ids) == sources[0].channels
        maker = makers.get(sources[0].first)
        if not alone or maker is None or (reads[x.ids] != 1).any():
            return []
        path.insert(0, maker)
        if maker.finish.residual is not None:
            return []
        if isinstance(maker, Convolution) and not maker.depthwise:
            return path
        if not isinstance(maker, Convolution | Pool | Elementwise) or len(maker.operands()) > 1:
            return []
        x = maker.x


def _order(reader: Ids, maker: Convolution, lanes: int) -> Ids | None:
    """The outputs of a convolution in vectors with one for each of `lanes` groups of the reader.

    Args:
        reader: the group that reads each output.
        maker: a convolution that may order its groups, and the outputs of a group.
        lanes: floats in a vector.
    """
    if maker.groups == 1:
        by_group = np.argsort(reader, kind="stable").reshape(-1, lanes, np.sum(reader == 0))
        return by_group.transpose(0, 2, 1).ravel()
    per_group = len(reader) // maker.groups
    outputs = np.arange(len(reader)).reshape(maker.groups, per_group)
    sorted_by_reader = np.take_along_axis(
        outputs, np.argsort(reader.reshape(outputs.shape), axis=1, kind="stable"), axis=1
    )
    if per_group % lanes == 0:
        return sorted_by_reader.reshape(maker.groups, lanes, -1).transpose(0, 2, 1).ravel()
    if lanes % per_group:
        return None
    alike: dict[bytes, list[Ids]] = {}
    for row in sorted_by_reader:
        alike.setdefault(reader[row].tobytes(), []).append(row)
    rows, together = list(alike.values()), lanes // per_group
    if len(rows) % together or len({len(row) for row in rows}) > 1:
        return None
    by_bundle = np.array(rows).reshape(-1, together, len(rows[0]), per_group)
    return by_bundle.transpose(0, 2, 1, 3).ravel()


def _part(draft: Draft, node: Convolution, lanes: int) -> None:
    """Give the groups of a convolution vectors of their own again."""
    order = _order_abreast(node, lanes)
    node.abreast, node.finish = None, sorted_finish(node, np.argsort(order))
    new = draft.values.numbers()
    new[node.out.ids] = node.out.ids[order]
    draft.renumber(new)


def _order_abreast(node: Convolution, lanes: int) -> Ids:
    """The outputs of a convolution as they lie, if they are laid abreast."""
    assert node.abreast is not None
    per_group = node.out.channels // node.groups
    return outputs_in_order(bundles_of(node, lanes), per_group, node.abreast.inputs)


def _put_out(draft: Draft, maker: Convolution, order: Ids) -> None:
    """Let a convolution put out its channels in another order; its groups stay whole."""
    by = torch.from_numpy(np.ascontiguousarray(order))
    per_group = len(order) // maker.groups
    groups = order[::per_group] // per_group
    ids = maker.x.ids.reshape(maker.groups, -1)[groups].ravel()
    maker.x = Operand(ids, maker.x.space)
    maker.weight = maker.weight[by]
    maker.bias = None if maker.bias is None else maker.bias[by]
    maker.finish = sorted_finish(maker, order)
    new = draft.values.numbers()
    new[maker.out.ids[order]] = maker.out.ids
    draft.renumber(new)
