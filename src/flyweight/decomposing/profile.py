"""What an engine's profiler says of a network, before it is fitted to the unprofiled time."""

import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from flyweight.engines import Array


@dataclass(frozen=True)
class Operation:
    """One operation as an engine does it, for the whole batch.

    Attributes:
        name: the module that asked for it, or what the engine calls it where that isn't known.
        operation: what the engine calls this kind of operation.
        kind: one of `KINDS`.
        output: shape of what it puts out, as far as it is known.
        madds: multiply-adds of convolutions and linear layers.
        elements: that are read, weights included, and written; None where that isn't known.
        bytes: likewise.
    """

    name: str
    operation: str
    kind: str
    output: tuple[int, ...]
    madds: int
    elements: int | None
    bytes: int | None


@dataclass(frozen=True)
class Timing:
    """An operation as profiled.

    Attributes:
        operation: what was done.
        seconds: what it took, typically (see `typical`).
        notes: how often the profiler took a note within that time.
    """

    operation: Operation
    seconds: float
    notes: int = 1


@dataclass(frozen=True)
class Profile:
    """What a profiler found.

    Attributes:
        timings: in the order of execution.
        seconds: what a call took in all, in the same manner as the timings.
        notes: that the profiler took in a call, within operations or not.
        calls: that it rests on.
    """

    timings: tuple[Timing, ...]
    seconds: float
    notes: int
    calls: int


def typical(
    times_s: Sequence[Sequence[float]], calls_s: Sequence[float]
) -> tuple[list[float], float]:
    """What each operation takes, and a call in all: medians over rounds.

    What else runs on a machine lengthens now one operation, now another; the sum of their medians
    is less than the median of their sums. So the call's time is put together in the same manner: of
    the operations' medians, and the median of what is between them.

    Args:
        times_s: of each round, the mean time of each operation.
        calls_s: of each round, the mean time of a call.
    """
    medians = [statistics.median(of_one) for of_one in zip(*times_s, strict=True)]
    between = [call - sum(times) for call, times in zip(calls_s, times_s, strict=False)]
    return medians, sum(medians) + max(statistics.median(between), 0.0)


class Profiler(Protocol):
    """A network prepared for profiling: a runner that `measure` can time."""

    example: Array

    def __call__(self, x: Array) -> Any:
        """Run the network, profiled."""
        ...

    def around(self) -> AbstractContextManager[None]:
        """Only calls within it are evaluated, together: a round."""
        ...

    def finish(self, calls_s: Sequence[float]) -> Profile:
        """What was found; it can't be called afterwards.

        Args:
            calls_s: of each round, what a call took in all.

        Raises:
            FlyweightError: the engine's profile can't be made sense of.
        """
        ...

    def close(self) -> None:
        """Leave nothing behind, whether finished or not."""
        ...
