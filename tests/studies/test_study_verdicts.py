"""Verdicts on made-up times: a clear effect, none, and one too noisy to decide."""

import numpy as np
import pytest

from flyweight.records import Ratio, paired_ratio
from flyweight.studies.verdicts import LEAST_ROUNDS, MARGIN, all_slower_than, slower_than


def ratio(slowdown: float, noise: float, rounds: int = 60, seed: int = 0) -> Ratio:
    """Two runners timed in the same rounds, one `slowdown` times as slow, on a drifting machine."""
    random = np.random.default_rng(seed)
    drift = 1 + 0.3 * random.random(rounds)
    ours = 2e-3 * slowdown * drift * (1 + noise * random.standard_normal(rounds))
    other = 2e-3 * drift * (1 + noise * random.standard_normal(rounds))
    return paired_ratio(np.abs(ours).tolist(), np.abs(other).tolist())


def test_a_clear_effect() -> None:
    found = slower_than([("1:2", ratio(1.05, 0.02)), ("1:12", ratio(1.4, 0.02))])
    assert found.answer == "holds"
    assert 1.35 < found.low < found.value < found.high < 1.45
    assert found.sentence.startswith("holds: the slowest case, 1:12, takes 1.4")


def test_no_effect() -> None:
    assert (
        slower_than([("a", ratio(0.8, 0.01)), ("b", ratio(1.0, 0.005))]).answer == "does not hold"
    )


def test_an_effect_within_the_margin_is_none() -> None:
    found = slower_than([("a", ratio(1 + MARGIN / 2, 0.001))])
    assert found.low > 1
    assert found.answer == "does not hold"


def test_too_noisy_to_decide() -> None:
    assert slower_than([("a", ratio(1.05, 0.5, rounds=12))]).answer == "not decided"


@pytest.mark.parametrize(("rounds", "said"), [(1, "1 round is"), (5, "5 rounds are")])
def test_too_few_rounds_to_decide(rounds: int, said: str) -> None:
    """However clear they look: with five, even the extremes miss the median in 6% of all runs."""
    for judged in (slower_than, all_slower_than):
        found = judged([("a", ratio(1.5, 0.01, rounds))])
        assert found.answer == "not decided"
        assert found.reason.endswith(f"of the reference's time, and {said} too few to be sure")
        assert judged([("a", ratio(1.5, 0.01, LEAST_ROUNDS))]).answer == "holds"
    assert 2 * 0.5**LEAST_ROUNDS < 0.05 < 2 * 0.5 ** (LEAST_ROUNDS - 1)


def test_the_reason_is_a_case_that_was_decided() -> None:
    noisy, clear = Ratio(1.69, 0.84, 2.30, 0.95, 8), ratio(1.2, 0.01)
    found = slower_than([("noisy", noisy), ("clear", clear)])
    assert found.answer == "holds"
    assert "a case, clear, takes 1.2" in found.reason
    wide = Ratio(0.6, 0.5, 1.5, 0.95, 8)
    other = all_slower_than([("wide", wide), ("level", ratio(0.9, 0.01))])
    assert other.answer == "does not hold"
    assert "another, level, takes 0." in other.reason


def test_one_case_is_enough() -> None:
    found = slower_than([("a", ratio(0.9, 0.01)), ("b", ratio(1.2, 0.01))])
    assert found.answer == "holds"
    assert "b, takes 1.2" in found.reason


def test_all_others_are_slower() -> None:
    found = all_slower_than([("a", ratio(1.1, 0.01)), ("b", ratio(1.4, 0.01))], "ours is fastest")
    assert found.answer == "holds"
    assert found.sentence.startswith("ours is fastest? holds: the fastest other, a, takes 1.")
    assert 1.05 < found.low < found.value < found.high < 1.15


def test_one_other_is_as_fast() -> None:
    found = all_slower_than([("a", ratio(1.0, 0.005)), ("b", ratio(1.4, 0.01))])
    assert found.answer == "does not hold"
    assert all_slower_than([("a", ratio(0.8, 0.01))]).sentence.startswith("does not hold: a takes")


def test_others_too_noisy_to_decide() -> None:
    noisy = ratio(1.05, 0.5, rounds=12)
    assert all_slower_than([("a", noisy), ("b", ratio(1.4, 0.01))]).answer == "not decided"
    # But one that is clearly no slower decides it, whatever the others do.
    assert all_slower_than([("a", noisy), ("b", ratio(0.7, 0.01))]).answer == "does not hold"
