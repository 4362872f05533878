"""`flyweight decompose` as it is typed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flyweight.cli import decompose as command
from flyweight.cli.app import run
from flyweight.decomposing import Decomposition, Peaks, running
from flyweight.engines import ENGINES

NETWORK = """
import torch
from torch import nn
def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
class Branches(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))
"""
SMALL = ["decompose", "decompose_nets:small", "--input", "16", "--budget", "300ms"]
PEAKS = Peaks(1, 50e9, (1 << 16, 1 << 24), (100e9, 20e9))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "decompose_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(running, "measure_peaks", lambda threads, progress=None: PEAKS)


def refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code, and the one line on stderr; nothing is on stdout."""
    code = run(args)
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return code, line


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--engine", "eager,onnxruntime"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0].startswith("decompose_nets:small on 1x3x16x16: ")
    assert "50.0 G multiply-adds/s" in lines[1]
    assert "100 (64 KiB), 20 (16 MiB)" in lines[1]
    for start in ("eager: ", "onnxruntime: "):
        assert any(re.match(rf"{start}[0-9.]+ ms \(", line) for line in lines)
    # 14 x 14 pixels, 4 channels, 27 multiply-adds each.
    totals = [line.split() for line in lines if line.startswith("total ")]
    assert [total[-2:] for total in totals] == [["100.0%", "0.02"]] * 2
    assert pytest.approx(0.021168) == 14 * 14 * 4 * 27 / 1e6
    assert sum(line.startswith("residual ") for line in lines) == 2
    assert "profiled it takes" in said.out
    assert "aten.convolution" in said.out


def test_as_many_operations_as_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--engine", "eager", "--top", "0"]) == 0
    assert "aten.convolution" not in capsys.readouterr().out


@pytest.mark.slow
def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [*SMALL, "--engine", "eager", "--engine", "onnxruntime+lowered", "--batch", "2"]
    assert run([*args, "--json", "-"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["network"] == "decompose_nets:small"
    engines = [one["engine"] for one in printed["decompositions"]]
    assert engines == ["eager", "onnxruntime+lowered"]
    for one in printed["decompositions"]:
        parts = sum(part["picoseconds"] for part in one["parts"])
        assert parts + one["residual_ps"] == one["total_ps"]
        assert one["record"]["environment"]["batch"] == 2
        assert sum(part["madds"] for part in one["parts"]) == 2 * 14 * 14 * 4 * 27
        assert one["inflation"]["rounds"] >= 3
    assert run([*SMALL, "--engine", "eager", "--json", "out.json"]) == 0
    assert "class" in capsys.readouterr().out
    kept = json.loads((tmp_path / "out.json").read_text())
    assert [one["engine"] for one in kept["decompositions"]] == ["eager"]


def test_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--engine", "eager", "--png", "out.png"]) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().err == "wrote out.png\n"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["decompose", "shufflenet_v2_x3_0"], 2, "did you mean shufflenet_v2_x2_0"),
        (["decompose", "decompose_nets:nothing"], 2, "has no function 'nothing'"),
        ([*SMALL, "--engine", "eagre"], 2, "unknown engine 'eagre'; did you mean eager"),
        ([*SMALL, "--engine", "compile"], 2, "'compile' can't be decomposed"),
        ([*SMALL, "--engine", "eager+fast"], 2, "what may follow an engine is +lowered"),
        (["decompose", "a/eager", "--engine", "eager"], 2, "names an engine already"),
        ([*SMALL[:-1], "nan"], 2, "'nan' is no duration"),
        ([*SMALL[:-1], "0s"], 2, "'0s' is no duration"),
        ([*SMALL, "--threads", "0"], 2, "threads must be 1 or more"),
        ([*SMALL, "--batch", "0"], 2, "the batch must be 1 or more"),
        ([*SMALL, "--top", "-1"], 2, "'--top'"),
        ([*SMALL, "--input", "3,0,5"], 2, "no size"),
        ([*SMALL, "--json", "no/such/folder.json"], 1, "there is no folder no/such"),
        ([*SMALL, "--png", "."], 1, "it is a folder"),
    ],
)
def test_bad_input(
    args: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = refused(args, capsys)
    assert (found, words in line) == (code, True), line


def test_openvino_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(type(ENGINES["openvino"]), "installed", property(lambda self: False))
    code, line = refused([*SMALL, "--engine", "openvino"], capsys)
    assert (code, "pip install 'flyweight[openvino]'" in line) == (1, True), line


def test_a_network_that_one_engine_cannot_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are decomposed, and the exit code says that something is missing."""
    args = ["decompose", "decompose_nets:Branches", *SMALL[2:]]
    assert run([*args, "--engine", "onnxruntime", "--engine", "eager"]) == 1
    said = capsys.readouterr()
    assert "left out: decompose_nets:Branches/onnxruntime: " in said.err
    assert "eager: " in said.out
    code = run([*args, "--engine", "onnxruntime"])
    assert (code, "nothing is left to decompose" in capsys.readouterr().err) == (1, True)


def test_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Engines that are done are kept."""
    whole = running.decompose_all

    def stopped(*args: Any, **kwargs: Any) -> Iterator[Decomposition]:
        yield next(whole(*args, **kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr("flyweight.decomposing.decompose_all", stopped)
    code = run([*SMALL, "--engine", "eager,onnxruntime", "--json", "out.json"])
    assert code == command.INTERRUPTED
    kept = json.loads((tmp_path / "out.json").read_text())
    assert [one["engine"] for one in kept["decompositions"]] == ["eager"]
    assert "interrupted" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["decompose", "-h"]) == 0
    assert "Example: flyweight decompose shufflenet_v2_x1_0" in capsys.readouterr().out
