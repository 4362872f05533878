"""What PyTorch's operations do to channels: which work on each channel alone, which mix them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from flyweight.graph.maps import ChannelMap, Size, with_ids
from flyweight.graph.program import (
    Affine,
    Channelwise,
    Conv,
    Linear,
    Operand,
    PerChannel,
    Raw,
    Value,
    Values,
)

aten = torch.ops.aten

UNARY = {
    aten.relu.default, aten.sigmoid.default, aten.tanh.default, aten.silu.default,
    aten.hardtanh.default, aten.hardswish.default, aten.hardsigmoid.default, aten.relu6.default,
    aten.leaky_relu.default, aten.elu.default, aten.gelu.default, aten.mish.default,
    aten.softplus.default, aten.neg.default, aten.abs.default, aten.exp.default, aten.log.default,
    aten.sqrt.default, aten.rsqrt.default, aten.square.default, aten.reciprocal.default,
    aten.clamp.default, aten.clamp_min.default, aten.clamp_max.default,
    aten.pow.Tensor_Scalar, aten.erf.default, aten.selu.default, aten.celu.default,
}  # fmt: skip
"""One tensor and numbers, element by element."""
BINARY = {
    aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor, aten.maximum.default,
    aten.minimum.default, aten.add.Scalar, aten.sub.Scalar, aten.mul.Scalar, aten.div.Scalar,
}  # fmt: skip
"""Two tensors, or a tensor and a number or constant, element by element."""
SPATIAL_RANK = {
    aten.max_pool1d.default: 3, aten.avg_pool1d.default: 3, aten.adaptive_avg_pool1d.default: 3,
    aten.max_pool2d.default: 4, aten.avg_pool2d.default: 4, aten.adaptive_avg_pool2d.default: 4,
    aten.max_pool3d.default: 5, aten.avg_pool3d.default: 5, aten.adaptive_avg_pool3d.default: 5,
    aten.upsample_nearest2d.vec: 4, aten.upsample_bilinear2d.vec: 4,
    aten.upsample_bicubic2d.vec: 4, aten.upsample_nearest2d.default: 4,
    aten.upsample_bilinear2d.default: 4, aten._upsample_nearest_exact2d.vec: 4,
}  # fmt: skip
"""Work on positions, and the rank in which dimension 1 is channels."""
REDUCTIONS = {aten.mean.dim, aten.sum.dim_IntList, aten.amax.default, aten.amin.default}
NORMS = {
    aten._native_batch_norm_legit_no_training.default: 6,
    aten.batch_norm.default: 7,
}
"""Batch norm, and the place of its epsilon."""
CONVS = {aten.conv1d.default: 3, aten.conv2d.default: 4, aten.conv3d.default: 5}


@dataclass(frozen=True)
class NewValue:
    """What the capture says of a result: its shape, where it is known, and dtype."""

    shape: Sequence[Size] | None
    dtype: torch.dtype

    def made(self, values: Values, channels: int, space: Sequence[int]) -> Value:
        """A new value of this dtype."""
        return values.new_value(channels, space, self.dtype)

    @property
    def space(self) -> tuple[int, ...]:
        """The sizes after batch and channels."""
        return tuple(size.count for size in (self.shape or ())[2:])

    @property
    def usual(self) -> bool:
        """Whether it is one tensor of a batch, channels and fixed sizes."""
        shape = self.shape
        return (
            shape is not None
            and len(shape) >= 2
            and shape[0] == Size(1, True)
            and not any(size.batched for size in shape[1:])
        )


Made = Conv | Linear | Affine | Channelwise


def step_of(
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    new: NewValue,
    values: Values,
    where: str,
) -> Made | None:
    """The step that an operation is; None for one whose effect on channels isn't known here."""
    if any(isinstance(leaf, Raw | Size) for leaf in tree_leaves((args, kwargs))):
        return None
    maps = [arg for arg in args if isinstance(arg, ChannelMap)]
    if target in UNARY and len(maps) == 1 and isinstance(args[0], ChannelMap):
        return _elementwise(target, args, kwargs, new, values, where)
    if target == aten.linear.default:
        return _linear(args, new, values, where)
    if not new.usual or not maps or not all(one.is_plain() for one in maps):
        return None
    if target in CONVS:
        return _conv(target, args, kwargs, new, values, where)
    if target in NORMS:
        return _norm(args, args[NORMS[target]], new, values, where)
    if target in BINARY:
        return _binary(target, args, kwargs, new, values, where)
    if target == aten.prelu.default and isinstance(args[1], Tensor):
        weight = PerChannel(args[1], 0) if args[1].numel() > 1 else args[1]
        return _one(target, (args[0], weight), kwargs, new, values, where)
    if len(maps) == 1 and _positions_only(target, args, kwargs):
        return _one(target, args, kwargs, new, values, where)
    return None


def result(target: Any, args: tuple[Any, ...], out: Value) -> Any:
    """What a step's result is for those that read it."""
    if target in UNARY:
        # The channels are read once each, ascending; the map keeps its dimensions and its order.
        ids = args[0].ids.ravel()
        _, place = np.unique(ids, return_inverse=True)
        return with_ids(args[0], out.first + place)
    if target in NORMS and target != aten.batch_norm.default:
        return [out.map()]
    return out.map()


def _elementwise(
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    new: NewValue,
    values: Values,
    where: str,
) -> Channelwise | None:
    x: ChannelMap = args[0]
    ids = np.unique(x.ids)
    space = values.value_of(int(ids[0])).space
    out = new.made(values, len(ids), space)
    return Channelwise(target, (Operand(ids, space), *args[1:]), kwargs, out, where)


def _operand(x: ChannelMap) -> Operand:
    return Operand(x.ids.ravel(), tuple(size.count for size in x.sizes()[2:]))


def _one(
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    new: NewValue,
    values: Values,
    where: str,
) -> Channelwise:
    """An operation on one plain tensor that keeps its channels."""
    operand = _operand(args[0])
    out = new.made(values, len(operand.ids), new.space)
    return Channelwise(target, (operand, *args[1:]), kwargs, out, where)


def _positions_only(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    rank = len(args[0].dims) if isinstance(args[0], ChannelMap) else 0
    if target in SPATIAL_RANK:
        return rank == SPATIAL_RANK[target]
    if target in REDUCTIONS:
        dims = args[1] if len(args) > 1 else kwargs.get("dim")
        return isinstance(dims, list) and bool(dims) and all(d % rank >= 2 for d in dims)
    if target in (aten.pad.default, aten.constant_pad_nd.default):
        return len(args[1]) <= 2 * (rank - 2)
    if target == aten.slice.Tensor:
        return len(args) > 1 and args[1] % rank >= 2
    if target == aten.flip.default:
        return all(d % rank >= 2 for d in args[1])
    return False


def _binary(
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    new: NewValue,
    values: Values,
    where: str,
) -> Affine | Channelwise | None:
    a, b = args[:2]
    rank = len(new.shape or ())
    channels = (new.shape or ())[1].count
    for one in (a, b):
        if isinstance(one, ChannelMap) and len(one.dims) != rank:
            return None
    if isinstance(a, ChannelMap) and isinstance(b, Tensor):
        affine = _affine(target, a, b, kwargs, new, values, where)
        if affine is not None:
            return affine
    replaced: list[Any] = []
    for one in (a, b):
        if isinstance(one, ChannelMap):
            if one.ids.size not in (1, channels):
                return None
            replaced.append(_operand(one))
        elif isinstance(one, Tensor) and one.dim() > 0:
            axis = one.dim() - (rank - 1)
            if one.dim() > rank or (one.dim() == rank and one.shape[0] != 1):
                return None
            varies = axis >= 0 and one.shape[axis] > 1
            replaced.append(PerChannel(one, axis) if varies else one)
        else:
            replaced.append(one)
    out = new.made(values, channels, new.space)
    return Channelwise(target, (*replaced, *args[2:]), kwargs, out, where)


def _affine(
    target: Any,
    x: ChannelMap,
    constant: Tensor,
    kwargs: dict[str, Any],
    new: NewValue,
    values: Values,
    where: str,
) -> Affine | None:
    """A number for each channel, times or plus: batch norm written out."""
    rank, channels = len(x.dims), x.ids.size
    shaped = constant.reshape(constant.shape[1:]) if constant.dim() == rank else constant
    if shaped.numel() != channels or shaped.dim() != rank - 1 or shaped.shape[0] != channels:
        return None
    if kwargs or constant.dtype != new.dtype or channels == 1:
        return None
    vector, one = shaped.reshape(channels), torch.ones(channels, dtype=new.dtype)
    pairs = {
        aten.mul.Tensor: lambda: (vector, torch.zeros_like(one)),
        aten.div.Tensor: lambda: (1 / vector, torch.zeros_like(one)),
        aten.add.Tensor: lambda: (one, vector),
        aten.sub.Tensor: lambda: (one, -vector),
    }
    if target not in pairs:
        return None
    scale, shift = pairs[target]()
    out = new.made(values, channels, new.space)
    return Affine(_operand(x), scale, shift, out, where)


def _norm(
    args: tuple[Any, ...], eps: float, new: NewValue, values: Values, where: str
) -> Affine | None:
    x, weight, bias, mean, variance = args[:5]
    if not (isinstance(x, ChannelMap) and isinstance(mean, Tensor)):
        return None
    # In double precision: the product of what follows is rounded once, not three times.
    scale = (variance.double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    out = new.made(values, x.ids.size, new.space)
    return Affine(_operand(x), scale, shift, out, where)


def _conv(
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    new: NewValue,
    values: Values,
    where: str,
) -> Conv | None:
    names = ("x", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    x, weight, bias = given["x"], given["weight"], given.get("bias")
    rank = CONVS[target]
    if not isinstance(x, ChannelMap) or len(x.dims) != rank or not isinstance(weight, Tensor):
        return None
    if bias is not None and not isinstance(bias, Tensor):
        return None

    def per_axis(name: str, default: int) -> tuple[int, ...]:
        sizes = list(given.get(name, [default]))
        return tuple(sizes * (rank - 2) if len(sizes) == 1 else sizes)

    out = new.made(values, weight.shape[0], new.space)
    return Conv(
        _operand(x), weight, bias, per_axis("stride", 1), per_axis("padding", 0),
        per_axis("dilation", 1), int(given.get("groups", 1)), out, where,
    )  # fmt: skip


def _linear(args: tuple[Any, ...], new: NewValue, values: Values, where: str) -> Linear | None:
    x, weight, bias = args[0], args[1], args[2] if len(args) > 2 else None
    if not isinstance(x, ChannelMap) or not x.is_flattened() or not isinstance(weight, Tensor):
        return None
    if bias is not None and not isinstance(bias, Tensor):
        return None
    ids = x.ids.ravel()
    space = values.value_of(int(ids[0])).space if x.space else ()
    out = new.made(values, weight.shape[0], ())
    return Linear(Operand(ids, space), weight, bias, out, where)
