"""An ONNX model as a PyTorch module: a module for each node, named as the node is.

What is read are the operators of convolutional networks. Shapes may be computed by nodes, as long
as they follow from the input's shape. Anything else is said by name, and nothing is guessed.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import NodeProto
from onnx.external_data_helper import load_external_data_for_model
from onnx.inliner import inline_local_functions
from torch import Tensor, nn

from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.graph.onnx_nodes import OnnxNode, OnnxNumbers, called, tensor_of
from flyweight.graph.onnx_plan import STANDARD, Plan, check_operators

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
    check_operators(path, graph)
    opset = max((one.version for one in model.opset_import if one.domain in STANDARD), default=1)
    try:
        plan = Plan.of(graph, opset, inputs[0].name)
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


class OnnxNetwork(nn.Module):
    """The nodes of a model, in order.

    Args:
        path: of the file.
        plan: its nodes.
        shape: of its input, where the file says it.
    """

    def __init__(self, path: Path, plan: Plan, shape: tuple[int | None, ...] | None) -> None:
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
            name = _module_name(node, index, self)
            if step.numbers:
                self._numbers[name] = OnnxNumbers(node, plan.constants)
            else:
                self.add_module(name, OnnxNode(node, plan.constants, plan.opset))
            read = [one for one in node.input if one and one not in plan.constants]
            self._steps.append((name, node, read, list(node.output)))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        """What the model puts out; several outputs as a tuple."""
        values: dict[str, Any] = {**self._constants, self._source: x}
        for name, node, read, written in self._steps:
            step = self._numbers.get(name) or getattr(self, name)
            try:
                found = step(*(values[one] for one in read))
            except Exception as error:
                raise CaptureError(
                    f"{node.op_type} ({called(node)}): {first_line(error)}"
                ) from error
            several = found if isinstance(found, tuple | list) else (found,)
            values |= dict(zip(written, several, strict=False))
        found = [values[name] for name in self._outputs]
        outputs = tuple(tensor_of(one) if isinstance(one, np.ndarray) else one for one in found)
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
