"""Activations and sums that become part of the step whose results they change."""

from dataclasses import replace

import numpy as np
import torch

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand
from flyweight.native.draft import Draft
from flyweight.native.nodes import AnyNode, Convolution, Elementwise, Finish, Pool, area


def fuse(draft: Draft) -> None:
    """Fuse what can be: activations first, then sums with the activations that follow them."""
    fuse_activations(draft)
    fuse_sums(draft)


def fuse_activations(draft: Draft) -> None:
    """Let what makes values apply the activation that alone reads them.

    The activation may read several values, whole, in any order of their channels.
    """
    made_by = draft.makers()
    for node in list(draft.nodes):
        if not isinstance(node, Elementwise) or node.operation != "COPY":
            continue
        ids = node.x.ids
        sources = draft.values.sources(ids)
        hosts = [made_by.get(value.first) for value in sources]
        whole = sum(value.channels for value in sources) == len(ids)
        if not whole or (draft.times_read()[ids] != 1).any():
            continue
        added = [None if host is None else _with_activation(host, node) for host in hosts]
        if any(finish is None for finish in added):
            continue
        for host, finish in zip(hosts, added, strict=True):
            assert host is not None
            assert finish is not None
            host.finish = finish
        _replace(draft, node, node.out.ids, ids)


def _with_activation(host: AnyNode, act: Elementwise) -> Finish | None:
    """The finish of a node that also applies an activation; None where it can't."""
    if not isinstance(host, Convolution | Pool | Elementwise):
        return None
    mine, new = host.finish, act.finish
    if mine.curve is not None or new.residual is not None:
        return None
    curve = new.curve
    if curve is not None and curve.slopes is not None:
        if len(act.x.ids) != host.out.channels:
            return None
        order = torch.from_numpy(np.argsort(act.x.ids))  # slopes by the host's channels
        curve = replace(curve, slopes=curve.slopes[order])
    if mine.residual is not None:
        return replace(mine, after=new.before, curve=curve) if mine.after.none else None
    if mine.before.none or new.before.none:
        limits = new.before if mine.before.none else mine.before
        return replace(mine, before=limits, curve=curve)
    return None


def _replace(draft: Draft, node: AnyNode, old: Ids, by: Ids) -> None:
    draft.nodes.remove(node)
    new = draft.values.numbers()
    new[old] = by
    draft.renumber(new)


def fuse_sums(draft: Draft) -> None:
    """Let the later of the two convolutions whose results are added add the other's to its own."""
    for node in list(draft.nodes):
        if isinstance(node, Elementwise) and node.operation == "ADD" and node.other is not None:
            _fuse_sum(draft, node, node.x, node.other)


def _fuse_sum(draft: Draft, node: Elementwise, x: Operand, other: Operand) -> None:
    made_by = draft.makers()
    position = {one.out.first: i for i, one in enumerate(draft.nodes)}
    counts = draft.times_read()

    def done_at(operand: Operand) -> int:
        return max(position.get(v.first, -1) for v in draft.values.sources(operand.ids))

    mine, its = sorted((x, other), key=done_at, reverse=True)
    sources = draft.values.sources(mine.ids)
    host = made_by.get(sources[0].first)
    if (
        len(sources) != 1
        or not isinstance(host, Convolution)
        or len(np.unique(mine.ids)) != host.out.channels
        or (counts[mine.ids] != 1).any()
        or done_at(its) >= done_at(mine)
        or area(its.space) != area(mine.space)
        or host.finish.residual is not None
        or host.finish.curve is not None
    ):
        return
    order = np.argsort(mine.ids)  # of the sum's channels, by the host's
    residual = Operand(its.ids[order], its.space)
    curve = node.finish.curve
    if curve is not None and curve.slopes is not None:
        curve = replace(curve, slopes=curve.slopes[torch.from_numpy(order)])
    host.finish = Finish(host.finish.before, residual, node.finish.before, curve)
    _replace(draft, node, node.out.ids, mine.ids)
