"""In which order every value's channels lie in memory, so that readers need few pieces of it.

A dense convolution may put out its channels in any order, and what works on channels alone keeps
the order that it reads. So each dense convolution is asked what its readers will want, through all
that keeps the order: whoever takes some of its channels gets them side by side.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from flyweight.graph.maps import ChannelMap, Ids
from flyweight.graph.program import (
    Affine,
    Channelwise,
    Conv,
    Linear,
    Opaque,
    Program,
    Step,
    Value,
    reads,
)


@dataclass(frozen=True)
class Orders:
    """Where channels lie.

    Attributes:
        of: for each value, by its first channel's number: which of its channels lies at each place.
        place: for each channel, its place within its value.
        owner: for each channel, the number of its value's first channel.
    """

    of: dict[int, Ids]
    place: Ids
    owner: Ids

    def sorted(self, ids: Ids) -> Ids:
        """Positions in `ids` such that the channels come as they lie, value by value."""
        return np.lexsort((self.place[ids], self.owner[ids]))


def chosen_orders(program: Program) -> Orders:
    """An order for every value of a program."""
    channels = program.values.numbers()
    orders = Orders({}, np.zeros_like(channels), program.values.owners(channels))
    roots = _roots(program)
    demands = _demands(program, roots)
    _set(orders, program.input, np.arange(program.input.channels))
    for step in program.steps:
        if isinstance(step, Opaque):
            for out in step.outs:
                if isinstance(out, Value):
                    _set(orders, out, np.arange(out.channels))
        elif is_dense(step):
            _set(orders, step.out, _dense_order(step.out, demands, orders))
        elif isinstance(step, Conv) and not step.depthwise:
            _set(orders, step.out, np.arange(step.out.channels))
        else:
            _set(orders, step.out, _kept_order(step, demands, orders))
    return orders


def is_dense(step: Step) -> bool:
    """Whether a step may read, and put out, its channels in any order."""
    return isinstance(step, Linear) or (isinstance(step, Conv) and step.groups == 1)


def keeps_order(step: Step) -> bool:
    """Whether output channel k of a step depends on channel k of what it reads alone."""
    return isinstance(step, Affine | Channelwise) or (isinstance(step, Conv) and step.depthwise)


def leading(step: Step, owner: Ids) -> Ids:
    """Of a step that keeps the order, the operand whose order is kept.

    That is the most scattered one, and of those the one computed first: what comes later can be
    computed in its order.
    """
    channels = step_channels(step)
    full = [ids for ids in reads(step) if len(ids) == channels]
    if not full:  # one channel that is combined with a constant for each
        return np.repeat(reads(step)[0], channels)
    return min(full, key=lambda ids: (-len(np.unique(owner[ids])), int(owner[ids].min())))


def step_channels(step: Step) -> int:
    """How many channels a step with one output puts out."""
    assert not isinstance(step, Opaque)
    return step.out.channels


def _set(orders: Orders, value: Value, order: Ids) -> None:
    orders.of[value.first] = order
    orders.place[value.first + order] = np.arange(len(order))


def _roots(program: Program) -> Ids:
    """For each channel the dense output whose place it takes over; itself where it has none.

    A step that keeps the order of exactly one value's channels puts its own in the same places.
    """
    roots = program.values.numbers()
    owner = program.values.owners(roots)
    for step in program.steps:
        if not keeps_order(step):
            continue
        assert not isinstance(step, Opaque)
        leader = leading(step, owner)
        if is_whole(program, leader):
            roots[step.out.ids] = roots[leader]
    return roots


def is_whole(program: Program, ids: Ids) -> bool:
    """Whether these are all channels of one value, each once."""
    first = program.values.value_of(int(ids[0]))
    return len(ids) == first.channels and bool((np.sort(ids) == first.ids).all())


@dataclass(frozen=True)
class _Demands:
    """What readers want of each value, by its first channel; ids are those of roots.

    Attributes:
        exact: an order in which somebody reads all of it and can't choose another.
        some: which channels each reader takes that takes only some, in the order of steps.
        beside: channels that are combined with its own, pair by pair.
    """

    exact: dict[int, Ids]
    some: dict[int, list[Ids]]
    beside: dict[int, tuple[Ids, Ids]]


def _demands(program: Program, roots: Ids) -> _Demands:
    exact: dict[int, Ids] = {}
    some: dict[int, list[Ids]] = defaultdict(list)
    beside: dict[int, tuple[Ids, Ids]] = {}
    owner = program.values.owners(program.values.numbers())
    for step in program.steps:
        operands = reads(step)
        for ids in operands:
            rooted = roots[ids]
            owners = owner[rooted]
            for first in np.unique(owners):
                taken = rooted[owners == first]
                if len(np.unique(taken)) < program.values.value_of(int(first)).channels:
                    some[int(first)].append(taken)
                elif not is_dense(step) and not keeps_order(step) and is_whole(program, rooted):
                    exact.setdefault(int(first), rooted)
        if keeps_order(step):
            leader = leading(step, owner)
            for ids in operands:
                paired = ids is not leader and len(ids) == len(leader)
                if paired and is_whole(program, roots[ids]):
                    beside.setdefault(int(owner[roots[ids[0]]]), (roots[ids], leader))
    for leaf in program.outputs:
        if isinstance(leaf, ChannelMap):
            rooted = roots[leaf.ids.ravel()]
            if is_whole(program, rooted):
                exact.setdefault(int(owner[rooted[0]]), rooted)
    return _Demands(exact, some, beside)


def _kept_order(step: Step, demands: _Demands, orders: Orders) -> Ids:
    """As its channels lie; or as a reader wants them who can't choose, since they are moved anyway.

    (Where they lie whole in one value, that value was asked for the reader's order already.)
    """
    assert not isinstance(step, Opaque)
    first = step.out.first
    if first in demands.exact:
        return demands.exact[first] - first
    return orders.sorted(leading(step, orders.owner))


def _dense_order(value: Value, demands: _Demands, orders: Orders) -> Ids:
    first = value.first
    identity = np.arange(value.channels)
    if first in demands.exact:
        return demands.exact[first] - first
    if first in demands.beside:
        mine, others = demands.beside[first]
        if all(int(owner) in orders.of for owner in np.unique(orders.owner[others])):
            return mine[orders.sorted(others)] - first
    takers = demands.some.get(first, [])
    keys = [~np.isin(value.ids, taken) for taken in takers]
    # lexsort's last key counts most: the first reader's channels come first.
    return np.lexsort((identity, *keys[::-1])) if keys else identity
