"""ONNX operators on images and features, as PyTorch has them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor

from flyweight.errors import CaptureError
from flyweight.graph import onnx_windows as windows

Attributes: TypeAlias = Mapping[str, Any]
Operator: TypeAlias = Callable[[Attributes, Sequence[Any]], Any]

NUMBERS_AT: dict[str, tuple[int, ...]] = {
    "Reshape": (1,), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Unsqueeze": (1,),
    "Pad": (1, 2, 3), "Clip": (1, 2), "Resize": (1, 2, 3), "Upsample": (1,), "Expand": (1,),
    "Tile": (1,), "ReduceMean": (1,), "ReduceSum": (1,), "ReduceMax": (1,), "ReduceMin": (1,),
    "ReduceL2": (1,), "ConstantOfShape": (0,), "Dropout": (1, 2),
}  # fmt: skip
"""Inputs that must be known without the image's values: shapes and the like."""


def _gemm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x = inputs[0].t() if attributes.get("transA") else inputs[0]
    weight = inputs[1] if attributes.get("transB") else inputs[1].t()
    bias = inputs[2] if len(inputs) > 2 else None
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    if alpha == 1.0 and (bias is None or (beta == 1.0 and bias.dim() == 1)):
        return F.linear(x, weight, bias)
    found = alpha * F.linear(x, weight)
    whole: Tensor = found if bias is None else found + beta * bias
    return whole


def _batch_norm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, scale, shift, mean, variance = inputs
    if attributes.get("training_mode"):
        raise CaptureError("BatchNormalization in training mode")
    return F.batch_norm(x, mean, variance, scale, shift, eps=attributes.get("epsilon", 1e-5))


def _instance_norm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    return F.instance_norm(
        inputs[0], weight=inputs[1], bias=inputs[2], eps=attributes.get("epsilon", 1e-5)
    )


def _layer_norm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    axis = attributes.get("axis", -1) % x.dim()
    bias = inputs[2] if len(inputs) > 2 else None
    return F.layer_norm(x, x.shape[axis:], inputs[1], bias, eps=attributes.get("epsilon", 1e-5))


def _local_norm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, size = inputs[0], attributes["size"]
    if size % 2 == 0:
        raise CaptureError("LRN over an even number of channels")
    # As images of one channel, whose rows are the channels: an average over rows.
    rows = (x * x).flatten(2).unsqueeze(1)
    mean = F.avg_pool2d(rows, (size, 1), (1, 1), (size // 2, 0)).reshape(x.shape)
    scale = attributes.get("bias", 1.0) + attributes.get("alpha", 1e-4) * mean
    found: Tensor = x / scale.pow(attributes.get("beta", 0.75))
    return found


def _clip(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    low = inputs[1] if len(inputs) > 1 else attributes.get("min")
    high = inputs[2] if len(inputs) > 2 else attributes.get("max")
    return torch.clamp(inputs[0], low, high)


def _reshape(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    wanted = attributes["shape"] if len(inputs) < 2 else inputs[1]
    if attributes.get("allowzero"):
        return x.reshape(wanted)
    return x.reshape([x.shape[at] if size == 0 else size for at, size in enumerate(wanted)])


def _slice(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    given = [inputs[at] if at < len(inputs) else None for at in range(1, 5)]
    starts = attributes["starts"] if given[0] is None else given[0]
    ends = attributes["ends"] if given[1] is None else given[1]
    axes = attributes.get("axes", range(len(starts))) if given[2] is None else given[2]
    steps = [1] * len(starts) if given[3] is None else given[3]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise CaptureError("Slice that goes backwards")
        window = [slice(None)] * x.dim()
        window[axis] = slice(start, min(end, 2**62), step)
        x = x[tuple(window)]
    return x


def _split(attributes: Attributes, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    axis = attributes.get("axis", 0)
    sizes = inputs[1] if len(inputs) > 1 and inputs[1] is not None else attributes.get("split")
    if sizes is None:
        return tuple(torch.chunk(inputs[0], attributes["num_outputs"], axis))
    return tuple(torch.split(inputs[0], list(sizes), axis))


def _axes(attributes: Attributes, inputs: Sequence[Any]) -> list[int] | None:
    axes = inputs[1] if len(inputs) > 1 else attributes.get("axes")
    return None if axes is None else list(axes)


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def reduced(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
        axes = _axes(attributes, inputs)
        if not axes:
            if attributes.get("noop_with_empty_axes"):
                found: Tensor = inputs[0]
                return found
            axes = list(range(inputs[0].dim()))
        return function(inputs[0], axes, bool(attributes.get("keepdims", 1)))

    return reduced


def _unsqueeze(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    axes = _axes(attributes, inputs) or []
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    axes = _axes(attributes, inputs)
    return x.squeeze(tuple(axes)) if axes is not None else x.squeeze()


def _flatten(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    axis = attributes.get("axis", 1)
    if axis == 0:
        return x.reshape(1, -1)
    return x.flatten(1) if axis == 1 else x.flatten(axis % x.dim()).flatten(0, axis % x.dim() - 1)


def _flat_softmax(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """Before opset 13: over everything from an axis on."""
    x: Tensor = inputs[0]
    axis = attributes.get("axis", 1) % x.dim()
    return F.softmax(x.flatten(axis), axis).reshape(x.shape)


def _prelu(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, slope = inputs
    return torch.where(x >= 0, x, x * slope) if slope.numel() > 1 else F.prelu(x, slope.flatten())


def _gather(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, at = inputs
    axis = attributes.get("axis", 0) % x.dim()
    at = torch.where(at < 0, at + x.shape[axis], at)
    found: Tensor = x.index_select(axis, at.flatten().long())
    return found.reshape([*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]])


def _cast(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    kinds = {
        onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.INT64: torch.int64,
        onnx.TensorProto.INT32: torch.int32, onnx.TensorProto.BOOL: torch.bool,
        onnx.TensorProto.DOUBLE: torch.float64,
    }  # fmt: skip
    if attributes["to"] not in kinds:
        raise CaptureError(f"Cast to {onnx.TensorProto.DataType.Name(attributes['to'])}")
    found: Tensor = inputs[0].to(kinds[attributes["to"]])
    return found


def _depth_to_space(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, side = inputs[0], attributes["blocksize"]
    if attributes.get("mode", b"DCR") == b"CRD":
        return F.pixel_shuffle(x, side)
    batch, channels, height, width = x.shape
    y = x.reshape(batch, side, side, channels // side**2, height, width)
    found: Tensor = y.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * side, width * side)
    return found


def _space_to_depth(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, side = inputs[0], attributes["blocksize"]
    batch, channels, height, width = x.shape
    y = x.reshape(batch, channels, height // side, side, width // side, side)
    found: Tensor = y.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // side, width // side)
    return found


def _dequantize(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """Stored as integers; of constants alone."""
    x, scale = inputs[0], inputs[1]
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else torch.zeros(())
    if scale.dim() == 1 and scale.numel() > 1:
        sizes = [1] * x.dim()
        sizes[attributes.get("axis", 1)] = -1
        scale, zero = scale.reshape(sizes), zero.reshape(sizes) if zero.dim() else zero
    found: Tensor = (x.float() - zero.float()) * scale
    return found


def _expand(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, wanted = inputs[0], list(inputs[1])
    own = [1] * (len(wanted) - x.dim()) + list(x.shape)
    wanted = [1] * (len(own) - len(wanted)) + wanted
    found: Tensor = x.expand([b if a == 1 else a for a, b in zip(own, wanted, strict=True)])
    return found


def _gelu(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    return F.gelu(inputs[0], approximate=attributes.get("approximate", b"none").decode())


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda attributes, inputs: function(inputs[0])


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda attributes, inputs: function(inputs[0], inputs[1])


def _several(function: Callable[[Any, Any], Any], mean: bool = False) -> Operator:
    def folded(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
        found = inputs[0]
        for one in inputs[1:]:
            found = function(found, one)
        whole: Tensor = found / len(inputs) if mean else found
        return whole

    return folded


OPERATORS: dict[str, Operator] = {
    "Conv": windows.conv, "ConvTranspose": windows.conv_transpose, "MaxPool": windows.max_pool,
    "AveragePool": windows.average_pool, "Pad": windows.pad, "Resize": windows.resize,
    "Upsample": windows.resize,
    "Gemm": _gemm, "MatMul": _binary(torch.matmul), "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "LRN": _local_norm, "Clip": _clip, "Reshape": _reshape, "Slice": _slice, "Split": _split,
    "ReduceMean": _reduce(lambda x, axes, keeps: x.mean(axes, keepdim=keeps)),
    "ReduceSum": _reduce(lambda x, axes, keeps: x.sum(axes, keepdim=keeps)),
    "ReduceMax": _reduce(lambda x, axes, keeps: x.amax(axes, keepdim=keeps)),
    "ReduceMin": _reduce(lambda x, axes, keeps: x.amin(axes, keepdim=keeps)),
    "ReduceL2": _reduce(lambda x, axes, keeps: x.square().sum(axes, keepdim=keeps).sqrt()),
    "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Flatten": _flatten, "Gather": _gather,
    "Cast": _cast, "PRelu": _prelu, "Expand": _expand, "Gelu": _gelu,
    "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth,
    "DequantizeLinear": _dequantize,
    "GlobalAveragePool": _unary(lambda x: F.adaptive_avg_pool2d(x, 1)),
    "GlobalMaxPool": _unary(lambda x: F.adaptive_max_pool2d(x, 1)),
    "Relu": _unary(F.relu), "Sigmoid": _unary(torch.sigmoid), "Tanh": _unary(torch.tanh),
    "HardSwish": _unary(F.hardswish), "Erf": _unary(torch.erf), "Sqrt": _unary(torch.sqrt),
    "Exp": _unary(torch.exp), "Log": _unary(torch.log), "Abs": _unary(torch.abs),
    "Neg": _unary(torch.neg), "Reciprocal": _unary(torch.reciprocal), "Floor": _unary(torch.floor),
    "Softplus": _unary(F.softplus), "Mish": _unary(F.mish), "Softsign": _unary(F.softsign),
    "Identity": _unary(lambda x: x), "Dropout": _unary(lambda x: x),
    "LeakyRelu": lambda a, i: F.leaky_relu(i[0], a.get("alpha", 0.01)),
    "Elu": lambda a, i: F.elu(i[0], a.get("alpha", 1.0)),
    "HardSigmoid": lambda a, i: torch.clamp(
        i[0] * a.get("alpha", 0.2) + a.get("beta", 0.5), 0.0, 1.0
    ),
    "Softmax": lambda a, i: F.softmax(i[0], a.get("axis", -1)),
    "LogSoftmax": lambda a, i: F.log_softmax(i[0], a.get("axis", -1)),
    "Concat": lambda a, i: torch.cat(list(i), a["axis"]),
    "Transpose": lambda a, i: i[0].permute(a.get("perm", list(range(i[0].dim()))[::-1])),
    "Tile": lambda a, i: i[0].repeat(i[1]),
    "Einsum": lambda a, i: torch.einsum(a["equation"].decode(), *i),
    "ArgMax": lambda a, i: i[0].argmax(a.get("axis", 0), bool(a.get("keepdims", 1))),
    "Where": lambda a, i: torch.where(i[0], i[1], i[2]),
    "Greater": _binary(torch.gt), "Less": _binary(torch.lt), "Equal": _binary(torch.eq),
    "Add": _binary(torch.add), "Sub": _binary(torch.sub), "Mul": _binary(torch.mul),
    "Div": _binary(torch.div), "Pow": _binary(torch.pow),
    "Sum": _several(torch.add), "Mean": _several(torch.add, mean=True),
    "Max": _several(torch.maximum), "Min": _several(torch.minimum),
}  # fmt: skip
"""What each operator does, given its attributes and its inputs, constants included."""

_BEFORE: dict[str, tuple[float, Operator]] = {
    "Softmax": (13, _flat_softmax),
    "Upsample": (math.inf, lambda a, i: windows.resize({**a, **windows.OLD_RULE}, i)),
    "Resize": (11, lambda a, i: windows.resize({**a, **windows.OLD_RULE}, i)),
}  # fmt: skip
"""Operators that meant something else before an opset: the opset, and what they did."""


def operator_for(name: str, opset: int) -> Operator:
    """What an operator does in a version of ONNX's operators."""
    until, older = _BEFORE.get(name, (0, OPERATORS[name]))
    return older if opset < until else OPERATORS[name]
