"""Scales, activations and sums that become part of the step whose results they change."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand
from flyweight.native.absorbing import absorb_picks
from flyweight.native.draft import Draft
from flyweight.native.nodes import (
    AnyNode,
    Convolution,
    Elementwise,
    Finish,
    Neighbours,
    Pick,
    Pool,
    area,
)


def fuse(draft: Draft) -> None:
    """Fuse what can be: activations before sums, which take those that follow them along."""
    absorb_picks(draft)
    fuse_scales(draft)
    fuse_activations(draft)
    fuse_sums(draft)


def fuse_scales(draft: Draft) -> None:
    """Let what makes values scale and shift them, where that alone reads them."""
    made_by = draft.makers()
    for node in list(draft.nodes):
        if not isinstance(node, Elementwise) or node.operation != "SCALE":
            continue
        ids = node.x.ids
        sources = draft.values.sources(ids)
        hosts = [made_by.get(value.first) for value in sources]
        whole = sum(value.channels for value in sources) == len(ids)
        if not whole or (draft.times_read()[ids] != 1).any():
            continue
        assert node.scale is not None
        assert node.shift is not None
        scale = torch.ones(len(draft.values.numbers()), dtype=torch.float64)
        shift = torch.zeros_like(scale)
        scale[torch.from_numpy(ids)] = node.scale.double()
        shift[torch.from_numpy(ids)] = node.shift.double()
        mine = [(scale[value.ids], shift[value.ids]) for value in sources]
        if all(_takes_scale(host, *pair) for host, pair in zip(hosts, mine, strict=True)):
            for host, pair in zip(hosts, mine, strict=True):
                _scale(host, *pair)
            _replace(draft, node, node.out.ids, ids)


def _takes_scale(host: AnyNode | None, scale: Tensor, shift: Tensor) -> bool:
    if host is None or not host.finish.none:
        return False
    if isinstance(host, Neighbours):
        return bool((scale == scale[0]).all() and (shift == shift[0]).all())
    return isinstance(host, Convolution) or (
        isinstance(host, Elementwise) and host.operation == "SCALE"
    )


def _scale(host: AnyNode | None, scale: Tensor, shift: Tensor) -> None:
    """Let a node put out `scale * y + shift`."""
    if isinstance(host, Convolution):
        dtype = host.weight.dtype
        bias = torch.zeros_like(scale) if host.bias is None else host.bias.double()
        host.bias = (bias * scale + shift).to(dtype)
        host.weight = (host.weight.double() * scale.reshape(-1, 1, 1, 1)).to(dtype)
    elif isinstance(host, Neighbours):
        host.scale = host.scale * float(scale[0])
        host.shift = host.shift * float(scale[0]) + float(shift[0])
    elif isinstance(host, Elementwise) and host.scale is not None and host.shift is not None:
        host.scale, host.shift = host.scale.double() * scale, host.shift.double() * scale + shift


def fuse_activations(draft: Draft) -> None:
    """Let what makes values apply the activation that alone reads them.

    The activation may read several values, whole, in any order of their channels; or several that
    are alike read parts of one (convolutions that were made one, each with a ReLU of its own).
    """
    made_by = draft.makers()
    for node in list(draft.nodes):
        together = _alike(draft, node) if node in draft.nodes else []
        if not together:
            continue
        ids = np.concatenate([one.x.ids for one in together])
        hosts = [made_by.get(value.first) for value in draft.values.sources(ids)]
        added = [None if host is None else _with_activation(host, together) for host in hosts]
        if any(finish is None for finish in added) or (draft.times_read()[ids] != 1).any():
            continue
        for host, finish in zip(hosts, added, strict=True):
            assert host is not None
            assert finish is not None
            host.finish = finish
        for one in together:
            _replace(draft, one, one.out.ids, one.x.ids)


def _alike(draft: Draft, node: AnyNode) -> list[Elementwise]:
    """An activation, and those like it, which together read all channels of some values."""
    if not isinstance(node, Elementwise) or node.operation != "COPY":
        return []
    found = [node]
    while True:
        ids = np.concatenate([one.x.ids for one in found])
        wanted = np.concatenate([value.ids for value in draft.values.sources(ids)])
        missing = np.setdiff1d(wanted, ids)
        if not len(missing):
            return found
        more = [
            one
            for one in draft.nodes
            if isinstance(one, Elementwise) and one not in found and _same(node, one)
            and np.isin(one.x.ids, missing).any()
        ]  # fmt: skip
        if not more:
            return []
        found += more


def _same(one: Elementwise, other: Elementwise) -> bool:
    """Whether two are the same activation, with numbers for all channels alike."""
    curves = [node.finish.curve for node in (one, other)]
    if other.operation != "COPY" or any(c is not None and c.slopes is not None for c in curves):
        return False
    return one.finish == other.finish


def _with_activation(host: AnyNode, acts: list[Elementwise]) -> Finish | None:
    """The finish of a node that also applies an activation; None where it can't."""
    act = acts[0]
    if not isinstance(host, Convolution | Pool | Elementwise | Neighbours | Pick):
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
        or area(mine.space) != area(host.out.space)
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
