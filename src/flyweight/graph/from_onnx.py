"""An ONNX model as a PyTorch module: a module for each node, named as the node is.

What is read are the operators of convolutional networks. Shapes may be computed by nodes, as long
as they follow from the input's shape. Anything else is said by name, and nothing is guessed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import NodeProto, numpy_helper
from onnx.external_data_helper import load_external_data_for_model
from onnx.inliner import inline_local_functions
from torch import Tensor, nn

from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.graph.onnx_numbers import NUMBERS, Numbers, shape_of, size_of
from flyweight.graph.onnx_operators import NUMBERS_AT, OPERATORS, operator_for

_SIZES = {"Shape": shape_of, "Size": size_of}
_STANDARD = ("", "ai.onnx")
_QUANTISED = re.compile(r"Quantize|QLinear|Integer$|^QAttention|^QGemm")
_SIDE = 224
"""Of images, where a file leaves it open."""
_MOST_COLOURS = 4


def from_onnx(path: Path) -> "OnnxNetwork":
    """Read a model of one image input.

    Args:
        path: an .onnx file; external data lies beside it.

    Returns:
        A module in evaluation mode, without gradients. Its submodules are called as the nodes are.

    Raises:
        UsageError: there is no such file, it is no ONNX model, or its input isn't one tensor of
            float32.
        CaptureError: it has operators that can't be read, shapes that depend on the image's values,
            or is quantised; what it is about is named.
    """
    model = _loaded(path)
    graph = model.graph
    held = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in held]
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise UsageError(
            f"{path} takes {len(inputs)} inputs ({names}), and only networks of one can be run here"
        )
    shape = _declared(path, inputs[0])
    _check_operators(path, graph)
    opset = max((one.version for one in model.opset_import if one.domain in _STANDARD), default=1)
    try:
        plan = _Plan.of(graph, opset, inputs[0].name)
    except CaptureError as error:
        raise CaptureError(f"{path} can't be read: {error}") from error
    return OnnxNetwork(path, plan, shape)


def _loaded(path: Path) -> onnx.ModelProto:
    """The model with its data, and its own functions written out.

    Raises:
        UsageError: there is no such file, it is no ONNX model, or its data isn't there.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except Exception as error:
        raise UsageError(f"{path} is no ONNX model: {first_line(error)}") from error
    try:
        load_external_data_for_model(model, str(path.resolve().parent))
    except Exception as error:
        raise UsageError(
            f"{path}: the data that belongs beside it can't be read: {first_line(error)}"
        ) from error
    return inline_local_functions(model) if model.functions else model


def _declared(path: Path, held: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    """The input's shape: None for what is open, or for all of it.

    Raises:
        UsageError: it is no tensor of float32.
    """
    kind = held.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        raise UsageError(f"{path} takes {held.name} as {name}, and only float32 can be run here")
    if not kind.HasField("shape"):
        return None
    return tuple(one.dim_value if one.dim_value > 0 else None for one in kind.shape.dim)


def _check_operators(path: Path, graph: onnx.GraphProto) -> None:
    """Find out whether all operators are known.

    Raises:
        CaptureError: some aren't; all of them are named.
    """
    constants = {one.name for one in graph.initializer}
    names: set[str] = set()
    for node in graph.node:  # in an order in which they can run
        if node.op_type == "Constant" or (node.input and constants.issuperset(node.input)):
            constants.update(node.output)
        elif node.op_type not in _SIZES or node.domain not in _STANDARD:
            names.add(_operator(node))
    quantised = sorted(name for name in names if _QUANTISED.search(name.split("::")[-1]))
    if quantised:
        raise CaptureError(
            f"{path} is quantised ({', '.join(quantised)}): what would be timed here are float"
            " operations, not its own; give the float model that it was made from"
        )
    if unread := sorted(names - set(OPERATORS) - set(NUMBERS)):
        raise CaptureError(f"{path} can't be read: {', '.join(unread)}")


def _operator(node: NodeProto) -> str:
    """Its name, behind its domain where that isn't ONNX's own."""
    return node.op_type if node.domain in _STANDARD else f"{node.domain}::{node.op_type}"


@dataclass(frozen=True)
class _Step:
    """A node that is computed for each image.

    Attributes:
        node: it.
        numbers: whether it computes numbers that follow from the input's shape alone.
    """

    node: NodeProto
    numbers: bool


@dataclass(frozen=True)
class _Plan:
    """What is left of a graph when everything constant is computed.

    Attributes:
        steps: in order.
        constants: by name; what was stored, and what follows from it.
        opset: version of the operators.
        source: the input.
        outputs: what is put out.
    """

    steps: tuple[_Step, ...]
    constants: Mapping[str, Numbers]
    opset: int
    source: str
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, graph: onnx.GraphProto, opset: int, source: str) -> "_Plan":
        """Go through a graph once.

        Raises:
            CaptureError: a shape depends on the image's values, or a result isn't computed here.
        """
        constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        numbers: set[str] = set()
        known = {source}
        steps = []
        for node in graph.node:
            read = [name for name in node.input if name]
            if node.op_type == "Constant":
                constants[node.output[0]] = _constant(node)
                continue
            if missing := [n for n in read if n not in constants and n not in known]:
                raise CaptureError(f"{_called(node)} reads {missing[0]}, which nothing computes")
            if constants.keys() >= set(read):
                constants |= zip(node.output, _folded(node, read, constants, opset), strict=False)
                continue
            sizes = node.op_type in _SIZES
            plain = sizes or (
                node.op_type in NUMBERS
                and all(name in numbers or _is_shape(constants.get(name)) for name in read)
            )
            if not plain:
                _check_numbers(node, constants, numbers)
            steps.append(_Step(node, plain))
            made = node.output if node.op_type == "Split" else node.output[:1]
            known.update(made)
            numbers.update(made if plain else ())
        outputs = tuple(one.name for one in graph.output)
        if missing := [name for name in outputs if name not in constants and name not in known]:
            raise CaptureError(f"it puts out {missing[0]}, which nothing computes")
        return cls(tuple(steps), constants, opset, source, outputs)


def _is_shape(array: Numbers | None) -> bool:
    """Whether it may be part of a shape: a number, or a list of them."""
    return array is not None and array.ndim <= 1


def _constant(node: NodeProto) -> Numbers:
    for one in node.attribute:
        if one.name == "value":
            return numpy_helper.to_array(one.t)
        if one.name in ("value_float", "value_floats"):
            return np.array(onnx.helper.get_attribute_value(one), np.float32)
        if one.name in ("value_int", "value_ints"):
            return np.array(onnx.helper.get_attribute_value(one), np.int64)
    raise CaptureError(f"{_called(node)} holds something else than numbers")


def _folded(
    node: NodeProto, read: Sequence[str], constants: Mapping[str, Numbers], opset: int
) -> list[Numbers]:
    """What a node of constants alone puts out."""
    attributes = _attributes(node)
    arrays = [constants[name] if name else None for name in node.input]
    try:
        if node.op_type in _SIZES:
            return [_SIZES[node.op_type](attributes, arrays).astype(np.int64)]
        if node.op_type in NUMBERS:
            return [np.asarray(NUMBERS[node.op_type](attributes, arrays))]
        if node.op_type not in OPERATORS or node.domain not in _STANDARD:
            raise CaptureError(f"it is {_operator(node)}")
        found = OnnxNode(node, {name: constants[name] for name in read}, opset)()
    except Exception as error:
        raise CaptureError(f"{_called(node)}, of constants: {first_line(error)}") from error
    several = found if isinstance(found, tuple) else (found,)
    return [one.numpy() for one in several]


def _check_numbers(node: NodeProto, constants: Mapping[str, Numbers], numbers: set[str]) -> None:
    if node.op_type not in OPERATORS:
        raise CaptureError(f"{node.op_type} of image values ({_called(node)})")
    for place in NUMBERS_AT.get(node.op_type, ()):
        name = node.input[place] if place < len(node.input) else ""
        if name and name not in constants and name not in numbers:
            raise CaptureError(
                f"{node.op_type} with a shape computed at run time, from the image's values"
                f" ({_called(node)})"
            )


def _called(node: NodeProto) -> str:
    """What people call a node."""
    return str(node.name or node.output[0] or node.op_type)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


class OnnxNetwork(nn.Module):
    """The nodes of a model, in order.

    Args:
        path: of the file.
        plan: its nodes.
        shape: of its input, where the file says it.
    """

    def __init__(self, path: Path, plan: _Plan, shape: tuple[int | None, ...] | None) -> None:
        super().__init__()
        self.path = path
        self.variant = path.stem
        self.declared = shape
        self._source, self._outputs = plan.source, plan.outputs
        self._constants = {
            one: torch.from_numpy(np.array(plan.constants[one]))
            for one in plan.outputs
            if one in plan.constants
        }
        self._steps: list[tuple[str, NodeProto, list[str], list[str]]] = []
        self._numbers: dict[str, OnnxNumbers] = {}
        for index, step in enumerate(plan.steps):
            node = step.node
            called = _module_name(node, index, self)
            if step.numbers:
                self._numbers[called] = OnnxNumbers(node, plan.constants)
            else:
                self.add_module(called, OnnxNode(node, plan.constants, plan.opset))
            read = [one for one in node.input if one and one not in plan.constants]
            self._steps.append((called, node, read, list(node.output)))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        """What the model puts out; several outputs as a tuple."""
        values: dict[str, Any] = {**self._constants, self._source: x}
        for called, node, read, written in self._steps:
            step = self._numbers.get(called) or getattr(self, called)
            try:
                found = step(*(values[name] for name in read))
            except (RuntimeError, ValueError, IndexError, TypeError, CaptureError) as error:
                raise CaptureError(
                    f"{node.op_type} ({_called(node)}): {first_line(error)}"
                ) from error
            several = found if isinstance(found, tuple | list) else (found,)
            values |= dict(zip(written, several, strict=False))
        outputs = tuple(values[name] for name in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def example_shape(self) -> tuple[int, ...]:
        """The input's shape, one image where their number is open, and of 224 pixels a side.

        Raises:
            UsageError: the file doesn't say enough for that.
        """
        shape = self.declared or ()
        rest = shape[1:]
        last = len(rest) == 3 and rest[2] is not None and rest[2] <= _MOST_COLOURS
        sides = (0, 1) if last and rest[0] != 3 else (1, 2)
        sizes = [
            _SIDE if size is None and len(rest) == 3 and at in sides else size
            for at, size in enumerate(rest)
        ]
        if not sizes or None in sizes:
            raise UsageError(
                f"{self.variant} leaves its input's shape open ({_shown(shape)}); give it with"
                " --input, batch first"
            )
        return (shape[0] or 1, *(size for size in sizes if size is not None))


def _shown(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "not known at all"


def _module_name(node: NodeProto, index: int, network: nn.Module) -> str:
    """A name that a module can have."""
    name = re.sub(r"\W+", "_", node.name or f"{node.op_type}_{index}").strip("_")
    taken = hasattr(network, name) or not name.isidentifier()
    return f"{node.op_type}_{index}_{name}".rstrip("_") if taken else name


class OnnxNumbers:
    """A node that computes numbers from the input's shape."""

    def __init__(self, node: NodeProto, constants: Mapping[str, Numbers]) -> None:
        self._operator = _SIZES.get(node.op_type) or NUMBERS[node.op_type]
        self._attributes = _attributes(node)
        self._inputs = [constants.get(name) if name else _NONE for name in node.input]

    def __call__(self, *computed: Any) -> Any:
        """What the node puts out."""
        left = iter(computed)
        inputs = [
            None if one is _NONE else next(left) if one is None else one for one in self._inputs
        ]
        return np.asarray(self._operator(self._attributes, inputs))


class OnnxNode(nn.Module):
    """One node of tensors, with the constants that it reads."""

    def __init__(self, node: NodeProto, constants: Mapping[str, Numbers], opset: int) -> None:
        super().__init__()
        self._operator = operator_for(node.op_type, opset)
        self._attributes = _attributes(node)
        self._inputs: list[Any] = []
        self._plain = NUMBERS_AT.get(node.op_type, ())
        held = dict(self._prepared(node, constants))
        for place, name in enumerate(node.input):
            if not name:
                self._inputs.append(None)
            elif name not in constants:
                self._inputs.append(_COMPUTED)
            elif place in self._plain:
                self._inputs.append(constants[name].tolist())
            else:
                attribute = "weight" if place == 1 else f"constant_{place}"
                self.register_buffer(attribute, torch.from_numpy(np.array(held[name])))
                self._inputs.append(attribute)

    def _prepared(
        self, node: NodeProto, constants: Mapping[str, Numbers]
    ) -> Iterator[tuple[str, Numbers]]:
        """Constants, the matrices of linear layers as PyTorch keeps them."""
        for place, name in enumerate(node.input):
            if name not in constants:
                continue
            value = constants[name]
            matrix = place == 1 and value.ndim == 2 and node.op_type in ("Gemm", "MatMul")
            if matrix and not self._attributes.get("transB"):
                value = np.ascontiguousarray(value.T)
                self._attributes["transB"] = 1
                self._operator = OPERATORS["Gemm"]
            yield name, value

    def forward(self, *computed: Any) -> Any:
        """What the node puts out."""
        left = iter(computed)
        inputs = []
        for place, one in enumerate(self._inputs):
            value = next(left) if one is _COMPUTED else one
            if isinstance(value, str):
                value = getattr(self, value)
            elif isinstance(value, np.ndarray):
                value = value.tolist() if place in self._plain else _tensor(value)
            inputs.append(value)
        return self._operator(self._attributes, inputs)


def _tensor(numbers: Numbers) -> Tensor:
    """Numbers as a tensor among others."""
    if numbers.dtype != object:
        return torch.from_numpy(np.array(numbers))
    whole = not any(isinstance(one, float) for one in numbers.flat)
    return torch.tensor(numbers.tolist(), dtype=torch.int64 if whole else torch.float32)


_COMPUTED = ...
"""Stands for an input that another node makes. It stays itself when a module is copied."""
_NONE = ...
"""Stands for an input that is left out."""
