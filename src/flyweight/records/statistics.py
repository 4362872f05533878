"""Ratios of interleaved timings, with their confidence interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """Time of one runner over time of another: below 1, the first is faster.

    Attributes:
        value: median over rounds of the ratio within a round.
        low: lower end of the confidence interval.
        high: upper end.
        confidence: of the interval.
        rounds: number of rounds it rests on.
    """

    value: float
    low: float
    high: float
    confidence: float
    rounds: int

    @property
    def differs(self) -> bool:
        """Whether a difference was measured: the interval doesn't hold 1."""
        return not self.low <= 1.0 <= self.high


def mean_of_instances(samples_s: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """The mean, in each round, over several instances of a runner.

    One instance can be a few per cent slower than another by where its weights happen to lie.

    Args:
        samples_s: seconds per call of each instance, one a round; rounds that one of them lacks are
            left out.
    """
    rounds = min(map(len, samples_s))
    return np.asarray(np.mean([samples[:rounds] for samples in samples_s], axis=0))


def paired_ratio(a_s: Sequence[float], b_s: Sequence[float]) -> Ratio:
    """The ratio a / b of two runners timed in the same rounds.

    Both are timed within moments of each other in every round, so what slows the machine for a
    while cancels in the round's ratio. The interval is a percentile bootstrap over rounds.

    Args:
        a_s: seconds per call, one a round; the later rounds may be missing.
        b_s: likewise; rounds that only one of them has are left out.
    """
    rounds = min(len(a_s), len(b_s))
    ratios = np.asarray(a_s[:rounds]) / np.asarray(b_s[:rounds])
    # A fixed seed: the same records always give the same interval.
    picks = np.random.default_rng(0).integers(0, rounds, (RESAMPLES, rounds))
    medians = np.median(ratios[picks], axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return Ratio(float(np.median(ratios)), float(low), float(high), CONFIDENCE, rounds)
