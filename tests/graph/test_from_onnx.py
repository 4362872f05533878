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
from flyweight.errors import CaptureError, UsageError
from flyweight.graph import frozen_copy, to_onnx
from flyweight.graph.from_onnx import from_onnx

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
