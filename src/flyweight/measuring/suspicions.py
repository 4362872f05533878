"""What makes a timing doubtful, each as a sentence that says what to do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SLOW_FIRST = 1.5
"""The first round counts as slow from this multiple of the median."""
OUTLIER_SCORE = 14.8
"""Modified z-score (Iglewicz and Hoaglin) of an outlier: ten deviations' worth."""
OUTLIER_SHARE = 0.02
DRIFT = 0.05
WIDE = 0.10
BUSY = 0.10
STEAL = 0.02
MIN_ROUNDS = 10


def of_samples(samples_s: Sequence[float]) -> list[str]:
    """Suspicions that one runner's samples raise by themselves.

    Args:
        samples_s: seconds per call, one a round, in order.
    """
    samples = np.asarray(samples_s)
    median = float(np.median(samples))
    found = []
    if len(samples) < MIN_ROUNDS:
        found.append(
            f"Only {len(samples)} rounds were measured: give a longer budget to trust the spread."
        )
    if len(samples) > 2 and samples[0] > SLOW_FIRST * median:
        found.append(
            f"The first round took {samples[0] / median:.1f} times the median: the warm-up was"
            " not enough."
        )
    deviation = float(np.median(np.abs(samples - median)))
    outliers = int(np.sum(np.abs(samples - median) > OUTLIER_SCORE * deviation)) if deviation else 0
    if outliers > OUTLIER_SHARE * len(samples) and len(samples) >= MIN_ROUNDS:
        found.append(
            f"{outliers} of {len(samples)} rounds are outliers: something else ran at times."
        )
    if (spread := _spread(samples)) > WIDE:
        found.append(
            f"The middle half of the samples spreads over {spread:.0%} of the median: compare by"
            " the ratios, which cancel what slows all runners alike."
        )
    third = len(samples) // 3
    if third >= MIN_ROUNDS // 2:
        first, last = samples[:third], samples[-third:]
        change = float(np.median(last) / np.median(first)) - 1
        if abs(change) > max(DRIFT, _spread(first), _spread(last)):
            found.append(
                f"It drifted: the last third was {abs(change):.0%}"
                f" {'slower' if change > 0 else 'faster'} than the first (heat, or a clock that"
                " changed)."
            )
    return found


def _spread(samples: NDArray[np.float64]) -> float:
    """Inter-quartile range as a share of the median."""
    low, middle, high = np.quantile(samples, [0.25, 0.5, 0.75])
    return float((high - low) / middle)


def of_machine(
    cores: int,
    threads: int | None,
    governor: str | None,
    load_average: float | None,
    others_busy: float | None,
    stolen: float | None,
) -> list[str]:
    """Suspicions about the machine.

    Args:
        cores: that this process may use.
        threads: that the runner uses; None if unknown.
        governor: of the CPU's frequency; None if unknown.
        load_average: before the run; None if unknown.
        others_busy: cores that other processes kept busy during the run; None if unknown.
        stolen: share of the time that the hypervisor gave to others; None if unknown.
    """
    found = []
    if threads is not None and threads > cores:
        found.append(
            f"{threads} threads were asked for on {cores} cores: they wait for each other."
        )
    if governor is not None and governor != "performance":
        found.append(
            f"The CPU's governor is {governor!r}, so its clock varies: set it to 'performance'."
        )
    # The load also counts what this process did before: asked only where nothing better is.
    if others_busy is None and load_average is not None and load_average > 0.5 * cores:
        found.append(
            f"The machine's load was {load_average:.1f} on {cores} cores when the run began: close"
            " what else runs and repeat."
        )
    if others_busy is not None and others_busy > BUSY:
        found.append(
            f"Other programs kept {others_busy:.1f} of {cores} cores busy during the run: close"
            " them and repeat."
        )
    if stolen is not None and stolen > STEAL:
        found.append(
            f"The hypervisor took {stolen:.0%} of the time for others: repeat when it is quieter."
        )
    return found
