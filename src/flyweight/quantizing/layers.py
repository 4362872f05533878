"""The layers of an ONNX model that have weights, by names that people know."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from flyweight.errors import unknown

WEIGHTED = ("Conv", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip")
"""Those that a tool quantises as one with the layer before: their output's range is what counts."""


@dataclass(frozen=True)
class Layer:
    """A layer that can be quantised.

    Attributes:
        name: of its weights, as the lowered network calls them.
        node: of the ONNX model.
        op: the operator, one of `WEIGHTED`.
        weight: the tensor of its weights.
        shape: of that tensor.
        activation: the node behind it that is quantised with it, where there is one.
    """

    name: str
    node: str
    op: str
    weight: str
    shape: tuple[int, ...]
    activation: str | None = None

    @property
    def nodes(self) -> list[str]:
        """The nodes of the model that are quantised together."""
        return [self.node] if self.activation is None else [self.node, self.activation]


def layers_of(proto: onnx.ModelProto) -> tuple[Layer, ...]:
    """Convolutions and linear layers in the order in which they run."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    behind = {node.input[0]: node.name for node in proto.graph.node if node.op_type in ACTIVATIONS}
    return tuple(
        Layer(
            name=node.input[1].removesuffix("_weight"),
            node=node.name,
            op=node.op_type,
            weight=node.input[1],
            shape=shapes[node.input[1]],
            activation=behind.get(node.output[0]),
        )
        for node in proto.graph.node
        if node.op_type in WEIGHTED and node.input[1] in shapes
    )


def kept(layers: Sequence[Layer], names: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of these names.

    Raises:
        UsageError: there is no such layer.
    """
    by_name = {layer.name: layer for layer in layers}
    for name in names:
        if name not in by_name:
            raise unknown("layer", name, by_name)
    return tuple(layer for layer in layers if layer.name in names)
