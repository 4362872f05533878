"""What bounds an operation on a machine of round figures, and how such a machine is measured."""

import pytest

from flyweight.decomposing import peaks as peaks_module
from flyweight.decomposing.peaks import Peaks, measure_peaks
from flyweight.decomposing.profile import Operation
from flyweight.decomposing.roofline import (
    COMPUTE,
    MEMORY,
    OVERHEAD,
    UNKNOWN,
    bound_of,
)
from flyweight.native.building import has_compiler

MACHINE = Peaks(1, 1e9, (1_000, 1_000_000), (1e9, 1e8))
"""A multiply-add takes a nanosecond, as does a byte in the cache; behind it a byte takes ten."""


def operation(madds: int, size: int | None) -> Operation:
    return Operation("", "op", "other", (), madds, size, size)


@pytest.mark.parametrize(
    ("madds", "size", "seconds", "verdict", "limit"),
    [
        (5_000, 1_000, 6e-6, COMPUTE, 5e-6),
        (5_000, 1_000, 11e-6, OVERHEAD, 5e-6),
        (5_000, 1_000, 4e-6, COMPUTE, 5e-6),  # faster than it can be: measured so, all the same
        (500, 1_000, 1.5e-6, MEMORY, 1e-6),
        (0, 1_000, 1.9e-6, MEMORY, 1e-6),
        (0, 1_000, 2.1e-6, OVERHEAD, 1e-6),
        (1_001, 1_000, 1e-6, COMPUTE, 1.001e-6),  # at the ridge
        (5_000_000, 1_000_000, 11e-3, MEMORY, 10e-3),
        (0, 0, 1e-6, OVERHEAD, 0.0),
        (0, 0, 0.0, OVERHEAD, 0.0),
    ],
)
def test_verdicts(madds: int, size: int, seconds: float, verdict: str, limit: float) -> None:
    found = bound_of(operation(madds, size), seconds, MACHINE)
    assert found.verdict == verdict
    assert found.limit_s == pytest.approx(limit)
    assert found.intensity == (madds / size if size else None)


def test_what_nobody_knows() -> None:
    assert bound_of(operation(5, None), 1.0, MACHINE).verdict == UNKNOWN
    found = bound_of(operation(5, 10), 1.0, None)
    assert (found.verdict, found.limit_s, found.intensity) == (UNKNOWN, None, 0.5)


@pytest.mark.parametrize(
    ("count", "speed"),
    [(1, 1e9), (1_000, 1e9), (31_623, 10**8.5), (1_000_000, 1e8), (10**9, 1e8)],
)
def test_bandwidth_by_size(count: int, speed: float) -> None:
    assert MACHINE.bandwidth(count) == pytest.approx(speed, rel=1e-3)


def test_threads_have_caches_of_their_own() -> None:
    """Two threads share the bytes, and each reads its half."""
    two = Peaks(2, 2e9, MACHINE.sizes, (2e9, 2e8))
    assert two.bandwidth(2_000) == pytest.approx(2e9)
    assert two.bandwidth(2_000_000) == pytest.approx(2e8)


@pytest.mark.skipif(not has_compiler(), reason="no C compiler")
@pytest.mark.parametrize("threads", [1, 2])
def test_peaks_are_measured(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks_module, "BUDGET_S", 0.1)
    monkeypatch.setattr(peaks_module, "SIZES", (1 << 16, 1 << 20))
    found = measure_peaks(threads)
    assert (found.threads, found.sizes) == (threads, (1 << 16, 1 << 20))
    assert found.madds_per_s > 0
    assert all(speed > 0 for speed in found.bytes_per_s)
