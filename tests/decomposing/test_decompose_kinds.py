"""Which class an operation falls into, by the names that engines have for them."""

import pytest

from flyweight.decomposing.kinds import (
    CONVOLUTION,
    DEPTHWISE,
    ELEMENTWISE,
    IN_AND_OUT,
    KINDS,
    MOVEMENT,
    OTHER,
    POOLING,
    RESIDUAL,
    kind_of_counted,
    kind_of_native,
    kind_of_onnx,
    kind_of_openvino,
)


@pytest.mark.parametrize(
    ("operation", "counted", "kind"),
    [
        ("aten.convolution", "pointwise convolution", CONVOLUTION),
        ("aten.convolution", "group convolution", CONVOLUTION),
        ("aten.convolution", "depthwise convolution", DEPTHWISE),
        ("aten.addmm", "linear", CONVOLUTION),
        ("aten.relu_", "elementwise", ELEMENTWISE),
        ("aten.native_batch_norm", "normalisation", ELEMENTWISE),
        ("aten._softmax", "normalisation", OTHER),
        ("aten.cat", "data movement", MOVEMENT),
        ("aten.max_pool2d_with_indices", "pooling", POOLING),
        ("aten.mean", "reduction", POOLING),
        ("aten.upsample_bilinear2d", "resampling", OTHER),
        ("aten.sort", "", OTHER),
    ],
)
def test_pytorch(operation: str, counted: str, kind: str) -> None:
    assert kind_of_counted(operation, counted) == kind


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("Conv", CONVOLUTION), ("FusedConv", CONVOLUTION), ("Gemm", CONVOLUTION),
        ("Relu", ELEMENTWISE), ("Clip", ELEMENTWISE), ("Add", ELEMENTWISE),
        ("BatchNormalization", ELEMENTWISE), ("Concat", MOVEMENT), ("Split", MOVEMENT),
        ("Transpose", MOVEMENT), ("ReorderInput", MOVEMENT), ("ReorderOutput", MOVEMENT),
        ("Reshape", MOVEMENT), ("MaxPool", POOLING), ("GlobalAveragePool", POOLING),
        ("ReduceMean", POOLING), ("Softmax", OTHER), ("LRN", OTHER), ("NoSuchOperator", OTHER),
    ],
)  # fmt: skip
def test_onnx(operator: str, kind: str) -> None:
    assert kind_of_onnx(operator, depthwise=False) == kind
    # Nothing but a convolution becomes one by what its node was.
    assert kind_of_onnx(operator, depthwise=True) == (DEPTHWISE if kind == CONVOLUTION else kind)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ("Convolution", CONVOLUTION), ("FullyConnected", CONVOLUTION), ("Subgraph", ELEMENTWISE),
        ("Eltwise", ELEMENTWISE), ("Concatenation", MOVEMENT), ("Split", MOVEMENT),
        ("ShuffleChannels", MOVEMENT), ("Reorder", MOVEMENT), ("Pooling", POOLING),
        ("Reduce", POOLING), ("Softmax", OTHER), ("Interpolate", OTHER), ("Output", IN_AND_OUT),
    ],
)  # fmt: skip
def test_openvino(layer: str, kind: str) -> None:
    assert kind_of_openvino(layer, depthwise=False, of_input=False) == kind
    of_input = IN_AND_OUT if layer == "Reorder" else kind
    assert kind_of_openvino(layer, depthwise=False, of_input=True) == of_input
    expected = DEPTHWISE if kind == CONVOLUTION else kind
    assert kind_of_openvino(layer, depthwise=True, of_input=False) == expected


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ("Convolution", CONVOLUTION), ("Elementwise", ELEMENTWISE), ("Pool", POOLING),
        ("Gather", MOVEMENT), ("Pick", MOVEMENT), ("Softmax", OTHER), ("Neighbours", OTHER),
    ],
)  # fmt: skip
def test_native(node: str, kind: str) -> None:
    assert kind_of_native(node, depthwise=False, copies=False) == kind
    assert kind_of_native("Convolution", depthwise=True, copies=False) == DEPTHWISE
    assert kind_of_native("Elementwise", depthwise=False, copies=True) == MOVEMENT


def test_the_classes() -> None:
    assert len(set(KINDS)) == len(KINDS)
    assert RESIDUAL not in KINDS
