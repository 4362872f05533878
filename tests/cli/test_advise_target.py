"""`flyweight advise --target accelerator:…`: simulated advice, marked as such."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from flyweight.cli.app import run
from flyweight.graph import to_onnx

LARGE = ["--target", "accelerator:16x16"]


def test_the_authors_advice(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "advice.html"
    assert run(["advise", "squeezenext_x1_0_23", *LARGE, "--html", str(page)]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("squeezenext_x1_0_23 on 1x3x227x227, accelerator:16x16: ")
    assert lines[0].endswith("(simulated, not measured)")
    assert "a kernel of 5x5/2 instead of 7x7/2" in out
    assert "a block of stages.stage1 moved to stages.stage3" in out
    assert "layers on maps of 55x55, with 8 to 64 channels" in out
    for line in lines:
        assert "%" not in line or "simulated" in line
    text = page.read_text(encoding="utf-8")
    assert "5x5/2 instead of 7x7/2" in text
    assert text.count("simulated, not measured") >= 5
    assert "stages.stage3.0.branch.0.conv" in text


def test_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["advise", "squeezenet_1_0", *LARGE, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["simulated"] is True
    assert found["target"] == "accelerator:16x16"
    assert found["advice"]["simulated"] is True
    assert found["advice"]["stem"]["to"] == "5x5/2"
    assert 0 < found["advice"]["together"]["share"] < 1
    path = tmp_path / "advice.json"
    assert run(["advise", "squeezenet_1_0", *LARGE, "--json", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8")) == found


def test_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3), nn.ReLU(), nn.Conv2d(16, 32, 3)).eval()
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(model, torch.randn(1, 3, 64, 64)))
    assert run(["advise", str(path), *LARGE]) == 0
    assert f"{path} on 1x3x64x64, accelerator:16x16" in capsys.readouterr().out
    assert run(["advise", str(path), "--target", "accelerator:8x8", "--input", "32"]) == 0
    assert f"{path} on 1x3x32x32, accelerator:8x8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--target", "accelerator:4x4"], "unknown preset '4x4'"),
        (["--target", "gpu"], "accelerator:8x8 or accelerator:16x16"),
        (["--target", "accelerator"], "accelerator:8x8 or accelerator:16x16"),
        ([*LARGE, "--engine", "eager"], "there is no --engine"),
        ([*LARGE, "--threads", "2"], "there is no --threads"),
        ([*LARGE, "--apply", "net.onnx"], "there is no --apply"),
    ],
)
def test_errors_are_one_line(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["advise", "squeezenet_1_0", *args]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
