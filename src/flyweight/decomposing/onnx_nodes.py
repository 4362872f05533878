"""The nodes of an ONNX model, to be found again under the names that engines give them."""

import ast
import math
from collections.abc import Iterable
from dataclasses import dataclass

import onnx

_MODULES = "pkg.torch.onnx.name_scopes"
"""Metadata in which PyTorch's exporter says which modules a node comes from."""
_PRODUCTS = ("Conv", "Gemm", "MatMul")
_FUSED_BEHIND = 4
"""Nodes behind a product that an engine may have fused with it, at most: a norm, a sum, two for an
activation."""


@dataclass(frozen=True)
class OnnxNode:
    """A node of a model.

    Attributes:
        operator: e.g. "Conv".
        module: that asked for it; "" where the model doesn't say.
        reads: the values that it reads.
        output: shape of its first output; () where it isn't known.
        madds: multiply-adds of a convolution or matrix product.
        depthwise: whether it is a depthwise convolution.
        weights: elements of a product's constants, bias included.
    """

    operator: str
    module: str
    reads: tuple[str, ...]
    output: tuple[int, ...]
    madds: int
    depthwise: bool
    weights: int


class OnnxNodes:
    """The nodes of a model by their names and by the values that they put out."""

    def __init__(self, model: bytes) -> None:
        graph = onnx.load_from_string(model).graph
        shapes = _shapes(graph)
        weights = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
        self._named: dict[str, OnnxNode] = {}
        for node in graph.node:
            found = _node(node, shapes, weights)
            self._named |= dict.fromkeys((node.name, *node.output), found)

    def find(self, names: Iterable[str], product: bool) -> OnnxNode | None:
        """The node that an engine's operation was made of; None where none of the names is known.

        Args:
            names: what the engine calls it, and the nodes fused into it, if it tells.
            product: whether it is a convolution or matrix product; then that node is meant, not
                what is fused into it.
        """
        known = [self._named[name] for name in names if name in self._named]
        if not product:
            return known[0] if known else None
        for node in known:
            found = self._product_before(node)
            if found is not None:
                return found
        return None

    def _product_before(self, node: OnnxNode) -> OnnxNode | None:
        """The node itself, or the product whose result it works on."""
        for _ in range(_FUSED_BEHIND + 1):
            if node.operator in _PRODUCTS:
                return node
            makers = [self._named[name] for name in node.reads if name in self._named]
            if not makers:
                return None
            # Of a sum's operands the product that is fused with it is one; the other is older.
            node = next((one for one in makers if one.operator in _PRODUCTS), makers[0])
        return None


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Shapes of values and constants, those that are known and fixed."""
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        sizes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(
            size.HasField("dim_value") for size in sizes
        ):
            found[value.name] = tuple(size.dim_value for size in sizes)
    return found


def _node(
    node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], weights: dict[str, int]
) -> OnnxNode:
    output = shapes.get(node.output[0], ())
    read = [shapes.get(name, ()) for name in node.input]
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    madds, depthwise = 0, False
    if node.op_type == "Conv" and len(read) > 1:
        madds = math.prod(output) * math.prod(read[1][1:])
        depthwise = groups > 1 and len(read[0]) > 1 and groups == read[0][1] == read[1][0]
    elif node.op_type in _PRODUCTS and read and read[0]:
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        madds = math.prod(output) * read[0][0 if turned else -1]
    own = sum(weights.get(name, 0) for name in node.input)
    return OnnxNode(
        node.op_type, _module(node, weights), tuple(node.input), output, madds, depthwise, own
    )


def _module(node: onnx.NodeProto, weights: dict[str, int]) -> str:
    """The module that asked for a node.

    Of a convolution it is the one that its weights are in: the exporter folds norms into it, and
    then calls it after them. Others are told apart by what the model says alone, since modules with
    equal weights, such as fresh norms, share them in the file.
    """
    held = [str(name) for name in node.input if name in weights and name.endswith(".weight")]
    if held and node.op_type in _PRODUCTS:
        return held[0].removesuffix(".weight")
    for entry in node.metadata_props:
        if entry.key == _MODULES:
            scopes = [str(scope) for scope in ast.literal_eval(entry.value)]
            return scopes[-2] if len(scopes) > 1 else ""
    return held[0].removesuffix(".weight") if held else ""
