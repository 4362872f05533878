"""Does the order by FLOPs predict the order by time: made-up times, clear and not."""

import itertools

import numpy as np
import pytest

from flyweight.studies.ranking import kendall, order_by_flops, spread_at_equal_flops
from tests.studies.timed import run

NAMES = tuple("abcdefgh")
MADDS = {name: 1_000_000 * (10 + index) for index, name in enumerate(NAMES)}


def by_hand(costs: list[float], times: list[float]) -> float:
    """Kendall's tau, pair by pair."""
    score = pairs = 0
    for (c1, t1), (c2, t2) in itertools.combinations(zip(costs, times, strict=True), 2):
        if c1 != c2:
            pairs += 1
            score += ((c1 < c2) == (t1 < t2)) * 2 - 1 if t1 != t2 else 0
    return score / pairs


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1, 2, 3, 4], 1.0),
        ([4, 3, 2, 1], -1.0),
        ([1, 3, 2, 4], 4 / 6),  # one of six pairs is the wrong way
        ([1, 1, 1, 1], 0.0),
        ([2, 2, 3, 4], 5 / 6),  # one pair is tied
    ],
)
def test_kendall(times: list[float], expected: float) -> None:
    costs = np.array([10.0, 20, 30, 40])
    assert float(kendall(costs, np.array(times, float))) == pytest.approx(expected)
    assert by_hand(list(costs), times) == pytest.approx(expected)


def test_kendall_of_many_at_once_and_with_equal_costs() -> None:
    random = np.random.default_rng(3)
    costs = random.integers(1, 6, 9).astype(float)
    times = random.random((5, 9))
    expected = [by_hand(costs.tolist(), row.tolist()) for row in times]
    np.testing.assert_allclose(kendall(costs, times), expected)
    with pytest.raises(ValueError, match="different cost"):
        kendall(np.ones(3), np.arange(3.0))


def test_clear_agreement() -> None:
    times = {name: 2.0 * MADDS[name] / 1e6 for name in NAMES}
    found = order_by_flops([list(run(times, MADDS, 0.005).values())], "same order")
    assert found is not None
    assert (found.answer, found.value, found.low) == ("holds", 1.0, 1.0)
    assert "of 8 networks' pairs 100% are ordered by time as by FLOPs" in found.sentence
    assert found.sentence.startswith("same order? holds: ")


def test_no_agreement() -> None:
    times = dict(zip(NAMES, (5, 1, 7, 3, 8, 2, 6, 4), strict=True))
    found = order_by_flops([list(run(times, MADDS).values())], "same order")
    assert found is not None
    assert found.answer == "does not hold"
    assert found.value == pytest.approx(by_hand(list(MADDS.values()), list(times.values())))
    assert found.low <= found.value <= found.high < 0.5


def test_too_noisy_to_decide() -> None:
    """Networks of the right order whose times differ by less than the noise of few rounds."""
    times = {name: 10 + 0.2 * index for index, name in enumerate(NAMES)}
    found = order_by_flops([list(run(times, MADDS, 0.03, rounds=10).values())], "same order")
    assert found is not None
    assert found.answer == "not decided"
    assert found.low < 0.8 <= found.high


def test_too_few_rounds_to_decide() -> None:
    times = {name: 2.0 * MADDS[name] / 1e6 for name in NAMES}
    found = order_by_flops([list(run(times, MADDS, 0.001, rounds=4).values())], "same order")
    assert found is not None
    assert found.answer == "not decided"
    near = run({"a": 10.0, "b": 30.0}, NEAR, 0.001, rounds=4)
    spread = spread_at_equal_flops(list(near.values()), "")
    assert spread is not None
    assert spread.answer == "not decided"


def test_several_runs() -> None:
    """Levels that were timed one after another: each is resampled by its own rounds."""
    small = run({name: 1.0 + i for i, name in enumerate(NAMES)}, MADDS, rounds=20)
    larger = {f"{name}2": 100_000_000 + MADDS[name] for name in NAMES}
    large = run({name: 50.0 - i for i, name in enumerate(larger)}, larger, rounds=30)
    found = order_by_flops([list(small.values()), list(large.values())], "")
    assert found is not None
    # 28 pairs within the first are right, 28 within the second wrong, 64 between them right.
    assert found.value == pytest.approx((28 - 28 + 64) / 120)


def test_too_few_networks_to_rank() -> None:
    two = run({"a": 1.0, "b": 2.0}, MADDS)
    assert order_by_flops([list(two.values())], "") is None


NEAR = {"a": 100_000_000, "b": 105_000_000, "c": 95_000_000, "far": 130_000_000}


def test_spread_at_equal_flops() -> None:
    """105 M over 95 M is 1.11; the network of 130 M doesn't count."""
    times = {"a": 10.0, "b": 30.0, "c": 12.0, "far": 99.0}
    found = spread_at_equal_flops(list(run(times, NEAR).values()), "equally long")
    assert found is not None
    assert found.answer == "does not hold"
    assert 2.9 < found.low < found.value < found.high < 3.1
    assert "FLOPs of 3 networks differ by 1.11 at most" in found.reason
    assert "b over a" in found.reason


def test_no_spread() -> None:
    times = {"a": 10.0, "b": 10.4, "c": 9.8}
    found = spread_at_equal_flops(list(run(times, NEAR).values()), "")
    assert found is not None
    assert found.answer == "holds"


def test_spread_too_noisy_to_decide() -> None:
    times = {"a": 10.0, "b": 11.3, "c": 10.0}
    found = spread_at_equal_flops(list(run(times, NEAR, 0.4, rounds=12).values()), "")
    assert found is not None
    assert found.answer == "not decided"


def test_nothing_of_equal_flops() -> None:
    times = {"a": 10.0, "far": 12.0}
    assert spread_at_equal_flops(list(run(times, NEAR).values()), "") is None
