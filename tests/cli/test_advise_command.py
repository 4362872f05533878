"""`flyweight advise` as it is typed."""

import json
from pathlib import Path

import pytest
import torch

from flyweight.advising import preparing
from flyweight.cli.advise import input_shape
from flyweight.cli.app import run
from flyweight.graph import to_onnx

NETWORK = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, padding=1)
        self.blocks = nn.Sequential(*(nn.Conv2d(64, 64, 1, groups=8) for _ in range(4)))
        self.head = nn.Linear(64, 5)
    def forward(self, x):
        return self.head(self.blocks(torch.relu(self.stem(x))).mean((2, 3)))
class Sum(nn.Module):
    def forward(self, x, y):
        return x + y
"""
QUICK = ["--engine", "eager", "--threads", "1", "--budget", "3s", "--input", "24"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "advise_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # Peaks, which no test looks at, take 3 s; engines take seconds to prepare a network.
    monkeypatch.setattr("flyweight.decomposing.running.has_compiler", lambda: False)
    monkeypatch.setattr(preparing, "_TRIED", ())


def test_it_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--html", "advice.html", "--json", "advice.json", "--apply", "net.onnx"]
    assert run(["advise", "advise_nets:Net", *QUICK, *files]) == 0
    out = capsys.readouterr().out
    assert out.startswith("advise_nets:Net on 1x3x24x24, eager, 1 thread: ")
    assert "Exact advice (the network computes the same)" in out
    found = json.loads((tmp_path / "advice.json").read_text())
    assert "groups" in {one["key"] for one in found["findings"]}
    assert {one["kind"] for one in found["trials"]} == {"exact", "architectural"}
    (groups,) = [one for one in found["findings"] if one["key"] == "groups"]
    assert groups["places"][0]["file"].endswith("advise_nets.py")
    assert "<html" in (tmp_path / "advice.html").read_text()
    assert (tmp_path / "net.onnx").stat().st_size > 0


def test_json_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "advise_nets:Net", *QUICK, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["setting"] == {
        "engine": "eager", "threads": 1, "lowered": False, "merged": False,
    }  # fmt: skip


def test_an_onnx_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 58, 3), torch.nn.Conv2d(58, 58, 1)).eval()
    (tmp_path / "net.onnx").write_bytes(to_onnx(model, torch.randn(1, 3, 24, 24)))
    assert run(["advise", "net.onnx", *QUICK]) == 0
    assert "net.onnx on 1x3x24x24" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["advise_nets:Sum"], "takes 2 inputs"),
        (["advise_nets:None"], "has no function"),
        (["nothing.onnx"], "no such file"),
        (["advise_nets:Net", "--engine", "compile"], "doesn't tell its operations apart"),
        (["advise_nets:Net", "--input", "0"], "is no size"),
        (["advise_nets:Net", "--budget", "soon"], "is no duration"),
        (["advise_nets:Net", "--apply", "net.txt"], "--apply writes .onnx"),
        (["advise_nets:Net", "--threads", "0"], "threads must be 1 or more"),
    ],
)
def test_errors_are_one_line(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["advise", "--budget", "3s", *args]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("224", (1, 3, 224, 224)), ("1,28,28", (1, 1, 28, 28)), ("8,3,32,32", (8, 3, 32, 32)),
        ("1,64", (1, 64)),
    ],
)  # fmt: skip
def test_input_shapes(text: str, shape: tuple[int, ...]) -> None:
    assert input_shape(text) == shape
