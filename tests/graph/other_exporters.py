"""ONNX files as other exporters write them, each made by hand from what such files look like."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
Sizes = Sequence[int | str | None]


class File:
    """A model that is put together node by node.

    Args:
        opset: version of the operators.
        shape: of the input; a string leaves a size open.
        ir: version of the file format; until 3 every constant is an input of the graph too.
    """

    def __init__(self, opset: int, shape: Sizes = (1, 3, 32, 32), ir: int = 7) -> None:
        self.opset, self.ir, self.shape = opset, ir, shape
        self.nodes: list[NodeProto] = []
        self.held: dict[str, np.ndarray] = {}
        self.random = np.random.default_rng(0)
        self.outputs: list[str] = []
        self.domains = {"": opset}

    def hold(self, value: Any, kind: type = np.int64) -> str:
        """A constant among the initialisers."""
        name = f"const_{len(self.held)}"
        self.held[name] = np.array(value, kind)
        return name

    def weight(self, *shape: int) -> str:
        """Random weights among the initialisers."""
        fan = int(np.prod(shape[1:])) or 1
        return self.hold(self.random.standard_normal(shape) / fan**0.5, np.float32)

    def constant(self, value: Any, kind: type = np.int64) -> str:
        """A constant as a node, as PyTorch's older exporter writes sizes."""
        name = f"onnx::Constant_{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.array(value, kind))
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node; the name of its output."""
        return self.several(operator, 1, *inputs, domain=domain, **attributes)[0]

    def several(
        self, operator: str, count: int, *inputs: str, domain: str = "", **attributes: Any
    ) -> list[str]:
        """A node of several outputs."""
        at = len(self.nodes)
        names = [f"/{operator}_{at}_{index}:0" for index in range(count)]
        called = f"/net/{operator}_{at}"
        self.nodes.append(
            helper.make_node(operator, inputs, names, called, domain=domain, **attributes)
        )
        self.domains.setdefault(domain, 1)
        return names

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, **attributes: Any) -> str:
        """A convolution with a bias; "pads" keep the size if none are given."""
        groups = attributes.get("group", 1)
        w, b = self.weight(outputs, inputs // groups, kernel, kernel), self.weight(outputs)
        if "pads" not in attributes and "auto_pad" not in attributes:
            attributes["pads"] = [kernel // 2] * 4
        return self.add("Conv", x, w, b, kernel_shape=[kernel, kernel], **attributes)

    def write(self, path: Path, *outputs: str, external: bool = False) -> None:
        """Write the file."""
        kind = helper.make_tensor_value_info
        inputs = [kind("input:0", FLOAT, self.shape)]
        if self.ir <= 3:
            inputs += [kind(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                       for n, v in self.held.items()]  # fmt: skip
        graph = helper.make_graph(
            self.nodes, "graph", inputs, [kind(name, FLOAT, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.held.items()],
        )  # fmt: skip
        imports = [helper.make_opsetid(domain, version) for domain, version in self.domains.items()]
        model = helper.make_model(graph, opset_imports=imports)
        model.ir_version = self.ir
        onnx.save(
            model, path, save_as_external_data=external, location=f"{path.stem}.data",
            size_threshold=16,
        )  # fmt: skip


X = "input:0"


def views(path: Path) -> None:
    """PyTorch before 2.0, a ShuffleNet's shuffle: sizes are taken from the tensor, node by node."""
    f = File(11, ("batch", 3, 32, 32))
    y = f.add("Relu", f.conv(X, 3, 16, 3, strides=[2, 2]))

    def size(of: str, at: int) -> str:
        return f.add("Gather", f.add("Shape", of), f.constant(at), axis=0)

    batch, channels, height, width = (size(y, at) for at in range(4))
    part = f.add("Div", channels, f.constant(4))
    part = f.add("Cast", f.add("Cast", part, to=TensorProto.INT64), to=TensorProto.INT64)
    one = [f.add("Unsqueeze", item, axes=[0]) for item in (batch, part, height, width)]
    grouped = f.add("Concat", one[0], f.constant([4]), *one[1:], axis=0)
    y = f.add("Transpose", f.add("Reshape", y, grouped), perm=[0, 2, 1, 3, 4])
    y = f.add("Reshape", y, f.add("Concat", one[0], f.constant([-1]), *one[2:], axis=0))
    y = f.conv(y, 16, 16, 3, group=4)
    a = f.add("Slice", y, f.constant([0]), f.constant([8]), f.constant([1]), f.constant([1]))
    b = f.add("Slice", y, f.constant([8]), f.constant([2**63 - 1]), f.constant([1]))
    y = f.add("Concat", f.add("Relu", a), f.add("Sigmoid", b), axis=1)
    y = f.add("GlobalAveragePool", y)
    flat = f.add("Concat", f.add("Unsqueeze", size(y, 0), axes=[0]), f.constant([-1]), axis=0)
    y = f.add("Reshape", y, flat)
    f.write(path, f.add("Gemm", y, f.weight(5, 16), f.weight(5), transB=1, alpha=1.0, beta=1.0))


def channels_last(path: Path) -> None:
    """TensorFlow's converter: images come channels last, and every block goes to and fro."""
    f = File(13, ("unk__12", 32, 32, 3))
    y = f.add("Transpose", X, perm=[0, 3, 1, 2])
    for inputs, outputs in ((3, 16), (16, 16), (16, 24)):
        y = f.add("Conv", y, f.weight(outputs, inputs, 3, 3), auto_pad="SAME_UPPER",
                  strides=[1, 1] if inputs == 16 else [2, 2], kernel_shape=[3, 3])  # fmt: skip
        y = f.add("Transpose", y, perm=[0, 2, 3, 1])
        y = f.add("Add", y, f.weight(outputs))
        y = f.add("Min", f.add("Relu", y), f.hold(6.0, np.float32))
        y = f.add("Transpose", y, perm=[0, 3, 1, 2])
    y = f.add("Transpose", y, perm=[0, 2, 3, 1])
    y = f.add("ReduceMean", y, axes=[1, 2], keepdims=0)
    y = f.add("Add", f.add("MatMul", y, f.weight(24, 10)), f.weight(10))
    f.write(path, f.add("Softmax", y, axis=-1))


def padded_first(path: Path) -> None:
    """Keras: the padding is an operation of its own, and pools keep what sticks out."""
    f = File(12)
    pads = f.hold([0, 0, 0, 0, 0, 0, 1, 1])
    y = f.add("Pad", X, pads, f.hold(0.0, np.float32), mode="constant")
    y = f.conv(y, 3, 16, 3, strides=[2, 2], pads=[0, 0, 0, 0])
    scale, shift, mean, variance = (f.hold(np.linspace(0.5, 1.5, 16), np.float32) for _ in range(4))
    y = f.add("BatchNormalization", y, scale, shift, mean, variance, epsilon=1e-3)
    y = f.add("Clip", y, f.hold(0.0, np.float32), f.hold(6.0, np.float32))
    y = f.add("AveragePool", y, auto_pad="SAME_UPPER", kernel_shape=[3, 3], strides=[2, 2])
    y = f.add("MaxPool", y, auto_pad="SAME_LOWER", kernel_shape=[2, 2], strides=[1, 1])
    y = f.add("Squeeze", f.add("GlobalAveragePool", y), axes=[2, 3])
    f.write(path, f.add("Add", f.add("MatMul", y, f.weight(16, 7)), f.weight(7)))


def inputs_too(path: Path) -> None:
    """The first years: every constant is an input of the graph, and norms are Caffe's."""
    f = File(8, ir=3)
    y = f.add("Relu", f.conv(X, 3, 16, 7, strides=[2, 2]))
    y = f.add("LRN", y, size=5, alpha=2e-4, beta=0.75, bias=1.0)
    y = f.add("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    y = f.add("Relu", f.conv(y, 16, 16, 3, group=2))
    y, _ = f.several("Dropout", 2, y, ratio=0.5)
    y = f.add("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2])
    y = f.add("Reshape", y, f.hold([1, -1]))
    y = f.add("Gemm", y, f.weight(144, 9), f.weight(9))
    f.write(path, f.add("Softmax", y))


def upsampled(path: Path) -> None:
    """A detector from PyTorch's older exporter: sizes of a map for the other's upsampling."""
    f = File(12, ("batch", 3, 64, 64))
    y = f.conv(X, 3, 16, 3, strides=[2, 2])
    y = f.add("Mul", y, f.add("Sigmoid", y))
    a, b = f.several("Split", 2, y, axis=1, split=[8, 8])
    small = f.conv(b, 8, 8, 3, strides=[2, 2])
    pools = [small]
    for _ in range(3):
        pools.append(f.add("MaxPool", pools[-1], kernel_shape=[5, 5], pads=[2, 2, 2, 2]))
    small = f.conv(f.add("Concat", *pools, axis=1), 32, 8)
    scales = f.hold([1, 1, 2, 2], np.float32)
    none = f.hold([], np.float32)
    up = f.add("Resize", small, none, scales, mode="nearest", nearest_mode="floor",
               coordinate_transformation_mode="asymmetric")  # fmt: skip
    whole = f.add("Shape", a)
    end = f.add("Slice", whole, f.constant([2]), f.constant([4]), f.constant([0]))
    start = f.add("Slice", f.add("Shape", small), f.constant([0]), f.constant([2]), f.constant([0]))
    sizes = f.add("Concat", start, end, axis=0)
    smooth = f.add("Resize", small, none, none, sizes, mode="linear",
                   coordinate_transformation_mode="pytorch_half_pixel")  # fmt: skip
    y = f.conv(f.add("Concat", a, up, smooth, axis=1), 24, 12)
    y = f.add("Transpose", f.add("Reshape", y, f.hold([0, 2, 6, -1])), perm=[0, 1, 3, 2])
    boxes, scores = f.several("Split", 2, y, axis=3, split=[4, 2])
    f.write(path, boxes, f.add("Sigmoid", scores), small)


def attention(path: Path) -> None:
    """A vision transformer's block: a constant that is stretched, matrix products, layer norm."""
    f = File(13, ("batch", 3, 32, 32))
    y = f.add("Conv", X, f.weight(24, 3, 8, 8), strides=[8, 8], kernel_shape=[8, 8])
    batch = f.add("Slice", f.add("Shape", y), f.constant([0]), f.constant([1]), f.constant([0]))
    y = f.add("Reshape", y, f.add("Concat", batch, f.constant([24, -1]), axis=0))
    y = f.add("Transpose", y, perm=[0, 2, 1])
    wanted = f.add("Concat", batch, f.constant([-1, -1]), axis=0)
    ones = f.add("ConstantOfShape", f.constant([3]),
                 value=numpy_helper.from_array(np.array([1], np.int64)))  # fmt: skip
    stands = f.add("Equal", wanted, f.add("Mul", ones, f.constant(-1)))
    token = f.add("Expand", f.weight(1, 1, 24), f.add("Where", stands, ones, wanted))
    y = f.add("Concat", token, y, axis=1)
    mean = f.add("Sub", y, f.add("ReduceMean", y, axes=[-1]))
    square = f.add("ReduceMean", f.add("Pow", mean, f.constant(2.0, np.float32)), axes=[-1])
    root = f.add("Sqrt", f.add("Add", square, f.constant(1e-5, np.float32)))
    norm = f.add("Div", mean, root)
    q, k, v = (f.add("MatMul", norm, f.weight(24, 24)) for _ in range(3))
    k = f.add("Transpose", k, perm=[0, 2, 1])
    depth = f.add("Gather", f.add("Shape", q), f.constant(-1), axis=0)
    scale = f.add("Sqrt", f.add("Cast", depth, to=FLOAT))
    weights = f.add("Softmax", f.add("Div", f.add("MatMul", q, k), scale), axis=-1)
    y = f.add("Add", y, f.add("MatMul", weights, v))
    y = f.add("Mul", y, f.add("Mul", f.constant(0.5, np.float32),
              f.add("Add", f.constant(1.0, np.float32), f.add("Erf", y))))  # fmt: skip
    f.write(path, f.add("Gather", y, f.constant(0), axis=1))


def beside(path: Path) -> None:
    """Weights in a file beside the model."""
    f = File(17, ir=8)
    y = f.add("Relu", f.conv(X, 3, 16, 3))
    y = f.add("InstanceNormalization", y, f.weight(16), f.weight(16))
    y = f.add("PRelu", y, f.weight(16, 1, 1))
    f.write(path, f.add("DepthToSpace", y, blocksize=2), external=True)


def equal_parts(path: Path) -> None:
    """A split that gives no sizes, and a result that is a shape."""
    f = File(11)
    a, b = f.several("Split", 2, f.conv(X, 3, 16, 3), axis=1)
    sizes = f.add("Cast", f.add("Shape", f.add("Mul", a, b)), to=FLOAT)
    f.write(path, f.add("Sum", a, b), sizes)


def stored_as_integers(path: Path) -> None:
    """Only the weights are integers; they are floats before anything is computed."""
    f = File(13)
    raw = f.hold(f.random.integers(-127, 127, (16, 3, 3, 3)), np.int8)
    scales = f.hold(f.random.uniform(0.001, 0.01, 16), np.float32)
    weight = f.add("DequantizeLinear", raw, scales, f.hold([0] * 16, np.int8), axis=0)
    f.write(path, f.add("Conv", X, weight, kernel_shape=[3, 3]))


READ: dict[str, Callable[[Path], None]] = {
    "views by node": views, "channels last": channels_last, "padded first": padded_first,
    "constants as inputs": inputs_too, "upsampled": upsampled, "attention": attention,
    "external data": beside, "weights as integers": stored_as_integers,
    "equal parts": equal_parts,
}  # fmt: skip
"""Files that can be read."""


def own_operator(path: Path) -> None:
    """An operator of somebody's own, under a name that ONNX has too."""
    f = File(13)
    f.write(path, f.add("Conv", f.conv(X, 3, 8, 3), domain="my.ops"))


def fused(path: Path) -> None:
    """As ONNX Runtime saves an optimised model."""
    f = File(13)
    y = f.add("FusedConv", X, f.weight(8, 3, 3, 3), domain="com.microsoft", activation="Relu")
    f.write(path, y)


def ancient(path: Path) -> None:
    """Sums with an axis."""
    f = File(6, ir=3)
    f.write(path, f.add("Relu", X))


def own_constants(path: Path) -> None:
    """An operator of somebody's own, on constants."""
    f = File(13)
    weight = f.add("Add", f.weight(8, 3, 1, 1), f.weight(8, 3, 1, 1), domain="my.ops")
    f.write(path, f.add("Conv", X, weight))


def quantised(path: Path) -> None:
    """Everything quantised and back."""
    f = File(13)
    scale, zero = f.hold(0.05, np.float32), f.hold(0, np.int8)
    x = f.add("DequantizeLinear", f.add("QuantizeLinear", X, scale, zero), scale, zero)
    f.write(path, f.conv(x, 3, 8, 3))


def decided_by_data(path: Path) -> None:
    """A shape that depends on the image."""
    f = File(13)
    y = f.add("ReduceMax", f.conv(X, 3, 8, 3), keepdims=0)
    wanted = f.add("Cast", f.add("Reshape", y, f.constant([1])), to=TensorProto.INT64)
    f.write(path, f.add("Expand", f.add("GlobalAveragePool", X), wanted))


def several_inputs(path: Path) -> None:
    """Two images."""
    f = File(13)
    f.write(path, f.add("Add", f.conv(X, 3, 8, 3), X))
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("second", FLOAT, [1, 3, 32, 32]))
    onnx.save(model, path)


def half(path: Path) -> None:
    """Sixteen bits."""
    f = File(13)
    f.write(path, f.add("Relu", X))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, path)


def data_missing(path: Path) -> None:
    """The file beside it was left behind."""
    beside(path)
    path.with_suffix(".data").unlink()


def pooled_places(path: Path) -> None:
    """Positions of the largest values."""
    f = File(13)
    _, places = f.several("MaxPool", 2, f.conv(X, 3, 8, 3), kernel_shape=[2, 2])
    f.write(path, f.add("Cast", places, to=FLOAT))


def branches(path: Path) -> None:
    """Control flow."""
    f = File(13)
    y = f.add("Greater", f.add("ReduceMean", X, keepdims=0), f.constant(0.0, np.float32))
    kind = helper.make_tensor_value_info
    sides = {
        name: helper.make_graph(
            [helper.make_node(operator, [X], [name])], name, [], [kind(name, FLOAT, None)]
        )
        for name, operator in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    f.write(path, f.add("If", y, **sides))


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "own operator": (own_operator, "can't be read: my.ops::Conv"),
    "fused": (fused, "can't be read: com.microsoft::FusedConv"),
    "quantised": (quantised, "is quantised"),
    "ancient": (ancient, "it is of opset 6"),
    "own operator of constants": (own_constants, "it is my.ops::Add"),
    "decided by data": (decided_by_data, "from the image's values"),
    "several inputs": (several_inputs, "takes 2 inputs"),
    "half": (half, "as float16, and only float32"),
    "data missing": (data_missing, "the data that belongs beside it"),
    "places of the largest": (pooled_places, "which nothing computes"),
    "control flow": (branches, "can't be read: If"),
}
"""Files that can't, and what is said."""
