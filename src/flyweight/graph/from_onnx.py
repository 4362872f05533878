"""An ONNX model as a PyTorch module: a module for each node, named as the node is.

What is read are the operators of convolutional networks with shapes that the model knows. Anything
else is said by name, and nothing is guessed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from flyweight.errors import CaptureError, UsageError, first_line

Attributes: TypeAlias = Mapping[str, Any]
Operator: TypeAlias = Callable[[Attributes, Sequence[Any]], Any]


def from_onnx(path: Path) -> nn.Module:
    """Read a model of one image input.

    Args:
        path: an .onnx file; external data lies beside it.

    Returns:
        A module in evaluation mode, without gradients. Its submodules are called as the nodes are.

    Raises:
        UsageError: there is no such file, it is no ONNX model, or it has several inputs.
        CaptureError: it has operators, or shapes computed at run time, that can't be read; all of
            them are named.
    """
    try:
        model = onnx.load(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except Exception as error:
        raise UsageError(f"{path} is no ONNX model: {first_line(error)}") from error
    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((a for a in node.attribute if a.name == "value"), None)
            if value is not None:
                constants[node.output[0]] = numpy_helper.to_array(value.t)
    inputs = [one.name for one in graph.input if one.name not in constants]
    if len(inputs) != 1:
        raise UsageError(
            f"{path} takes {len(inputs)} inputs ({', '.join(inputs)}), and only networks of one can"
            " be run here"
        )
    nodes = [node for node in graph.node if node.output[0] not in constants]
    unread = sorted({node.op_type for node in nodes} - set(OPERATORS))
    unread += [
        f"{node.op_type} with a shape computed at run time ({node.name or node.output[0]})"
        for node in nodes
        for place in _STATIC.get(node.op_type, ())
        if place < len(node.input) and node.input[place] and node.input[place] not in constants
    ]
    if unread:
        raise CaptureError(f"{path} can't be read: {', '.join(unread)}")
    tensors = {name: torch.from_numpy(value.copy()) for name, value in constants.items()}
    return OnnxNetwork(path.stem, nodes, tensors, inputs[0], [one.name for one in graph.output])


class OnnxNetwork(nn.Module):
    """The nodes of a model, in order.

    Args:
        name: of the model.
        nodes: all but constants.
        constants: by name.
        source: the input.
        outputs: what is put out.
    """

    def __init__(
        self,
        name: str,
        nodes: Sequence[onnx.NodeProto],
        constants: Mapping[str, Tensor],
        source: str,
        outputs: Sequence[str],
    ) -> None:
        super().__init__()
        self.variant = name
        self._source, self._outputs = source, list(outputs)
        self._steps: list[tuple[str, list[str], list[str]]] = []
        for index, node in enumerate(nodes):
            called = _called(node, index, self)
            step = OnnxNode(node, constants)
            self.add_module(called, step)
            read = [one for one in node.input if one and one not in constants]
            self._steps.append((called, read, list(node.output)))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        """What the model puts out; several outputs as a tuple."""
        values: dict[str, Any] = {self._source: x}
        for called, read, written in self._steps:
            found = getattr(self, called)(*(values[name] for name in read))
            several = found if isinstance(found, tuple | list) else (found,)
            values |= dict(zip(written, several, strict=False))
        outputs = tuple(values[name] for name in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _called(node: onnx.NodeProto, index: int, network: nn.Module) -> str:
    """A name that a module can have."""
    name = re.sub(r"\W+", "_", node.name or f"{node.op_type}_{index}").strip("_")
    taken = hasattr(network, name) or not name.isidentifier()
    return f"{node.op_type}_{index}_{name}".rstrip("_") if taken else name


class OnnxNode(nn.Module):
    """One node, with the constants that it reads."""

    def __init__(self, node: onnx.NodeProto, constants: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._operator = OPERATORS[node.op_type]
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        self._inputs: list[Any] = []
        plain = _STATIC.get(node.op_type, ())
        for place, name in enumerate(node.input):
            if not name:
                self._inputs.append(None)
            elif name not in constants:
                self._inputs.append(_COMPUTED)
            elif place in plain:
                self._inputs.append(constants[name].tolist())
            else:
                held = "weight" if place == 1 else f"constant_{place}"
                self.register_buffer(held, constants[name])
                self._inputs.append(held)

    def forward(self, *computed: Any) -> Any:
        """What the node puts out."""
        left = iter(computed)
        inputs = [
            next(left) if one is _COMPUTED else getattr(self, one) if isinstance(one, str) else one
            for one in self._inputs
        ]
        return self._operator(self._attributes, inputs)


_COMPUTED = ...
"""Stands for an input that another node makes. It stays itself when a module is copied."""
_STATIC = {
    "Reshape": (1,), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Unsqueeze": (1,),
    "Pad": (1, 2, 3), "Clip": (1, 2), "ReduceMean": (1,), "Resize": (1, 2, 3), "Expand": (1,),
}  # fmt: skip
"""Inputs that must be constants: shapes and the like."""


def _padding(attributes: Attributes, x: Tensor, value: float = 0.0) -> tuple[Tensor, list[int]]:
    """The input, padded where sides differ, and what is left for the operation to pad."""
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise CaptureError("padding that depends on the input's size (auto_pad)")
    pads = list(attributes.get("pads", [0] * 2 * (x.dim() - 2)))
    half = len(pads) // 2
    if pads[:half] == pads[half:]:
        return x, pads[:half]
    sides = [side for d in reversed(range(half)) for side in (pads[d], pads[half + d])]
    return F.pad(x, sides, value=value), [0] * half


def _conv(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, padding = _padding(attributes, inputs[0])
    weight = inputs[1]
    bias = inputs[2] if len(inputs) > 2 else None
    ones = [1] * (weight.dim() - 2)
    convolve = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    found: Tensor = convolve(
        x, weight, bias, attributes.get("strides", ones), padding,
        attributes.get("dilations", ones), attributes.get("group", 1),
    )  # fmt: skip
    return found


def _gemm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x = inputs[0].t() if attributes.get("transA") else inputs[0]
    weight = inputs[1] if attributes.get("transB") else inputs[1].t()
    plain = attributes.get("alpha", 1.0) == 1.0 and attributes.get("beta", 1.0) == 1.0
    if not plain:
        raise CaptureError("Gemm with factors")
    return F.linear(x, weight, inputs[2] if len(inputs) > 2 else None)


def _max_pool(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, padding = _padding(attributes, inputs[0], -torch.inf)
    kernel = attributes["kernel_shape"]
    return F.max_pool2d(
        x, kernel, attributes.get("strides", [1] * len(kernel)), padding,
        attributes.get("dilations", 1), bool(attributes.get("ceil_mode")),
    )  # fmt: skip


def _average_pool(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, padding = _padding(attributes, inputs[0])
    if x is not inputs[0] and not attributes.get("count_include_pad"):
        raise CaptureError("AveragePool with sides padded differently")
    kernel = attributes["kernel_shape"]
    return F.avg_pool2d(
        x, kernel, attributes.get("strides", [1] * len(kernel)), padding,
        bool(attributes.get("ceil_mode")), bool(attributes.get("count_include_pad")),
    )  # fmt: skip


def _batch_norm(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x, scale, shift, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, shift, eps=attributes.get("epsilon", 1e-5))


def _clip(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    low = inputs[1] if len(inputs) > 1 else attributes.get("min")
    high = inputs[2] if len(inputs) > 2 else attributes.get("max")
    return torch.clamp(inputs[0], low, high)


def _reshape(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    sizes = [x.shape[at] if size == 0 else size for at, size in enumerate(inputs[1])]
    return x.reshape(sizes)


def _slice(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    starts, ends = inputs[1], inputs[2]
    axes = inputs[3] if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
    steps = inputs[4] if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
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
        parts = attributes.get("num_outputs")
        if parts is None:
            raise CaptureError("Split without sizes")
        return tuple(torch.chunk(inputs[0], parts, axis))
    return tuple(torch.split(inputs[0], list(sizes), axis))


def _axes(attributes: Attributes, inputs: Sequence[Any]) -> list[int] | None:
    axes = inputs[1] if len(inputs) > 1 else attributes.get("axes")
    return None if axes is None else list(axes)


def _reduce_mean(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    axes = _axes(attributes, inputs) or list(range(inputs[0].dim()))
    found: Tensor = inputs[0].mean(axes, keepdim=bool(attributes.get("keepdims", 1)))
    return found


def _unsqueeze(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    x: Tensor = inputs[0]
    for axis in sorted(_axes(attributes, inputs) or []):
        x = x.unsqueeze(axis)
    return x


def _squeeze(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    axes = _axes(attributes, inputs)
    if axes is None:
        raise CaptureError("Squeeze without axes")
    found: Tensor = inputs[0].squeeze(tuple(axes))
    return found


def _pad(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    if attributes.get("mode", b"constant") != b"constant" or len(inputs) > 3:
        raise CaptureError("Pad that isn't by a constant on all sides")
    pads = inputs[1] if len(inputs) > 1 else attributes["pads"]
    half = len(pads) // 2
    sides = [side for d in reversed(range(half)) for side in (pads[d], pads[half + d])]
    value = inputs[2] if len(inputs) > 2 and inputs[2] is not None else 0.0
    return F.pad(inputs[0], sides, value=value)


def _flatten(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    if attributes.get("axis", 1) != 1:
        raise CaptureError("Flatten on another axis than 1")
    found: Tensor = inputs[0].flatten(1)
    return found


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda attributes, inputs: function(inputs[0])


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda attributes, inputs: function(inputs[0], inputs[1])


OPERATORS: dict[str, Operator] = {
    "Conv": _conv, "Gemm": _gemm, "MatMul": _binary(torch.matmul), "MaxPool": _max_pool,
    "AveragePool": _average_pool, "BatchNormalization": _batch_norm, "Clip": _clip,
    "Reshape": _reshape, "Slice": _slice, "Split": _split, "ReduceMean": _reduce_mean,
    "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Pad": _pad, "Flatten": _flatten,
    "GlobalAveragePool": _unary(lambda x: F.adaptive_avg_pool2d(x, 1)),
    "GlobalMaxPool": _unary(lambda x: F.adaptive_max_pool2d(x, 1)),
    "Relu": _unary(F.relu), "Sigmoid": _unary(torch.sigmoid), "Tanh": _unary(torch.tanh),
    "HardSwish": _unary(F.hardswish), "Erf": _unary(torch.erf), "Sqrt": _unary(torch.sqrt),
    "Exp": _unary(torch.exp), "Identity": _unary(lambda x: x), "Dropout": _unary(lambda x: x),
    "LeakyRelu": lambda a, i: F.leaky_relu(i[0], a.get("alpha", 0.01)),
    "Elu": lambda a, i: F.elu(i[0], a.get("alpha", 1.0)),
    "HardSigmoid": lambda a, i: torch.clamp(
        i[0] * a.get("alpha", 0.2) + a.get("beta", 0.5), 0.0, 1.0
    ),
    "Softmax": lambda a, i: F.softmax(i[0], a.get("axis", -1)),
    "Concat": lambda a, i: torch.cat(list(i), a["axis"]),
    "Transpose": lambda a, i: i[0].permute(a["perm"]),
    "Add": _binary(torch.add), "Sub": _binary(torch.sub), "Mul": _binary(torch.mul),
    "Div": _binary(torch.div), "Pow": _binary(torch.pow),
}  # fmt: skip
"""What each operator does, given its attributes and its inputs, constants included."""
