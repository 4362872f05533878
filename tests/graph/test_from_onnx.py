"""ONNX models read as modules: they compute what ONNX Runtime does with the same file."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from flyweight import create_model
from flyweight.errors import CaptureError, FlyweightError, UsageError
from flyweight.graph import capture, frozen_copy, to_onnx
from flyweight.graph.from_onnx import from_onnx
from tests.graph.other_exporters import READ, REFUSED, File

SHAPE = (1, 3, 32, 32)


def agrees(path: Path, shape: tuple[int, ...] = SHAPE) -> None:
    """Both on the same random input."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    session = onnxruntime.InferenceSession(str(path))
    expected = session.run(None, {session.get_inputs()[0].name: x})
    with torch.no_grad():
        found = frozen_copy(from_onnx(path))(torch.from_numpy(x))
    several = found if isinstance(found, tuple) else (found,)
    assert len(several) == len(expected)
    for a, b in zip(expected, several, strict=True):
        np.testing.assert_allclose(b.numpy(), a, rtol=1e-3, atol=1e-4)


class Mixed(nn.Module):
    """Many operators."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = F.relu6(self.norm(self.conv(x)))
        a, b = y.chunk(2, 1)
        y = torch.cat([F.hardswish(a), F.leaky_relu(b)], 1)
        y = self.depthwise(y) * torch.sigmoid(y.mean((2, 3), keepdim=True)) + y
        y = y.view(1, 4, 4, 16, 16).transpose(1, 2).reshape(1, 16, 16, 16)
        y = F.max_pool2d(F.pad(y, (0, 1, 0, 1)), 3, 2)
        y = F.avg_pool2d(y, 2)
        return self.head(y.mean((2, 3))), F.softmax(y, 1)


def test_many_operators(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "mixed.onnx"
    path.write_bytes(to_onnx(Mixed().eval(), torch.randn(SHAPE)))
    agrees(path)


@pytest.mark.slow
def test_a_network_of_the_zoo(tmp_path: Path) -> None:
    path = tmp_path / "v2.onnx"
    model = create_model("shufflenet_v2_x0_5").eval()
    path.write_bytes(to_onnx(model, torch.randn(1, 3, 64, 64)))
    agrees(path, (1, 3, 64, 64))


def written(path: Path, operator: str, **attributes: object) -> None:
    """A model of one operator, as another exporter writes it."""
    weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["in", "w"], ["a"], pads=[0, 0, 1, 1], name="first/conv:0"),
        helper.make_node(operator, ["a"], ["out"], **attributes),
    ]
    graph = helper.make_graph(
        nodes, "other",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("HardSigmoid", {}), ("Elu", {"alpha": 0.5}), ("GlobalMaxPool", {}), ("Flatten", {}),
        ("ReduceMean", {"axes": [2, 3]}), ("Transpose", {"perm": [0, 2, 3, 1]}),
        ("MaxPool", {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1], "strides": [2, 2]}),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}),
    ],
)  # fmt: skip
def test_operators_as_other_exporters_write_them(
    operator: str, attributes: dict[str, object], tmp_path: Path
) -> None:
    written(tmp_path / "model.onnx", operator, **attributes)
    agrees(tmp_path / "model.onnx")
    assert "first_conv_0" in dict(from_onnx(tmp_path / "model.onnx").named_modules())


def test_unread_operators_are_named(tmp_path: Path) -> None:
    written(tmp_path / "model.onnx", "Selu")
    with pytest.raises(CaptureError, match="can't be read: Selu"):
        from_onnx(tmp_path / "model.onnx")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        from_onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model at all", encoding="utf-8")
    with pytest.raises(UsageError, match=r"no ONNX model|takes 0 inputs"):
        from_onnx(tmp_path / "text.onnx")


@pytest.mark.parametrize("name", READ)
def test_files_of_other_exporters(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    READ[name](path)
    agrees(path, from_onnx(path).example_shape())


@pytest.mark.parametrize("name", READ)
def test_they_can_be_captured_for_any_number_of_images(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    READ[name](path)
    network = from_onnx(path)
    shape = network.example_shape()
    fixed = name == "constants as inputs"  # it has a shape [1, -1] in it
    program = capture(network, torch.randn(1 if fixed else 2, *shape[1:]), dynamic_batch=not fixed)
    targets = {str(node.target) for node in program.graph.nodes}
    assert not any("numpy" in target for target in targets)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_one_sentence(name: str, tmp_path: Path) -> None:
    make, says = REFUSED[name]
    make(tmp_path / "model.onnx")
    with pytest.raises(FlyweightError, match=says) as caught:
        from_onnx(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "shape"),
    [
        (("batch", 3, 32, 48), (1, 3, 32, 48)), ((1, 3, "h", "w"), (1, 3, 224, 224)),
        (("n", "h", "w", 3), (1, 224, 224, 3)), ((4, 64), (4, 64)), (("n", "c", 8, 8), None),
        (None, None),
    ],
)  # fmt: skip
def test_the_shape_that_a_file_declares(
    declared: tuple[int | str, ...] | None, shape: tuple[int, ...] | None, tmp_path: Path
) -> None:
    file = File(13, declared)
    file.write(tmp_path / "model.onnx", file.add("Relu", "input:0"))
    network = from_onnx(tmp_path / "model.onnx")
    if shape is None:
        with pytest.raises(UsageError, match="leaves its input's shape open"):
            network.example_shape()
    else:
        assert network.example_shape() == shape


def resized(path: Path, mode: str, where: str, rounding: str, factor: float) -> None:
    """A model that brings images to another size."""
    file = File(13)
    scales = file.hold([1, 1, factor, factor], np.float32)
    file.write(path, file.add("Resize", "input:0", "", scales, mode=mode, nearest_mode=rounding,
                              coordinate_transformation_mode=where))  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "where", "rounding", "factor"),
    [
        ("nearest", "asymmetric", "floor", 2.0), ("nearest", "asymmetric", "floor", 1.5),
        ("nearest", "half_pixel", "round_prefer_floor", 3.0),
        ("nearest", "half_pixel", "round_prefer_ceil", 2.0),
        ("nearest", "tf_half_pixel_for_nn", "floor", 2.0),
        ("linear", "half_pixel", "floor", 2.0), ("linear", "align_corners", "floor", 2.0),
        ("linear", "pytorch_half_pixel", "floor", 0.5), ("cubic", "half_pixel", "floor", 2.0),
    ],
)  # fmt: skip
def test_other_sizes_by_the_same_rule(
    mode: str, where: str, rounding: str, factor: float, tmp_path: Path
) -> None:
    resized(tmp_path / "model.onnx", mode, where, rounding, factor)
    agrees(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("mode", "where", "rounding", "factor"),
    [
        ("nearest", "half_pixel", "round_prefer_floor", 1.5),
        ("nearest", "asymmetric", "ceil", 2.0), ("linear", "asymmetric", "floor", 2.0),
    ],
)  # fmt: skip
def test_other_sizes_by_another_rule_are_refused(
    mode: str, where: str, rounding: str, factor: float, tmp_path: Path
) -> None:
    resized(tmp_path / "model.onnx", mode, where, rounding, factor)
    with pytest.raises(CaptureError, match=f"Resize of mode {mode} with positions {where}"):
        from_onnx(tmp_path / "model.onnx")(torch.randn(SHAPE))
