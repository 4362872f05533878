"""The classes that an engine's operations fall into: those of ShuffleNet V2's Figure 2.

The paper's figure has Conv, elementwise, data I/O, data shuffle and other; depthwise convolutions,
which its text counts with the elementwise operations (G4), stand alone here. An operation that an
engine fused into another one counts with that one: an activation with its convolution.
"""

CONVOLUTION = "convolution"
"""Dense, pointwise and group convolutions, linear layers, matrix products."""
DEPTHWISE = "depthwise"
ELEMENTWISE = "elementwise"
"""Activations, sums, products, batch norms."""
MOVEMENT = "data movement"
"""Split, concatenation, shuffle, slices, copies, padding, other layouts; the paper's data shuffle.

Views are among them: they move nothing, and take only the time of their call."""
IN_AND_OUT = "data I/O"
"""Images put where the engine reads them, results where the caller does."""
POOLING = "pooling"
"""Pools, means and sums over positions."""
OTHER = "other"
KINDS = (CONVOLUTION, DEPTHWISE, ELEMENTWISE, MOVEMENT, IN_AND_OUT, POOLING, OTHER)
RESIDUAL = "residual"
"""No class: what is left of the total, between the operations."""

_COUNTED = {
    "convolution": CONVOLUTION, "pointwise convolution": CONVOLUTION,
    "group convolution": CONVOLUTION, "linear": CONVOLUTION, "matrix product": CONVOLUTION,
    "depthwise convolution": DEPTHWISE, "elementwise": ELEMENTWISE, "normalisation": ELEMENTWISE,
    "data movement": MOVEMENT, "pooling": POOLING, "reduction": POOLING,
}  # fmt: skip
_SOFTMAX = ("aten._softmax", "aten._log_softmax")


def kind_of_counted(operation: str, kind: str) -> str:
    """The class of an operation of PyTorch.

    Args:
        operation: e.g. "aten.convolution".
        kind: what `flyweight.counting` calls it.
    """
    return OTHER if operation in _SOFTMAX else _COUNTED.get(kind, OTHER)


_ONNX = {
    CONVOLUTION: (
        "Conv", "FusedConv", "NhwcFusedConv", "NhwcConv", "ConvTranspose", "Gemm", "FusedGemm",
        "MatMul", "FusedMatMul", "Einsum",
    ),
    ELEMENTWISE: (
        "Abs", "Add", "BatchNormalization", "BiasGelu", "Celu", "Clip", "Div", "Elu", "Erf", "Exp",
        "FastGelu", "Gelu", "HardSigmoid", "HardSwish", "LayerNormalization", "LeakyRelu", "Log",
        "Max", "Min", "Mish", "Mul", "Neg", "Pow", "PRelu", "QuickGelu", "Reciprocal", "Relu",
        "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Where",
    ),
    MOVEMENT: (
        "Cast", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements",
        "GatherND", "Identity", "Pad", "ReorderInput", "ReorderOutput", "Reshape", "ScatterND",
        "Shape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    ),
    POOLING: (
        "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "NhwcMaxPool", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceSum",
    ),
}  # fmt: skip
_OF_ONNX = {operator: kind for kind, operators in _ONNX.items() for operator in operators}


def kind_of_onnx(operator: str, depthwise: bool) -> str:
    """The class of an operator of ONNX, or one of those that ONNX Runtime adds."""
    kind = _OF_ONNX.get(operator, OTHER)
    return DEPTHWISE if depthwise and kind == CONVOLUTION else kind


_OPENVINO = {
    CONVOLUTION: (
        "Convolution", "Deconvolution", "FullyConnected", "GroupConvolution", "MatMul",
    ),
    ELEMENTWISE: ("BatchNormInference", "Eltwise", "Math", "MVN", "PRelu", "Power", "Subgraph"),
    MOVEMENT: (
        "Broadcast", "ChannelShuffle", "Concatenation", "Convert", "Copy", "DepthToSpace", "Gather",
        "Pad", "Reorder", "Reshape", "ShuffleChannels", "SpaceToDepth", "Split", "StridedSlice",
        "Tile", "Transpose",
    ),
    IN_AND_OUT: ("Input", "Output"),
    POOLING: ("AdaptivePooling", "Pooling", "Reduce"),
}  # fmt: skip
_OF_OPENVINO = {layer: kind for kind, layers in _OPENVINO.items() for layer in layers}


def kind_of_openvino(layer: str, depthwise: bool, of_input: bool) -> str:
    """The class of a layer of OpenVINO's CPU plugin.

    Args:
        layer: its type in the plugin's own graph.
        depthwise: whether it is a depthwise convolution.
        of_input: whether it reads the images as the caller gave them.
    """
    if layer == "Reorder" and of_input:
        return IN_AND_OUT
    kind = _OF_OPENVINO.get(layer, OTHER)
    return DEPTHWISE if depthwise and kind == CONVOLUTION else kind


_NATIVE = {
    "Pool": POOLING, "Elementwise": ELEMENTWISE, "Pick": MOVEMENT, "Gather": MOVEMENT,
    "Softmax": OTHER, "Neighbours": OTHER,
}  # fmt: skip


def kind_of_native(node: str, depthwise: bool, copies: bool) -> str:
    """The class of a step of the native engine's plan.

    Args:
        node: its type, e.g. "Convolution".
        depthwise: whether it is a depthwise convolution.
        copies: whether it changes nothing of what it reads.
    """
    if copies:
        return MOVEMENT
    if node == "Convolution":
        return DEPTHWISE if depthwise else CONVOLUTION
    return _NATIVE.get(node, OTHER)
