"""When advice is kept: the rule, on times that are made up."""

import numpy as np
import pytest

from flyweight.advising import KEPT, WITHDRAWN, decide
from flyweight.advising.deciding import LEAST_ROUNDS, noise_of
from flyweight.records import Ratio, paired_ratio


def ratio(factor: float, spread: float, rounds: int = 30, seed: int = 1) -> Ratio:
    """Of times that are `factor` apart, each with normal noise of `spread`."""
    noise = np.random.default_rng(seed).standard_normal((2, rounds)) * spread
    a, b = 1e-3 * factor * (1 + noise[0]), 1e-3 * (1 + noise[1])
    return paired_ratio(a.tolist(), b.tolist())


QUIET = ratio(1.0, 0.002, seed=5)


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.93])
def test_a_clear_gain_is_kept(factor: float) -> None:
    assert decide(ratio(factor, 0.01), QUIET).verdict == KEPT


def test_kept_implies_that_the_interval_excludes_1() -> None:
    for seed in range(200):
        one = ratio(1 - seed / 1000, 0.05, rounds=8, seed=seed)
        if decide(one, QUIET).verdict == KEPT:
            assert one.high < 1


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (ratio(1.0, 0.02), "no difference measured"),
        (ratio(1.3, 0.01), "slower"),
        (ratio(0.99, 0.001), "too little"),
        (ratio(0.5, 0.01, rounds=LEAST_ROUNDS - 1), "too few"),
    ],
    ids=["the same", "slower", "one per cent", "few rounds"],
)
def test_anything_else_is_withdrawn(one: Ratio, says: str) -> None:
    decision = decide(one, QUIET)
    assert decision.verdict == WITHDRAWN
    assert says in decision.why


def test_a_gain_within_the_twins_noise_is_withdrawn() -> None:
    # Two instances of the same network differ by up to 8 %, so 5 % may be chance.
    noisy = Ratio(1.03, 0.97, 1.08, 0.95, 30)
    assert noise_of(noisy) == pytest.approx(0.08)
    assert decide(ratio(0.95, 0.002), noisy).verdict == WITHDRAWN
    assert decide(ratio(0.85, 0.002), noisy).verdict == KEPT


def test_chance_is_hardly_ever_kept() -> None:
    kept = sum(
        decide(ratio(1.0, 0.05, rounds=12, seed=s), ratio(1.0, 0.05, 12, 1000 + s)).verdict == KEPT
        for s in range(300)
    )
    assert kept <= 3  # of 300: one in a hundred
