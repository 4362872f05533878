"""What PyTorch says in a roundabout way, as steps that the native engine has."""

from typing import Any

import torch
from torch import Tensor

from flyweight.graph.maps import BATCH, ChannelMap
from flyweight.graph.meaning import REDUCTIONS
from flyweight.graph.program import (
    Channelwise,
    Conv,
    Linear,
    Opaque,
    Operand,
    Program,
    Step,
    Value,
    renumber,
    times_read,
)
from flyweight.native.neighbours import find_neighbours

aten = torch.ops.aten

_SAME_CONVS = {aten.conv1d.padding, aten.conv2d.padding}
_LARGEST_OF_TWO = {
    aten.adaptive_max_pool2d.default: aten.adaptive_max_pool2d.default,
    aten.max_pool2d_with_indices.default: aten.max_pool2d.default,
}
_DIRECTLY = {aten.rsub.Scalar: aten.rsub.Scalar, aten.max.other: aten.maximum.default,
             aten.min.other: aten.minimum.default}  # fmt: skip


def rephrase(program: Program) -> None:
    """Replace steps of which only the name is known by those that say the same."""
    find_neighbours(program)
    steps: list[Step] = []
    for step in program.steps:
        steps += _said(program, step)
    program.steps[:] = steps


def _said(program: Program, step: Step) -> list[Step]:
    if isinstance(step, Channelwise) and step.target in REDUCTIONS:
        return [_keeping_dimensions(program, step)]
    if not isinstance(step, Opaque) or not isinstance(step.outs[0], Value):
        return [step]
    for way in (_same_padding, _channels_summed, _positions_reduced, _indices_dropped, _direct):
        found = way(program, step, step.outs[0])
        if found:
            return found
    return [step]


def _operand(program: Program, x: Any) -> Operand | None:
    """The whole feature maps that an argument is."""
    if not isinstance(x, ChannelMap) or not x.is_plain():
        return None
    return Operand(x.ids.ravel(), tuple(size.count for size in x.sizes()[2:]))


def _same_padding(program: Program, step: Opaque, out: Value) -> list[Step]:
    """A convolution with padding "same" or "valid"; what is odd goes below and right."""
    if step.target not in _SAME_CONVS:
        return []
    names = ("x", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = {**dict(zip(names, step.args, strict=False)), **step.kwargs}
    x, weight = _operand(program, given["x"]), given["weight"]
    if x is None or not isinstance(weight, Tensor):
        return []
    axes = len(x.space)
    stride, dilation = (
        tuple(sizes * axes if len(sizes) == 1 else sizes)
        for sizes in (list(given.get(name) or [1]) for name in ("stride", "dilation"))
    )
    totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if given.get("padding") != "same":
        totals = [0] * axes
    steps: list[Step] = []
    if any(total % 2 for total in totals):
        space = [size + total % 2 for size, total in zip(x.space, totals, strict=True)]
        padded = program.values.new_value(len(x.ids), space, out.dtype)
        pads = [n for total in reversed(totals) for n in (0, total % 2)]
        steps.append(
            Channelwise(aten.constant_pad_nd.default, (x, pads, 0.0), {}, padded, step.where)
        )
        x = Operand(padded.ids, padded.space)
    padding = tuple(total // 2 for total in totals)
    conv = Conv(
        x, weight, given.get("bias"), stride, padding, dilation, int(given.get("groups") or 1), out,
        step.where,
    )  # fmt: skip
    return [*steps, conv]


def _channels_summed(program: Program, step: Opaque, out: Value) -> list[Step]:
    """The sum or average over all channels of a pixel: a convolution with one output."""
    if step.target not in (aten.mean.dim, aten.sum.dim_IntList) or len(step.args) < 2:
        return []
    x, keeps = _operand(program, step.args[0]), len(step.args) > 2 and step.args[2]
    if x is None or list(step.args[1]) not in ([1], [-1 - len(x.space)]) or step.kwargs:
        return []
    if out.channels != 1 or not (keeps or not x.space):
        return []
    count, ones = len(x.ids), (1,) * len(x.space)
    weight = torch.full((1, count, *ones), 1 / count if step.target == aten.mean.dim else 1.0)
    if not x.space:
        return [Linear(x, weight, None, out, step.where)]
    return [Conv(x, weight, None, ones, (0,) * len(ones), ones, 1, out, step.where)]


def _positions_reduced(program: Program, step: Opaque, out: Value) -> list[Step]:
    """A reduction over positions that were put in one dimension before."""
    largest = {aten.max.dim: aten.amax.default, aten.min.dim: aten.amin.default}
    target = largest.get(step.target, step.target)
    if target not in REDUCTIONS or step.kwargs or len(step.args) < 2:
        return []
    x, dims = step.args[:2]
    if not isinstance(x, ChannelMap) or x.dims[0] != (BATCH,) or len(x.dims) < 2:
        return []
    if len(step.outs) > 1 and _is_read(program, step.outs[1]):
        return []
    dims = {d % len(x.dims) for d in ([dims] if isinstance(dims, int) else dims)}
    kept = [atom for i, dim in enumerate(x.dims[2:], 2) if i not in dims for atom in dim]
    atoms = [atom for dim in x.dims[2:] for atom in dim]
    channels = all(atom.kind == "channels" for atom in x.dims[1])
    if kept or 1 in dims or not channels or any(atom.kind != "space" for atom in atoms):
        return []
    ids = x.ids.ravel()
    space = program.values.value_of(int(ids[0])).space
    every = list(range(2, 2 + len(space)))
    return [Channelwise(target, (Operand(ids, space), every), {}, out, step.where)]


def _is_read(program: Program, out: Any) -> bool:
    return not isinstance(out, Value) or bool(times_read(program)[out.ids].any())


def _indices_dropped(program: Program, step: Opaque, out: Value) -> list[Step]:
    """A pool that also says where it found its values, which nobody reads."""
    x = _operand(program, step.args[0]) if step.args else None
    if step.target not in _LARGEST_OF_TWO or x is None or _is_read(program, step.outs[1]):
        return []
    target = _LARGEST_OF_TWO[step.target]
    return [Channelwise(target, (x, *step.args[1:]), step.kwargs, out, step.where)]


def _direct(program: Program, step: Opaque, out: Value) -> list[Step]:
    if step.target not in _DIRECTLY:
        return []
    args = [_operand(program, arg) if isinstance(arg, ChannelMap) else arg for arg in step.args]
    if any(arg is None for arg in args):
        return []
    return [Channelwise(_DIRECTLY[step.target], tuple(args), step.kwargs, out, step.where)]


def _keeping_dimensions(program: Program, step: Channelwise) -> Channelwise:
    """A reduction over one of two axes keeps both: so values lie as their readers think."""
    x, dims = step.args[:2]
    if len(x.space) < 2 or len(dims) == len(x.space) or len(step.out.space) == len(x.space):
        return step
    space = [1 if i + 2 in [d % (2 + len(x.space)) for d in dims] else size
             for i, size in enumerate(x.space)]  # fmt: skip
    out = program.values.new_value(step.out.channels, space, step.out.dtype)
    new = program.values.numbers()
    new[step.out.ids] = out.ids
    renumber(program, new)
    return Channelwise(step.target, (x, dims, True), step.kwargs, out, step.where)
