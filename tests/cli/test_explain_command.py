"""`flyweight explain` as it is typed, against what arithmetic says of a network."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flyweight import cost
from flyweight.cli.app import run
from flyweight.native import building
from flyweight.native.isa import ISAS

NETWORK = """
import torch
from torch import nn
class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU())
        self.dw = nn.Conv2d(8, 8, (3, 5), padding=(1, 2), groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 12, 3, dilation=2, padding=2, groups=2)
        self.pool, self.last = nn.MaxPool2d(3, 2, 1), nn.Linear(20, 5)
    def forward(self, x):
        x = self.stem(x)
        y = torch.relu(x + self.a(self.norm(self.dw(x))))
        z = torch.cat((y, nn.functional.hardtanh(self.b(y), 0.0, 3.0)), 1)
        return self.last(torch.sigmoid(self.pool(z)).mean((2, 3)))
class Sorts(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 1), Sorting())
    def forward(self, x):
        return self.inner(x)
class Sorting(nn.Module):
    def forward(self, x):
        return x.sort(1)[0]
"""
UNIT = ["explain", "explain_nets:Unit", "--input", "3,20,16"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "explain_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("CC", raising=False)


def explained(args: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*args, "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found: dict[str, Any] = json.loads(said.out)
    return found


@pytest.mark.parametrize("cpu", ISAS)
def test_every_step_is_there(here: None, cpu: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One step for each convolution; norms, activations and the sum are in them."""
    plan = explained([*UNIT, "--cpu", cpu], capsys)
    assert (plan["cpu"], plan["image"], plan["tuned"]) == (cpu, [3, 20, 16], False)
    steps = {step["module"]: step for step in plan["steps"] if step["madds"]}
    area = 10 * 8
    facts = {
        "stem.0": ("conv 3x3 s2", [3, 20, 16], [8, 10, 8], area * 8 * 3 * 9, ["relu"]),
        "dw": ("depthwise 3x5", [8, 10, 8], [8, 10, 8], area * 8 * 15, []),
        "a": ("conv 1x1", [8, 10, 8], [8, 10, 8], area * 8 * 8, ["add", "relu"]),
        "b": ("conv 3x3 d2 g2", [8, 10, 8], [12, 10, 8], area * 12 * 4 * 9, ["clamp 0..3"]),
        "last": ("linear", [20, 1, 1], [5, 1, 1], 100, []),
    }
    assert set(steps) == set(facts)
    for module, (kind, read, put, madds, fused) in facts.items():
        step = steps[module]
        assert (step["kind"], step["inputs"], step["output"]) == (kind, [read], put), module
        assert (step["madds"], step["fused"]) == (madds, fused), module
        assert math.isclose(step["share"], madds / plan["madds"])
        assert (step["block"] is None) == (module == "dw")
    assert plan["madds"] == sum(fact[3] for fact in facts.values())
    # Read, written, and the weights: 4 bytes each; the residual is read too.
    assert steps["stem.0"]["bytes"] == 4 * (3 * 20 * 16 + 8 * area + 8 * 3 * 9)
    assert steps["a"]["bytes"] == 4 * (2 * 8 * area + 8 * area + 8 * 8)
    others = [step["kind"] for step in plan["steps"] if not step["madds"]]
    assert others.count("max pool 3x3 s2") == 1
    assert others.count("global average") == 1


def test_totals(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    plan = explained([*UNIT, "--cpu", "portable"], capsys)
    weights = 8 * 27 + 8 * 15 + 8 * 8 + 12 * 4 * 9 + 100
    maps = [(3, 20, 16), (8, 10, 8), (8, 10, 8), (8, 10, 8), (12, 10, 8), (20, 5, 4), (20, 1, 1)]
    assert plan["weights_bytes"] > 4 * weights
    assert plan["unshared_bytes"] >= 4 * sum(math.prod(one) for one in maps)
    # No less than what is read and written by the largest step; no more than all side by side.
    largest = max(math.prod(a) + math.prod(b) for a, b in pairwise(maps))
    assert 4 * largest <= plan["memory_bytes"] < plan["unshared_bytes"]
    most = {(p, v) for p, v in ISAS["portable"].tiles}
    for pixels, vectors in (map(int, tile.split("x")) for tile in plan["tiles"]):
        assert any(pixels <= p and vectors <= v for p, v in most)
    gathers = [step for step in plan["steps"] if step["kind"] == "gather"]
    assert plan["gathers"] == len(gathers)


@pytest.mark.slow
def test_of_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    name = "mobilenet_v2_x0_35"
    plan = explained(["explain", name, "--input", "64", "--cpu", "avx2"], capsys)
    assert plan["madds"] == cost(name, (1, 3, 64, 64)).madds
    assert math.isclose(sum(step["share"] for step in plan["steps"]), 1)
    assert plan["gathers"] == 0
    assert 3 * plan["memory_bytes"] < plan["unshared_bytes"]


def test_prints_for_people(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*UNIT, "--cpu", "neon"]) == 0
    printed = capsys.readouterr().out
    lines = [line.rstrip() for line in printed.splitlines()]
    assert max(map(len, lines)) <= 100
    assert lines[0] == "explain_nets:Unit on 3x20x16, as the native engine computes it on neon"
    assert "by the fixed rule" in lines[1]
    columns = [
        "step",
        "input",
        "output",
        "M madds",
        "floor",
        "kB",
        "block",
        "rows",
        "fused",
        "module",
    ]
    assert " ".join(lines[5].split()) == " ".join(columns)
    (row,) = [line for line in lines if line.endswith("  a")]
    assert row.split()[:6] == ["conv", "1x1", "8x10x8", "8x10x8", "0.01", f"{5120 / 66660:.1%}"]
    assert "add, relu" in row
    assert "0.07 M multiply-adds, 7 steps, 0 of them gathers" in printed
    assert "activations" in printed
    # Numbers are aligned right: those of a column end where its name ends.
    end = lines[5].index("M madds") + len("M madds")
    assert row[:end].endswith("0.01")


@pytest.mark.slow
@pytest.mark.skipif(not building.has_compiler(), reason="needs a C compiler")
def test_on_this_machine(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    plan = explained(UNIT, capsys)
    assert plan["tuned"]
    assert plan["cpu"] == building.host_isa().name
    assert explained(UNIT, capsys) == plan
    fixed = explained([*UNIT, "--no-tune"], capsys)
    assert not fixed["tuned"]
    assert fixed["madds"] == plan["madds"]


def test_without_a_compiler(
    here: None, no_compiler: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan for a CPU that was named needs none."""
    assert explained([*UNIT, "--cpu", "avx512"], capsys)["cpu"] == "avx512"
    assert run(UNIT) == 1
    said = capsys.readouterr().err
    assert "needs a C compiler and finds none" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["shufflenet_v2_x3_0"], 2, "unknown model 'shufflenet_v2_x3_0'"),
        (["explain_nets:Unit", "--cpu", "avx"], 2, "unknown instruction set 'avx'; did you mean"),
        (["explain_nets:Unit", "--input", "4,16,16"], 2, "doesn't run on an input"),
        (["explain_nets:Unit", "--input", "zero"], 2, "'zero' is no"),
        (["explain_nets:Sorts", "--input", "8", "--cpu", "neon"], 1,
         "inner.1: the native engine has no sort"),
    ],
)  # fmt: skip
def test_wrong_usage(
    here: None, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *words]) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
