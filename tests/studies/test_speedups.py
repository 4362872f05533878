"""Claims of being faster, on made-up times: a clear effect, none, and one too noisy to decide."""

from collections.abc import Sequence

import pytest
from torch import nn

from flyweight.records import Record
from flyweight.studies.speedups import compared, faster, faster_than, images_per_s
from flyweight.studies.study import Case, Published, Series
from flyweight.studies.verdicts import MARGIN
from tests.studies.timed import run


def timed(noise: float, rounds: int = 60, **times: float) -> dict[str, Record]:
    """Records of one run on a drifting machine, by label."""
    return run(times, dict.fromkeys(times, 1), noise, rounds)


def series(labels: Sequence[str], speeds: Sequence[float]) -> Series:
    columns = (Published("error", "%"), Published("speed", "images/s", speed=True))
    cases = (
        Case(label, nn.Identity, (3, 8, 8), (1.0, speed))
        for label, speed in zip(labels, speeds, strict=True)
    )
    return Series("made up", columns, tuple(cases))


def test_a_clear_effect() -> None:
    found = compared(timed(0.02, a=1, b=1.5), ["a"], ["b"])
    assert found is not None
    assert found.answer == "holds"
    assert 1.45 < found.low < found.value < found.high < 1.55
    assert found.reason.startswith("a is 1.5")
    assert found.reason.endswith("times as fast as b")


def test_no_effect() -> None:
    for slowness in (0.8, 1.0, 1 + MARGIN / 2):
        found = compared(timed(0.001, a=1, b=slowness), ["a"], ["b"])
        assert found is not None
        assert found.answer == "does not hold"


def test_too_noisy_to_decide() -> None:
    found = compared(timed(0.5, rounds=12, a=1, b=1.05), ["a"], ["b"])
    assert found is not None
    assert found.answer == "not decided"


def test_too_few_rounds_to_decide() -> None:
    found = compared(timed(0.001, rounds=3, a=1, b=2), ["a"], ["b"])
    assert found is not None
    assert found.answer == "not decided"
    assert found.reason.endswith("3 rounds are too few to be sure")


def test_the_slowest_against_the_fastest() -> None:
    """All of one side must be faster than all of the other."""
    times = timed(0.01, ours=1, ours_too=1.4, theirs=1.2, theirs_too=3)
    judge = faster("ours")
    table = series(list(times), [1, 1, 1, 1])
    found = judge(table, times)
    assert found is not None
    assert found.answer == "does not hold"
    assert found.reason.startswith("ours_too is 0.8")
    del times["ours_too"]
    found = judge(table, times)
    assert found is not None
    assert found.answer == "holds"
    assert found.value == pytest.approx(1.2, rel=0.01)


def test_as_many_times_as_printed() -> None:
    """Printed speeds of 24 and 2 claim a factor of 12."""
    table = series(["small", "large"], [24.0, 2.0])
    for factor, answer in ((15, "holds"), (9, "does not hold"), (12, "not decided")):
        times = timed(0.02, small=1, large=factor)
        found = faster_than("small", "large", as_printed=True)(table, times)
        assert found is not None
        assert found.answer == answer
        assert "where the paper has 12.00" in found.reason
        alone = faster_than("small", "large", claim="small is faster")(table, times)
        assert alone is not None
        assert alone.sentence.startswith("small is faster? holds: small is ")


def test_a_side_that_was_not_run() -> None:
    times = timed(0.02, a=1, b=2)
    assert compared(times, ["a"], ["c"]) is None
    assert compared(times, ["c"], ["b"]) is None
    assert compared(times, ["a", "c"], ["b"]) is not None


def test_speeds_from_times() -> None:
    assert images_per_s(15.2) == 65.79
    assert images_per_s(3633.9) == 0.2752
