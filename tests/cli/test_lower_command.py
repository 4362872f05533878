"""`flyweight lower` as it is typed."""

import json
from pathlib import Path

import pytest

from flyweight.cli.app import run

NETWORK = """
import torch
from torch import nn
class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 1)
        self.c = nn.Conv2d(4, 2, 1)
        self.norm, self.shuffle = nn.BatchNorm2d(4), nn.ChannelShuffle(2)
    def forward(self, x):
        kept, used = self.shuffle(self.a(x)).chunk(2, 1)
        return self.c(kept + self.norm(self.b(used)))
class Not(nn.Module):
    def forward(self, x):
        return x / 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lower_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def test_says_what_was_done(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lower", "lower_nets:Halves", "--input", "16", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["before"]["moves"] == 2
    assert report["after"]["moves"] == 1  # cut once into both halves
    assert report["before"]["moved_bytes"] > report["after"]["moved_bytes"]
    assert report["max_error"] < 1e-6
    done = {one["what"]: one["where"] for one in report["rewrites"]}
    assert done["batch norms folded into the convolution before"] == ["norm"]
    assert "shuffle" in done["channel moves read through maps"]


def test_prints_for_people(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lower", "lower_nets:Halves", "--input", "16", "--engine", "openvino"]) == 0
    printed = capsys.readouterr().out
    assert "Halves lowered for openvino, input 1 x 3 x 16 x 16" in printed
    assert "folded into the convolution before: 1, in norm" in printed


def test_a_network_whose_outputs_are_infinite_is_lowered_too(here: None) -> None:
    assert run(["lower", "lower_nets:Not", "--input", "8"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["shufflenet_v2_x3_0"], 2, "unknown model 'shufflenet_v2_x3_0'"),
        (["lower_nets:Halves", "--engine", "tflite"], 2, "unknown engine 'tflite'"),
        (["lower_nets:Halves", "--input", "1,16,16"], 2, "doesn't run on an input"),
        (["lower_nets:Halves", "--input", "zero"], 2, "'zero' is no"),
    ],
)
def test_wrong_usage(
    here: None, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lower", *words]) == code
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
