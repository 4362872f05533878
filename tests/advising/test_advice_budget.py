"""The time for advice: what is tried in it, and when it ends, by a clock that a test turns."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from flyweight.advising import ARCHITECTURAL, NOT_TRIED, WITHDRAWN, Finding, Setting, Trial, running
from flyweight.advising.bench import Bench
from flyweight.advising.preparing import Candidate
from flyweight.advising.rebuilding import Edit
from flyweight.advising.running import _alternatives, _State
from flyweight.advising.trying import LEAST_S, TIME_IS_UP, exact_trials
from flyweight.engines import Runner
from flyweight.measuring import Measurements, measure

EAGER = Setting("eager", 1)
PREPARING_S = 10.0


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    for module in ("running", "trying", "bench"):
        monkeypatch.setattr(f"flyweight.advising.{module}.time", found)
    return found


@pytest.fixture
def bench(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A network that takes its time to prepare, and to be timed."""
    example = np.zeros((1, 3, 8, 8), np.float32)
    found = Bench(nn.Conv2d(3, 3, 1).eval(), "slow to prepare", example, EAGER)
    real: Callable[..., Runner] = found.runner

    def slow(model: nn.Module, setting: Setting, example: np.ndarray | None = None) -> Runner:
        clock.now += PREPARING_S * (2 if setting.lowered else 1)
        return real(model, setting, example)

    def timed(runners: dict[str, Runner], budget_s: float) -> Measurements:
        clock.now += budget_s
        found.measured_s += budget_s
        return measure(runners, 0.01)

    monkeypatch.setattr(found, "runner", slow)
    monkeypatch.setattr(found, "timed", timed)
    return found


def names(trials: list[Trial], tried: bool) -> list[str]:
    return [one.advice for one in trials if (one.verdict != NOT_TRIED) is tried]


def test_candidates_are_prepared_while_they_are_ready_in_time(bench: Bench, clock: Clock) -> None:
    plain = [Candidate(str(n), EAGER) for n in range(5)]
    lowered = Candidate("lowered", replace(EAGER, lowered=True))
    # The original and its twin are ready after 20 s, the first two after 40; lowering would take
    # 20 more, another plain one 10.
    trials = exact_trials(bench, [*plain[:2], lowered, *plain[2:]], None, 5.0, until=52.0)
    assert names(trials, tried=True) == ["0", "1", "2"]
    assert names(trials, tried=False) == ["lowered", "3", "4"]
    assert {one.why for one in trials if one.verdict == NOT_TRIED} == {TIME_IS_UP}
    assert clock.now == 50 + 5


def test_what_is_late_is_measured_for_less_long(bench: Bench, clock: Clock) -> None:
    exact_trials(bench, [Candidate("0", EAGER)], None, 8.0, until=28.0)
    assert clock.now == 30 + 8 - 2
    clock.now = 100.0
    exact_trials(bench, [Candidate("0", EAGER)], None, 8.0, until=0.0)
    assert clock.now == 100 + 20 + LEAST_S


def findings(count: int) -> list[Finding]:
    return [
        Finding(f"f{n}", "G1", (), (), 1.0, 0.1, "", "", f"remedy {n}", ARCHITECTURAL, Edit())
        for n in range(count)
    ]


@pytest.mark.parametrize("budget_s", [15.0, 30.0, 60.0, 120.0, 600.0])
@pytest.mark.parametrize("takes_s", [1.0, 5.0, 9.0])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_alternatives_end_within_the_time(
    budget_s: float, takes_s: float, count: int, bench: Bench, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given: list[float] = []

    def trial(
        bench: Bench, reading: object, finding: Finding, costs: object, seconds: float
    ) -> Trial:
        clock.now += takes_s + seconds
        bench.measured_s += seconds
        given.append(seconds)
        return Trial(finding.remedy, ARCHITECTURAL, finding.key, "G1", WITHDRAWN, "no gain")

    monkeypatch.setattr(running, "architectural_trial", trial)
    bench.preparing_s = 3.0
    state = _State(findings=findings(count))
    _alternatives(bench, state, torch, budget_s, budget_s)  # type: ignore[arg-type]
    assert len(state.trials) == count
    assert clock.now <= budget_s
    assert all(seconds >= LEAST_S for seconds in given)
    late = [one for one in state.trials if one.verdict == NOT_TRIED]
    assert {one.why for one in late} <= {TIME_IS_UP}
    if budget_s >= 120:
        assert not late
        assert given


def test_one_that_takes_longer_than_expected_is_the_last_surprise(
    bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trial(
        bench: Bench, reading: object, finding: Finding, costs: object, seconds: float
    ) -> Trial:
        clock.now += 20 + seconds
        bench.measured_s += seconds
        return Trial(finding.remedy, ARCHITECTURAL, finding.key, "G1", WITHDRAWN, "no gain")

    monkeypatch.setattr(running, "architectural_trial", trial)
    bench.preparing_s = 1.0
    state = _State(findings=findings(6))
    _alternatives(bench, state, torch, 60.0, 60.0)  # type: ignore[arg-type]
    assert clock.now <= 60
    assert [one.verdict for one in state.trials] == [WITHDRAWN, WITHDRAWN] + [NOT_TRIED] * 4
