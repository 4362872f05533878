"""From a program's steps to nodes that the native engine has; what it hasn't is an error."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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
from flyweight.native.missing import MissingError, called, check, opaque
from flyweight.native.neighbours import Averages
from flyweight.native.nodes import (
    AnyNode,
    Convolution,
    Curve,
    Elementwise,
    Finish,
    Limits,
    Neighbours,
    Softmax,
    area,
)
from flyweight.native.positions import on_positions, pair

aten = torch.ops.aten


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
            check(step.out)
            return Elementwise(
                step.x, step.out, step.where, "SCALE", scale=step.scale, shift=step.shift
            )
        if isinstance(step, Channelwise):
            return _channelwise(step)
        return _opaque(step)
    except MissingError as missing:
        raise CaptureError(missing.told(step.where)) from None


def _convolution(step: Conv) -> Convolution:
    check(step.out, step.x)
    weight = step.weight.reshape(*step.weight.shape[:2], *area(tuple(step.weight.shape[2:])))
    axes = len(step.x.space)
    stride, dilation = pair(step.stride, axes), pair(step.dilation, axes)
    padding = pair(step.padding, axes, 0)
    return Convolution(
        step.x, step.out, step.where, weight, step.bias, stride, padding, dilation, step.groups
    )


def _linear(step: Linear) -> Convolution:
    check(step.out, step.x)
    weight = step.weight.reshape(step.out.channels, len(step.x.ids), *area(step.x.space))
    return Convolution(step.x, step.out, step.where, weight, step.bias, (1, 1), (0, 0), (1, 1), 1)


_BINARY = {
    aten.add.Tensor: "ADD", aten.sub.Tensor: "SUBTRACT", aten.mul.Tensor: "MULTIPLY",
    aten.div.Tensor: "DIVIDE", aten.maximum.default: "MAXIMUM", aten.minimum.default: "MINIMUM",
    aten.add.Scalar: "ADD", aten.sub.Scalar: "SUBTRACT", aten.mul.Scalar: "MULTIPLY",
    aten.div.Scalar: "DIVIDE", aten.rsub.Scalar: "FROM",
}  # fmt: skip
_POWERS = {2: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT", -1: "RECIPROCAL", 0.75: "THREE_QUARTERS"}
"""Those that are faster, and in use: 0.75 for local response normalisation."""
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
    aten.pow.Tensor_Scalar: lambda power: Curve(_POWERS.get(power, "POWER"), power),
}


def _channelwise(step: Channelwise) -> AnyNode:
    target, (x, *rest) = step.target, step.args
    check(step.out, *step.operands)
    if target in _BINARY:
        return _binary(step)
    if not isinstance(x, Operand):
        raise MissingError(called(target))
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
    return on_positions(step)


def _made(make: Callable[..., Any], target: Any, rest: Sequence[Any], named: Any) -> Any:
    try:
        return make(*rest, **named)
    except TypeError:
        raise MissingError(f"{called(target)} with these arguments") from None


def _binary(step: Channelwise) -> AnyNode:
    a, b = step.args[:2]
    operation, name = _BINARY[step.target], called(step.target)
    if any(factor != 1 for factor in (*step.args[2:], *step.kwargs.values())):
        raise MissingError(f"{name} with {step.args[2:] or step.kwargs}")
    if not isinstance(a, Operand) and operation in (*_COMMUTE, "SUBTRACT"):
        a, b = b, a
        operation = "FROM" if operation == "SUBTRACT" else operation
    if not isinstance(a, Operand):
        raise MissingError(f"{name} of a constant and a feature map in this order")
    if not isinstance(b, Operand):
        return _with_constant(step, operation, a, b)
    channels, whole = step.out.channels, area(step.out.space)
    if area(a.space) != whole and operation in _COMMUTE:
        a, b = b, a
    if area(a.space) != whole or area(b.space) not in (whole, (1, 1)):
        raise MissingError(f"{name} of feature maps of different sizes")
    a, b = (
        Operand(np.repeat(one.ids, channels), one.space) if len(one.ids) < channels else one
        for one in (a, b)
    )
    return Elementwise(a, step.out, step.where, operation, other=b)


def _with_constant(step: Channelwise, operation: str, x: Operand, constant: Any) -> AnyNode:
    """A number, or one for each channel, becomes a scale and a shift."""
    channels, name = step.out.channels, called(step.target)
    by_channel = isinstance(constant, PerChannel)
    given = constant.tensor if by_channel else torch.as_tensor(constant)
    if given.numel() != (channels if by_channel else 1):
        raise MissingError(f"{name} with a constant for each position")
    numbers = given.double().reshape(-1).expand(channels)
    ones, zeros = torch.ones(channels).double(), torch.zeros(channels).double()
    pairs = {
        "ADD": (ones, numbers), "SUBTRACT": (ones, -numbers), "FROM": (-ones, numbers),
        "MULTIPLY": (numbers, zeros), "DIVIDE": (1 / numbers, zeros),
    }  # fmt: skip
    if operation not in pairs:
        raise MissingError(f"{name} with a constant")
    if len(x.ids) < channels:
        x = Operand(np.repeat(x.ids, channels), x.space)
    scale, shift = pairs[operation]
    return Elementwise(x, step.out, step.where, "SCALE", scale=scale, shift=shift)


_SOFTMAX = {
    aten._softmax.default: False, aten.softmax.int: False,
    aten._log_softmax.default: True, aten.log_softmax.int: True,
}  # fmt: skip


def _opaque(step: Opaque) -> AnyNode:
    x, out = step.args[0] if step.args else None, step.outs[0]
    if isinstance(x, ChannelMap) and isinstance(out, Value):
        if isinstance(step.target, Averages):
            check(out)
            before, after = step.target.before, step.target.after
            operand, scale = Operand(x.ids.ravel(), out.space), 1 / (before + after + 1)
            return Neighbours(operand, out, step.where, before, after, scale)
        if step.target in _SOFTMAX and x.is_plain():
            check(out)
            if step.args[1] % len(x.dims) != 1:
                raise MissingError(f"{called(step.target)} over positions")
            operand = Operand(x.ids.ravel(), out.space)
            return Softmax(operand, out, step.where, _SOFTMAX[step.target])
    raise opaque(step)
