"""Engines' profiles read: events found again, and a model's nodes behind engines' names."""

from typing import Any

import pytest
import torch
from known_networks import Mixed

from flyweight.decomposing import onnx_runtime, open_vino_layers
from flyweight.decomposing.eager import Event, copies_in, matching
from flyweight.decomposing.onnx_nodes import OnnxNode, OnnxNodes
from flyweight.graph import to_onnx


def events(*rows: tuple[str, int, int]) -> list[Event]:
    return [Event(name, start, duration, 1) for name, start, duration in rows]


NESTED = events(
    ("aten::conv2d", 0, 100), ("aten::convolution", 5, 90), ("aten::contiguous", 10, 20),
    ("aten::copy_", 12, 15), ("aten::add", 50, 5), ("aten::relu_", 110, 20), ("aten::add", 140, 10),
)  # fmt: skip


def test_events_are_found_in_their_order() -> None:
    """An operation of the same name within another one isn't the one that was called."""
    found = matching(NESTED, ["aten::convolution", "aten::relu_", "aten::add"])
    assert found is not None
    assert [(event.name, event.start) for event, _ in found] == [
        ("aten::convolution", 5), ("aten::relu_", 110), ("aten::add", 140),
    ]  # fmt: skip
    assert [event.name for event in found[0][1]] == [
        "aten::contiguous", "aten::copy_", "aten::add"
    ]  # fmt: skip


def test_events_that_are_not_there() -> None:
    assert matching(NESTED, ["aten::relu_", "aten::convolution"]) is None
    assert matching([], ["aten::relu_"]) is None
    assert matching(NESTED, []) == []


def test_copies_of_what_an_operation_reads() -> None:
    """One that is made, as a whole; not one that wasn't needed, nor that of a bias."""
    nested = events(
        ("aten::contiguous", 0, 1), ("aten::contiguous", 10, 20), ("aten::clone", 11, 18),
        ("aten::copy_", 12, 15), ("aten::copy_", 40, 5),
    )  # fmt: skip
    assert [(event.name, event.start) for event in copies_in(nested)] == [("aten::contiguous", 10)]
    assert copies_in(nested[:1]) == []
    assert copies_in([]) == []


@pytest.fixture(scope="module")
def nodes() -> OnnxNodes:
    return OnnxNodes(to_onnx(Mixed().eval(), torch.zeros(1, 3, 16, 16)))


def test_nodes_of_a_model() -> None:
    """Their modules, and what they cost by arithmetic."""
    import onnx

    content = to_onnx(Mixed().eval(), torch.zeros(1, 3, 16, 16))
    graph = onnx.load_from_string(content).graph
    found = OnnxNodes(content)
    products = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    known = [found.find([node.name], product=True) for node in products]
    assert [(one.module, one.madds, one.depthwise) for one in known if one] == [
        ("stem", 8 * 8 * 8 * 27, False), ("dw", 8 * 8 * 8 * 9, True), ("last", 40, False),
    ]  # fmt: skip
    # The activation behind a convolution leads to it where a convolution is meant.
    relu = next(node for node in graph.node if node.op_type == "Relu")
    for name in (relu.name, relu.output[0]):
        behind = found.find([name], product=True)
        assert behind is not None
        assert behind.module == "stem"
        itself = found.find(["unknown", name], product=False)
        assert itself is not None
        assert itself.operator == "Relu"


def test_nodes_that_are_not_known(nodes: OnnxNodes) -> None:
    assert nodes.find(["nothing"], product=True) is None
    assert nodes.find([], product=False) is None


def shapes(*sizes: tuple[int, ...]) -> list[dict[str, list[int]]]:
    return [{"float": list(size)} for size in sizes]


def args(read: list[Any], written: list[Any]) -> dict[str, Any]:
    return {"input_type_shape": read, "output_type_shape": written}


CONV = OnnxNode("Conv", "a.conv", ("x",), (1, 58, 4, 4), 4 * 4 * 58 * 24, False, 0)


def test_onnx_runtime_pads_channels() -> None:
    """Multiply-adds are the network's, bytes those that are read and written here."""
    told = args(shapes((1, 24, 4, 4), (64, 24, 1, 1), (64,)), shapes((1, 64, 4, 4)))
    found = onnx_runtime.operation_of("Conv", "relu_nchwc", told, CONV)
    assert (found.name, found.kind, found.output) == ("a.conv", "convolution", (1, 64, 4, 4))
    assert found.madds == 4 * 4 * 58 * 24
    assert found.elements == 24 * 16 + 64 * 24 + 64 + 64 * 16
    assert found.bytes == 4 * found.elements


def test_onnx_runtime_without_a_known_node() -> None:
    told = args(shapes((1, 24, 4, 4), (24, 1, 3, 3)), shapes((1, 24, 4, 4)))
    found = onnx_runtime.operation_of("Conv", "something", told, None)
    assert (found.name, found.kind, found.madds) == ("something", "depthwise", 24 * 16 * 9)


@pytest.mark.parametrize("operator", ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"])
def test_onnx_runtime_moves_nothing_for_another_shape(operator: str) -> None:
    told = args([*shapes((1, 8, 4, 4)), {"int64": [3]}], shapes((1, 2, 64)))
    found = onnx_runtime.operation_of(operator, "view", told, None)
    assert (found.kind, found.bytes, found.elements) == ("data movement", 0, 0)


def test_onnx_runtime_packs_weights() -> None:
    """They aren't among what it says that is read, with their bias or without."""
    node = OnnxNode("Gemm", "last", (), (1, 5), 40, False, 45)
    for read in (shapes((1, 8)), shapes((1, 8), (5,)), shapes((1, 8), (5, 8), (5,))):
        found = onnx_runtime.operation_of("Gemm", "x", args(read, shapes((1, 5))), node)
        assert (found.elements, found.bytes, found.madds) == (8 + 5 + 45, 4 * 58, 40)


def test_openvino_layers() -> None:
    read = [((1, 24, 4, 4), 4), ((24, 1, 1, 3, 3), 4), ((24,), 4)]
    found = open_vino_layers.operation_of(
        "Convolution", "x", read, [((1, 24, 4, 4), 2)], None, of_input=False
    )
    assert (found.kind, found.madds) == ("depthwise", 24 * 16 * 9)
    assert found.elements == 2 * 24 * 16 + 24 * 9 + 24
    assert found.bytes == 4 * (24 * 16 + 24 * 9 + 24) + 2 * 24 * 16
    grouped = [((1, 8, 4, 4), 4), ((2, 6, 4, 3, 3), 4)]
    found = open_vino_layers.operation_of(
        "Convolution", "x", grouped, [((1, 12, 4, 4), 4)], None, of_input=False
    )
    assert (found.kind, found.madds) == ("convolution", 12 * 16 * 4 * 9)
