"""Nodes of an ONNX model as modules, or as functions of shapes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import NodeProto
from torch import Tensor, nn

from flyweight.graph.onnx_numbers import NUMBERS, Numbers, shape_of, size_of
from flyweight.graph.onnx_operators import NUMBERS_AT, OPERATORS, operator_for

SIZES = {"Shape": shape_of, "Size": size_of}
"""Operators that read nothing but a tensor's shape."""


def called(node: NodeProto) -> str:
    """What people call a node."""
    return str(node.name or node.output[0] or node.op_type)


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


class OnnxNumbers:
    """A node that computes numbers from the input's shape."""

    def __init__(self, node: NodeProto, constants: Mapping[str, Numbers]) -> None:
        self._operator = SIZES.get(node.op_type) or NUMBERS[node.op_type]
        self._attributes = attributes_of(node)
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
        self._attributes = attributes_of(node)
        if node.op_type == "Split":
            self._attributes.setdefault("num_outputs", len(node.output))
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
                value = value.tolist() if place in self._plain else tensor_of(value)
            inputs.append(value)
        return self._operator(self._attributes, inputs)


def tensor_of(numbers: Numbers) -> Tensor:
    """Numbers as a tensor among others."""
    if numbers.dtype != object:
        return torch.from_numpy(np.array(numbers))
    whole = not any(isinstance(one, float | torch.SymFloat) for one in numbers.flat)
    kind = torch.int64 if whole else torch.float32
    # One by one, since an open number of images may be among them.
    scalars = [torch.scalar_tensor(one, dtype=kind) for one in numbers.flat]
    return torch.stack(scalars).reshape(numbers.shape) if scalars else torch.empty(0, dtype=kind)


_COMPUTED = ...
"""Stands for an input that another node makes. It stays itself when a module is copied."""
_NONE = ...
"""Stands for an input that is left out."""
