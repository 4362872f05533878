"""From a program's steps to nodes that the native engine has; what it hasn't is an error."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from flyweight.errors import CaptureError
from flyweight.graph.maps import ChannelMap
from flyweight.graph.program import (
    Affine,
    Channelwise,
    Conv,
    Linear,
    Opaque,
    Operand,
    PerChannel,
    Program,
    Step,
    Value,
)
from flyweight.native.nodes import (
    AnyNode,
    Convolution,
    Curve,
    Elementwise,
    Finish,
    Limits,
    Pool,
    Softmax,
    area,
)

aten = torch.ops.aten


class _MissingError(Exception):
    """Something that the engine has no code for; the message says what."""


def nodes_of(program: Program) -> list[AnyNode]:
    """The nodes of a program that was rewritten.

    Raises:
        CaptureError: an operation that the engine hasn't; it names the module, and what to do.
    """
    return [_node(step) for step in program.steps]


def _node(step: Step) -> AnyNode:
    try:
        if isinstance(step, Conv):
            return _convolution(step)
        if isinstance(step, Linear):
            return _linear(step)
        if isinstance(step, Affine):
            _check(step.out)
            return Elementwise(
                step.x, step.out, step.where, "SCALE", scale=step.scale, shift=step.shift
            )
        if isinstance(step, Channelwise):
            return _channelwise(step)
        return _opaque(step)
    except _MissingError as missing:
        where = f"{step.where}: " if step.where else ""
        raise CaptureError(
            f"{where}the native engine has no {missing}; run the network with engine"
            " 'onnxruntime', or write that part with operations that it has"
            " (docs/native.md lists them)"
        ) from None


def _check(*values: Value | Operand) -> None:
    for value in values:
        if len(value.space) > 2 or 0 in value.space:
            raise _MissingError(f"operations on {len(value.space) + 2} dimensions")
        if isinstance(value, Value) and value.dtype != torch.float32:
            raise _MissingError(f"arithmetic in {str(value.dtype).removeprefix('torch.')}")


def _pair(sizes: int | Sequence[int], axes: int, alone: int = 1) -> tuple[int, int]:
    """(vertical, horizontal) of a number for each axis, or for all; `alone` where no axis is."""
    given = [sizes] if isinstance(sizes, int) else list(sizes)
    if axes == 1:
        return alone, int(given[0])
    return int(given[0]), int(given[-1])


def _convolution(step: Conv) -> Convolution:
    _check(step.out, step.x)
    weight = step.weight.reshape(*step.weight.shape[:2], *area(tuple(step.weight.shape[2:])))
    axes = len(step.x.space)
    stride, dilation = _pair(step.stride, axes), _pair(step.dilation, axes)
    padding = _pair(step.padding, axes, 0)
    return Convolution(
        step.x, step.out, step.where, weight, step.bias, stride, padding, dilation, step.groups
    )


def _linear(step: Linear) -> Convolution:
    _check(step.out, step.x)
    weight = step.weight.reshape(step.out.channels, len(step.x.ids), *area(step.x.space))
    return Convolution(step.x, step.out, step.where, weight, step.bias, (1, 1), (0, 0), (1, 1), 1)


_BINARY = {
    aten.add.Tensor: "ADD", aten.sub.Tensor: "SUBTRACT", aten.mul.Tensor: "MULTIPLY",
    aten.div.Tensor: "DIVIDE", aten.maximum.default: "MAXIMUM", aten.minimum.default: "MINIMUM",
    aten.add.Scalar: "ADD", aten.sub.Scalar: "SUBTRACT", aten.mul.Scalar: "MULTIPLY",
    aten.div.Scalar: "DIVIDE",
}  # fmt: skip
_COMMUTE = ("ADD", "MULTIPLY", "MAXIMUM", "MINIMUM")
_LIMITS: dict[Any, Callable[..., Limits]] = {
    aten.relu.default: lambda: Limits(0.0),
    aten.relu6.default: lambda: Limits(0.0, 6.0),
    aten.hardtanh.default: lambda low=-1.0, high=1.0: Limits(low, high),
    aten.clamp.default: lambda min=None, max=None: Limits(
        -math.inf if min is None else min, math.inf if max is None else max
    ),
    aten.clamp_min.default: lambda low: Limits(low),
    aten.clamp_max.default: lambda high: Limits(-math.inf, high),
}
_CURVES: dict[Any, Callable[..., Curve]] = {
    aten.sigmoid.default: lambda: Curve("SIGMOID"),
    aten.silu.default: lambda: Curve("SILU"),
    aten.tanh.default: lambda: Curve("TANH"),
    aten.hardsigmoid.default: lambda: Curve("HARDSIGMOID"),
    aten.hardswish.default: lambda: Curve("HARDSWISH"),
    aten.leaky_relu.default: lambda slope=0.01: Curve("LEAKY_RELU", slope),
    aten.elu.default: lambda alpha=1.0: Curve("ELU", alpha),
    aten.selu.default: lambda: Curve("SELU"),
    aten.celu.default: lambda alpha=1.0: Curve("CELU", alpha),
    aten.gelu.default: lambda approximate="none": Curve(
        "GELU" if approximate == "none" else "GELU_TANH"
    ),
    aten.mish.default: lambda: Curve("MISH"),
    aten.softplus.default: lambda: Curve("SOFTPLUS"),
    aten.exp.default: lambda: Curve("EXP"),
    aten.log.default: lambda: Curve("LOG"),
    aten.sqrt.default: lambda: Curve("SQRT"),
    aten.rsqrt.default: lambda: Curve("RSQRT"),
    aten.reciprocal.default: lambda: Curve("RECIPROCAL"),
    aten.square.default: lambda: Curve("SQUARE"),
    aten.abs.default: lambda: Curve("ABSOLUTE"),
    aten.neg.default: lambda: Curve("NEGATIVE"),
    aten.erf.default: lambda: Curve("ERF"),
    aten.pow.Tensor_Scalar: lambda power: Curve("POWER", power),
}


def _channelwise(step: Channelwise) -> AnyNode:
    target, (x, *rest) = step.target, step.args
    _check(step.out, *step.operands)
    if target in _BINARY:
        return _binary(step)
    if not isinstance(x, Operand):
        raise _MissingError(_called(target))
    if target in _LIMITS:
        finish = Finish(before=_made(_LIMITS[target], target, rest, step.kwargs))
        return Elementwise(x, step.out, step.where, "COPY", finish=finish)
    if target in _CURVES:
        finish = Finish(curve=_made(_CURVES[target], target, rest, step.kwargs))
        return Elementwise(x, step.out, step.where, "COPY", finish=finish)
    if target == aten.prelu.default:
        given = rest[0].tensor if isinstance(rest[0], PerChannel) else rest[0]
        slopes = given.reshape(-1).expand(step.out.channels)
        finish = Finish(curve=Curve("PRELU", slopes=slopes))
        return Elementwise(x, step.out, step.where, "COPY", finish=finish)
    return _pool(step, x, rest)


def _made(make: Callable[..., Any], target: Any, rest: Sequence[Any], named: Any) -> Any:
    try:
        return make(*rest, **named)
    except TypeError:
        raise _MissingError(f"{_called(target)} with these arguments") from None


def _called(target: Any) -> str:
    return str(target.name().removeprefix("aten::")) if hasattr(target, "name") else str(target)


def _binary(step: Channelwise) -> AnyNode:
    a, b = step.args[:2]
    operation = _BINARY[step.target]
    if step.kwargs or len(step.args) > 2:
        raise _MissingError(f"{_called(step.target)} with a factor")
    if not isinstance(a, Operand) and operation in _COMMUTE:
        a, b = b, a
    if not isinstance(a, Operand):
        raise _MissingError(f"{_called(step.target)} of a constant and a feature map in this order")
    if isinstance(b, Operand):
        if area(a.space) != area(step.out.space) and operation in _COMMUTE:
            a, b = b, a
        fits = area(b.space) in (area(step.out.space), (1, 1))
        if area(a.space) != area(step.out.space) or not fits:
            raise _MissingError(f"{_called(step.target)} of feature maps of different sizes")
        if len(a.ids) != len(b.ids):
            raise _MissingError(f"{_called(step.target)} of different numbers of channels")
        return Elementwise(a, step.out, step.where, operation, other=b)
    return _with_constant(step, operation, a, b)


def _with_constant(step: Channelwise, operation: str, x: Operand, constant: Any) -> AnyNode:
    """A number, or one for each channel, becomes a scale and a shift."""
    channels = step.out.channels
    given = constant.tensor if isinstance(constant, PerChannel) else torch.as_tensor(constant)
    if given.numel() not in (1, channels):
        raise _MissingError(f"{_called(step.target)} with a constant for each position")
    numbers = given.double().reshape(-1).expand(channels)
    ones, zeros = torch.ones(channels).double(), torch.zeros(channels).double()
    pairs = {
        "ADD": (ones, numbers), "SUBTRACT": (ones, -numbers),
        "MULTIPLY": (numbers, zeros), "DIVIDE": (1 / numbers, zeros),
    }  # fmt: skip
    if operation not in pairs:
        raise _MissingError(f"{_called(step.target)} with a constant")
    scale, shift = pairs[operation]
    return Elementwise(x, step.out, step.where, "SCALE", scale=scale, shift=shift)


_REDUCTIONS = {
    aten.mean.dim: "AVERAGE", aten.sum.dim_IntList: "TOTAL", aten.amax.default: "LARGEST",
    aten.amin.default: "SMALLEST",
}  # fmt: skip
_ADAPTIVE = (aten.adaptive_avg_pool2d.default, aten.adaptive_avg_pool1d.default)
_AVERAGES = (aten.avg_pool2d.default, aten.avg_pool1d.default)
_LARGEST = (aten.max_pool2d.default, aten.max_pool1d.default)


def _pool(step: Channelwise, x: Operand, rest: Sequence[Any]) -> AnyNode:
    target = step.target
    if target in _REDUCTIONS:
        dims = rest[0]
        if len(dims) != len(x.space):
            raise _MissingError(f"{_called(target)} over some of the positions")
        whole = area(x.space)
        return Pool(x, step.out, step.where, _REDUCTIONS[target], whole, whole, (0, 0))
    if target in _ADAPTIVE:
        return Pool(x, step.out, step.where, "AVERAGE", (1, 1), (1, 1), (0, 0), adaptive=True)
    if target in _AVERAGES:
        return _average(step, x, rest)
    if target in _LARGEST:
        axes = len(x.space)
        kernel, stride, padding, dilation = _windows(axes, rest[:2], rest[2:3], rest[3:4])
        return Pool(x, step.out, step.where, "LARGEST", kernel, stride, padding, dilation)
    raise _MissingError(_called(target))


def _windows(
    axes: int, sizes: Sequence[Any], padding: Sequence[Any], dilation: Sequence[Any] = ()
) -> tuple[tuple[int, int], ...]:
    kernel = sizes[0]
    stride = sizes[1] if len(sizes) > 1 and sizes[1] else kernel
    return (
        _pair(kernel, axes),
        _pair(stride, axes),
        _pair(padding[0] if padding else 0, axes, 0),
        _pair(dilation[0] if dilation else 1, axes),
    )


def _average(step: Channelwise, x: Operand, rest: Sequence[Any]) -> Pool:
    names = ("kernel", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    given = {**dict(zip(names, rest, strict=False)), **step.kwargs}
    kernel, stride, padding, _ = _windows(
        len(x.space), [given["kernel"], given.get("stride")], [given.get("padding") or 0]
    )
    divisor = given.get("divisor_override")
    counting = "WITH_PADDING" if given.get("count_include_pad", True) else "INSIDE"
    return Pool(
        x, step.out, step.where, "AVERAGE", kernel, stride, padding,
        counting="FIXED" if divisor else counting, divisor=float(divisor or 1.0),
    )  # fmt: skip


_SOFTMAX = {
    aten._softmax.default: False, aten.softmax.int: False,
    aten._log_softmax.default: True, aten.log_softmax.int: True,
}  # fmt: skip


def _opaque(step: Opaque) -> AnyNode:
    if step.target in _SOFTMAX:
        x, dim = step.args[:2]
        (out,) = step.outs
        if isinstance(x, ChannelMap) and x.is_plain() and isinstance(out, Value):
            _check(out)
            if dim % len(x.dims) != 1:
                raise _MissingError("softmax over positions")
            operand = Operand(x.ids.ravel(), out.space)
            return Softmax(operand, out, step.where, _SOFTMAX[step.target])
    raise _MissingError(_called(step.target))
