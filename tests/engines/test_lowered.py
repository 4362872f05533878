"""Engines take lowered networks; runners and records keep the original's name and facts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from flyweight import compile
from flyweight.cli.app import run
from flyweight.engines import ENGINES
from flyweight.graph import frozen_copy
from flyweight.lowering.rules import THEMSELVES
from flyweight.measuring import measure
from flyweight.records import read_records

NETWORK = "shufflenet_v2_x0_5"
SHAPE = (1, 3, 64, 64)


class Shuffling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.shuffle = nn.ChannelShuffle(4)
        self.next = nn.Conv2d(8, 4, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.next(self.shuffle(self.norm(self.conv(x)).relu())).mean((2, 3))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Lowering replaced by a plain trace, so that only what engines do with it is tested."""
    engines: list[str | None] = []

    def trace(model: nn.Module, example: Tensor, engine: str | None = None) -> fx.GraphModule:
        assert example.dtype == torch.float32
        engines.append(engine)
        return fx.symbolic_trace(frozen_copy(model))

    monkeypatch.setattr("flyweight.api.lower", trace)
    return engines


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(
            name,
            marks=[
                pytest.mark.skipif(not engine.installed, reason=f"{name} is not installed"),
                *([pytest.mark.slow] if name == "compile" else []),
            ],
        )
        for name, engine in ENGINES.items()
        if name not in THEMSELVES
    ],
)
def test_engines_take_lowered_networks(asked: list[str | None], engine: str) -> None:
    model = Shuffling()
    x = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    plain = compile(model, x, engine=engine)
    lowered = compile(model, x, engine=engine, lowered=True)
    assert asked == [engine]
    assert (plain.lowered, lowered.lowered) == (False, True)
    assert (lowered.engine, lowered.network) == (engine, "Shuffling")
    assert lowered.facts == plain.facts
    assert plain.facts is not None
    np.testing.assert_allclose(lowered(x), plain(x), rtol=1e-4, atol=1e-6)


def test_records_say_which_form_ran(asked: list[str | None]) -> None:
    x = np.zeros(SHAPE, np.float32)
    runners = {
        "plain": compile(NETWORK, x, engine="eager"),
        "lowered": compile(NETWORK, x, engine="eager", lowered=True),
        "function": lambda: None,
    }
    records = measure(runners, 0.2).records
    assert [record.environment.lowered for record in records] == [False, True, None]


def bench(*args: str, target: Path) -> list[str]:
    budget = ["--input", "64", "--budget", "500ms", "--json", str(target)]
    assert run([*args, *budget]) == 0
    return [record.runner for record in read_records(target)]


def test_bench_both(
    asked: list[str | None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A form of the network's own goes before the one that was asked for."""
    small = "mobilenet_v1_x0_25"
    keys = bench(
        "bench", NETWORK, f"{small}/eager+lowered", "--engine", "eager", "--both",
        target=tmp_path / "r.jsonl",
    )  # fmt: skip
    assert keys == [f"{NETWORK}/eager", f"{NETWORK}/eager+lowered", f"{small}/eager+lowered"]
    lines = capsys.readouterr().out.splitlines()
    found = [line for line in lines if "lowered/plain" in line]
    assert len(found) == 1
    name, ratio, interval = found[0].rsplit(" ", 2)
    assert name == f"{NETWORK}/eager: lowered/plain"
    low, high = interval.strip("()").split("-")
    assert float(low) <= float(ratio) <= float(high)
    runs = {json.loads(line)["run"] for line in (tmp_path / "r.jsonl").read_text().splitlines()}
    assert len(runs) == 1


@pytest.mark.slow
def test_bench_lowered_and_plain(asked: list[str | None], tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    on = ["bench", f"{NETWORK}@32", "--engine", "eager"]
    assert bench(*on, "--lowered", target=target) == [f"{NETWORK}@32/eager+lowered"]
    assert asked == ["eager"]
    assert bench(*on, "--plain", target=target) == [f"{NETWORK}@32/eager"]
    assert asked == ["eager"]


@pytest.mark.parametrize(
    "sides",
    [
        [f"{NETWORK}/eager", f"{NETWORK}/eager+lowered"],
        ["eager", "eager+lowered", "--model", NETWORK],
    ],
)
def test_compare_forms(
    asked: list[str | None], tmp_path: Path, capsys: pytest.CaptureFixture[str], sides: list[str]
) -> None:
    keys = bench("compare", *sides, target=tmp_path / "r.jsonl")
    assert keys == [f"{NETWORK}/eager", f"{NETWORK}/eager+lowered"]
    assert f"{NETWORK}/eager+lowered: " in capsys.readouterr().out


def test_reports_tell_forms_apart(asked: list[str | None], tmp_path: Path) -> None:
    target, page = tmp_path / "r.jsonl", tmp_path / "r.html"
    bench("bench", NETWORK, "--engine", "eager", "--both", "--html", str(page), target=target)
    assert "<td>eager+lowered</td>" in page.read_text(encoding="utf-8")
    assert "<td>eager</td>" in page.read_text(encoding="utf-8")
