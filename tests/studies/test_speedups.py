"""Claims of being faster, on made-up times: a clear effect, none, and one too noisy to decide."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from flyweight.measuring import measure
from flyweight.records import Record
from flyweight.studies.speedups import compared, faster, faster_than
from flyweight.studies.study import Case, Published, Series
from flyweight.studies.verdicts import MARGIN, Verdict


@pytest.fixture(scope="module")
def record() -> Record:
    """Any record, to be given other times."""
    return measure({"x": lambda: None}, 0.01).records[0]


def timed(record: Record, noise: float, rounds: int = 60, **slowness: float) -> dict[str, Record]:
    """Records of one run on a drifting machine, by label."""
    random = np.random.default_rng(0)
    drift = 1 + 0.3 * random.random(rounds)
    return {
        label: replace(
            record,
            samples_s=tuple(
                np.abs(2e-3 * times * drift * (1 + noise * random.standard_normal(rounds))).tolist()
            ),
        )
        for label, times in slowness.items()
    }


def series(labels: Sequence[str], speeds: Sequence[float]) -> Series:
    columns = (Published("error", "%"), Published("speed", "images/s", speed=True))
    cases = (
        Case(label, nn.Identity, (3, 8, 8), (1.0, speed))
        for label, speed in zip(labels, speeds, strict=True)
    )
    return Series("made up", columns, tuple(cases))


def test_a_clear_effect(record: Record) -> None:
    found = compared(timed(record, 0.02, a=1, b=1.5), ["a"], ["b"])
    assert found is not None
    assert found.answer == "holds"
    assert 1.45 < found.low < found.value < found.high < 1.55
    assert found.reason.startswith("a is 1.5")
    assert found.reason.endswith("times as fast as b")


def test_no_effect(record: Record) -> None:
    for slowness in (0.8, 1.0, 1 + MARGIN / 2):
        found = compared(timed(record, 0.001, a=1, b=slowness), ["a"], ["b"])
        assert found is not None
        assert found.answer == "does not hold"


def test_too_noisy_to_decide(record: Record) -> None:
    found = compared(timed(record, 0.5, rounds=12, a=1, b=1.05), ["a"], ["b"])
    assert found is not None
    assert found.answer == "not decided"


def test_the_slowest_against_the_fastest(record: Record) -> None:
    """All of one side must be faster than all of the other."""
    times = timed(record, 0.01, ours=1, ours_too=1.4, theirs=1.2, theirs_too=3)
    judge = faster("ours")
    table = series(list(times), [1, 1, 1, 1])
    found = judge(table, times)
    assert isinstance(found, Verdict)
    assert found.answer == "does not hold"
    assert found.reason.startswith("ours_too is 0.8")
    del times["ours_too"]
    found = judge(table, times)
    assert isinstance(found, Verdict)
    assert found.answer == "holds"
    assert found.value == pytest.approx(1.2, rel=0.01)


def test_as_many_times_as_printed(record: Record) -> None:
    """Printed speeds of 24 and 2 claim a factor of 12."""
    table = series(["small", "large"], [24.0, 2.0])
    for factor, answer in ((15, "holds"), (9, "does not hold"), (12, "not decided")):
        times = timed(record, 0.02, small=1, large=factor)
        found = faster_than("small", "large", as_printed=True)(table, times)
        assert isinstance(found, Verdict)
        assert found.answer == answer
        assert "where the paper has 12.00" in found.reason
        alone = faster_than("small", "large")(table, times)
        assert isinstance(alone, Verdict)
        assert alone.answer == "holds"


def test_a_side_that_was_not_run(record: Record) -> None:
    times = timed(record, 0.02, a=1, b=2)
    assert compared(times, ["a"], ["c"]) is None
    assert compared(times, ["c"], ["b"]) is None
    assert compared(times, ["a", "c"], ["b"]) is not None
