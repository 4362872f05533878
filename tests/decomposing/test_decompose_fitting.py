"""Profiles fitted to a total: what is taken off where, and that nothing is lost."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyweight.decomposing.fitting import PICOSECONDS, fitted, limited
from flyweight.decomposing.profile import Operation, Profile, Timing, typical
from flyweight.records import Ratio

US = 1e-6
NONE = Ratio(1.0, 0.99, 1.01, 0.95, 20)


def operation(name: str = "", madds: int = 0, size: int | None = 0) -> Operation:
    return Operation(name, "op", "other", (), madds, size, size)


def profile(
    times: list[float], whole: float, notes: list[int] | None = None, all_notes: int | None = None
) -> Profile:
    """Of operations that take so many microseconds, in a call of so many."""
    notes = notes or [1] * len(times)
    timings = tuple(Timing(operation(), t * US, n) for t, n in zip(times, notes, strict=True))
    return Profile(timings, whole * US, all_notes or sum(notes), 1)


def in_us(found: tuple[list[int], int, int]) -> tuple[list[float], float]:
    parts, residual, total = found
    assert sum(parts) + residual == total
    # To 10 picoseconds: digits beyond are cut off.
    return [round(p / 1e6, 5) for p in parts], round(residual / 1e6, 5)


def about(expected: float | list[float]) -> Any:
    return pytest.approx(expected, abs=2e-5)


def inflated(by: float) -> Ratio:
    return Ratio(by, by - 0.01, by + 0.01, 0.95, 20)


def test_as_profiled() -> None:
    """Nothing is inflated, and the machine is as fast as it was."""
    found = in_us(fitted(profile([3, 5], 10), 10 * US, NONE))
    assert found == (about([3, 5]), about(2))


def test_a_slower_machine() -> None:
    """All of a call, with what is between the operations, took half as long again."""
    found = in_us(fitted(profile([3, 6], 15), 10 * US, NONE))
    assert found == (about([2, 4]), about(4))


def test_a_profiler_that_was_faster() -> None:
    """By chance, or since its instance lies better in memory: that's no overhead."""
    found = in_us(fitted(profile([3, 6], 9.5), 10 * US, Ratio(0.95, 0.9, 0.99, 0.95, 20)))
    assert found == (about([3 / 0.95, 6 / 0.95]), about(10 - 9 / 0.95))


def test_notes_cost_the_same_whatever_an_operation_takes() -> None:
    """15 instead of 10, by 5 notes: each takes 1, within the two operations and thrice between."""
    found = in_us(fitted(profile([6, 4], 15, all_notes=5), 10 * US, inflated(1.5)))
    assert found == (about([5, 3]), about(2))


def test_no_note_is_longer_than_the_shortest_operation() -> None:
    """Then it is taken mostly behind the operation, where it is nobody's."""
    found = in_us(fitted(profile([6, 0.5], 15, all_notes=5), 10 * US, inflated(1.5)))
    assert found == (about([5.5, 0]), about(4.5))


def test_notes_within_notes() -> None:
    """An operation with three of four notes loses three of them."""
    found = in_us(fitted(profile([8, 4], 14, notes=[3, 1]), 10 * US, inflated(1.4)))
    assert found == (about([5, 3]), about(2))


def test_operations_that_are_too_long_for_the_total() -> None:
    """What is too much is taken off all alike, and a short one has no more than it has."""
    found = in_us(fitted(profile([7, 6, 0.5], 10), 10 * US, NONE))
    assert found == (about([5.5, 4.5, 0]), about(0))


@pytest.mark.parametrize(
    ("parts", "total", "expected"),
    [
        ([1.0, 2.0], 4.0, [1, 2]),
        ([3.0, 2.0], 4.0, [2.5, 1.5]),
        ([5.0, 1.0, 0.0], 3.0, [3, 0, 0]),
        ([2.0, 2.0], 0.0, [0, 0]),
        ([], 1.0, []),
    ],
)
def test_limited(parts: list[float], total: float, expected: list[float]) -> None:
    assert limited(parts, total) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.floats(0, 1e-2), st.integers(1, 9)), max_size=60),
    st.floats(0, 1e-2),
    st.floats(1e-7, 1e-1),
    st.floats(0.5, 4),
)
def test_the_sum_is_exact(
    timed: list[tuple[float, int]], between: float, total: float, inflation: float
) -> None:
    timings = tuple(Timing(operation(), seconds, notes) for seconds, notes in timed)
    whole = math.fsum(seconds for seconds, _ in timed) + between + 1e-9
    notes = sum(notes for _, notes in timed) + 2
    parts, residual, total_ps = fitted(
        Profile(timings, whole, notes, 3), total, inflated(inflation)
    )
    assert sum(parts) + residual == total_ps == round(total * PICOSECONDS)
    assert residual >= 0
    assert all(part >= 0 for part in parts)


def test_typical_rounds() -> None:
    """A disturbance of one operation in each round is nobody's, nor between operations."""
    times = [[9.0, 2.0, 3.0], [1.0, 9.0, 3.0], [1.0, 2.0, 9.0]]
    calls = [14.5, 13.5, 12.5]
    assert typical(times, calls) == ([1.0, 2.0, 3.0], 6.5)
    assert typical([[1.0, 2.0]], [2.5]) == ([1.0, 2.0], 3.0)  # clocks may disagree a little
