"""What an engine's profiler says of a network, before it is fitted to the unprofiled time."""

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
        seconds: median over rounds of its mean time in a round.
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
        notes: that the profiler took in a call of the network, within operations or not.
        calls: of the network that it rests on.
    """

    timings: tuple[Timing, ...]
    notes: int
    calls: int


class Profiler(Protocol):
    """A network prepared for profiling: a runner that `measure` can time."""

    example: Array

    def __call__(self, x: Array) -> Any:
        """Run the network, profiled."""
        ...

    def around(self) -> AbstractContextManager[None]:
        """Only calls within it are evaluated, together: a round."""
        ...

    def finish(self) -> Profile:
        """What was found; it can't be called afterwards.

        Raises:
            FlyweightError: the engine's profile can't be made sense of.
        """
        ...

    def close(self) -> None:
        """Leave nothing behind, whether finished or not."""
        ...
