"""`flyweight export` as it is typed."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from flyweight.cli.app import run

NETWORK = """
import torch
from torch import nn
def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
def grey():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
class Branches(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "export_nets.py").write_text(NETWORK)
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "export_nets", raising=False)
    return tmp_path


def test_says_what_was_written_and_checked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "export",
        "export_nets:small",
        "--format",
        "onnx",
        "--input",
        "32",
        "--out",
        "a.onnx",
    ]
    assert run(command) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "wrote a.onnx" in out
    assert "export_nets:small" in out
    assert "any number of images of 3 x 32 x 32, ONNX opset 20" in out
    assert "on random input" in out
    assert "--images PATH" in out
    assert run(command) == 2
    assert "a.onnx is there already: --force overwrites it" in capsys.readouterr().err
    assert run([*command, "--force", "--images", "photos", "--images", "photos/a.png"]) == 0
    out = capsys.readouterr().out
    assert "on 1 images" in out
    assert "the same first class in 1 of 1 images" in out
    scores = onnxruntime.InferenceSession("a.onnx").run(
        None, {"input": np.zeros((5, 3, 32, 32), np.float32)}
    )
    assert scores[0].shape == (5, 4)


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(
        ["export", "export_nets:grey", "--input", "1,16,24", "--out", "g.pt2", "--json"]
    ) == 0  # fmt: skip
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found["format"] == "torch"
    assert found["files"] == ["g.pt2"]
    assert found["bytes"] == (here / "g.pt2").stat().st_size
    assert found["dynamic_batch"] is True
    assert found["metadata"]["input"]["shape"] == ["batch", 1, 16, 24]
    assert found["check"]["tolerance"] == 1e-4
    assert found["check"]["random_error"] <= 1e-4
    assert found["check"]["image_error"] is None


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["export_nets:Branches", "--out", "b.onnx"], 1,
         "Branches can't be captured: export_nets.py:11 `return x.mean((2, 3)) if x.sum() > 0"),
        (["export_nets:small", "--out", "b.pth"], 2, "which format? Give --format"),
        (["export_nets:small", "--out", "b.onnx", "--input", "big"], 2, "is no size"),
        (["export_nets:small", "--out", "none/b.onnx"], 1, "there is no folder none"),
        (["shufflenet_v9", "--out", "b.onnx"], 2, "unknown model 'shufflenet_v9'"),
        (["export_nets:small", "--out", "b.onnx", "--weights", "none.pt"], 1, "none.pt"),
    ],
)  # fmt: skip
def test_refusals(
    here: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, says: str
) -> None:
    assert run(["export", *args]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert not list(here.glob("b.*"))
