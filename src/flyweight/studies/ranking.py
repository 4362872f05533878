"""Whether FLOPs tell how long networks take: the order of their times, and their spread."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flyweight.records import Record, paired_ratio
from flyweight.records.statistics import CONFIDENCE, RESAMPLES
from flyweight.studies.verdicts import MARGIN, Answer, Verdict, settled

PREDICTS = 0.8
"""Kendall's tau from which an order counts as predicted: nine of ten pairs are the right way."""
NEAR = 0.15
"""Networks within this share of a series' first in FLOPs have "nearly equal" ones."""

Floats = NDArray[np.float64]


def kendall(costs: Floats, times: Floats) -> Floats:
    """Kendall's rank correlation of costs and times: 1 for the same order, -1 for the opposite.

    (pairs in the same order - pairs in the opposite order) / pairs. Pairs of equal cost say
    nothing and are left out; pairs of equal time count as half right.

    Args:
        costs: of each network.
        times: likewise along the last axis; leading axes give as many correlations.

    Raises:
        ValueError: there is no pair of different cost.
    """
    first, second = np.triu_indices(len(costs), 1)
    by_cost = np.sign(costs[first] - costs[second])
    if not by_cost.any():
        raise ValueError("no two networks of different cost")
    by_time = np.sign(times[..., first] - times[..., second])
    agreed: Floats = (by_time * by_cost).sum(-1) / np.abs(by_cost).sum()
    return agreed


def order_by_flops(runs: Sequence[Sequence[Record]], claim: str) -> Verdict | None:
    """Whether the order of networks by multiply-adds is their order by time.

    It "holds" where tau is `PREDICTS` at least, with its whole interval; it "does not hold" where
    all of it is below; else it is "not decided". The interval is a percentile bootstrap over
    rounds, those of a run together: it says how sure the order of these networks is here, and
    nothing of other networks.

    Args:
        runs: records with their networks' facts; those of a run were interleaved.
        claim: what is asked.

    Returns:
        None for fewer than three networks.
    """
    records = [record for run in runs for record in run]
    costs = np.array([_madds(record) for record in records], float)
    if len(set(costs)) < 3:
        return None
    times = np.concatenate([_image_times(run) for run in runs])
    found = float(kendall(costs, times))
    random = np.random.default_rng(0)  # the same records always give the same interval
    drawn = kendall(costs, np.concatenate([_resampled(run, random) for run in runs], 1))
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    answer: Answer = "not decided"
    if low >= PREDICTS:
        answer = "holds"
    elif high < PREDICTS:
        answer = "does not hold"
    reason = (
        f"of {len(records)} networks' pairs {(1 + found) / 2:.0%} are ordered by time as by FLOPs;"
        f" Kendall's tau {found:.2f} ({low:.2f} to {high:.2f} over rounds)"
    )
    answer, reason = settled(answer, reason, min(record.n for record in records))
    return Verdict(answer, reason, found, low, high, claim)


def spread_at_equal_flops(records: Sequence[Record], claim: str) -> Verdict | None:
    """Whether networks of nearly equal multiply-adds take nearly equally long.

    Of the networks within `NEAR` of the first, the slowest one's time over the fastest one's, by
    medians. It "holds" where that is no more than the ratio of the most to the least
    multiply-adds, with its whole interval; it "does not hold" where all of it is more; else it is
    "not decided".

    Args:
        records: of one run, with their networks' facts; the first is compared with.
        claim: what is asked.

    Returns:
        None for fewer than two such networks.
    """
    near = [one for one in records if abs(_madds(one) / _madds(records[0]) - 1) <= NEAR]
    if len(near) < 2:
        return None
    near.sort(key=lambda record: record.median_s)
    fastest, slowest = near[0], near[-1]
    ratio = paired_ratio(slowest.samples_s, fastest.samples_s)
    madds = [_madds(record) for record in near]
    expected = max(madds) / min(madds)
    answer: Answer = "not decided"
    if ratio.low > expected * (1 + MARGIN):
        answer = "does not hold"
    elif ratio.high <= expected * (1 + MARGIN):
        answer = "holds"
    reason = (
        f"FLOPs of {len(near)} networks differ by {expected:.2f} at most, times by"
        f" {ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f}): {_name(slowest)} over"
        f" {_name(fastest)}"
    )
    answer, reason = settled(answer, reason, ratio.rounds)
    return Verdict(answer, reason, ratio.value, ratio.low, ratio.high, claim)


def _madds(record: Record) -> int:
    assert record.network is not None  # studies give every runner its facts
    return record.network.madds


def _name(record: Record) -> str:
    return record.network.name if record.network is not None else record.runner


def _samples(run: Sequence[Record]) -> Floats:
    """Seconds per image: networks, rounds; those rounds that all have."""
    rounds = min(record.n for record in run)
    return np.array(
        [np.array(one.samples_s[:rounds]) / (one.environment.batch or 1) for one in run]
    )


def _image_times(run: Sequence[Record]) -> Floats:
    return np.asarray(np.median(_samples(run), axis=1))


def _resampled(run: Sequence[Record], random: np.random.Generator) -> Floats:
    """Medians of the run's rounds, drawn anew `RESAMPLES` times: draws, networks."""
    samples = _samples(run)
    rounds = samples.shape[1]
    picks = random.integers(0, rounds, (RESAMPLES, rounds))
    return np.stack([np.median(one[picks], axis=1) for one in samples], axis=1)
