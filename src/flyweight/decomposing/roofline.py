"""What bounds an operation: arithmetic, memory, or neither (Williams, Waterman and Patterson 2009).

An operation can't take less than its multiply-adds at the machine's peak, nor less than its bytes
at the bandwidth for so many of them. The longer of the two is its limit, and what it takes beyond
that is overhead: calling it, waiting for threads, a kernel that leaves the core idle, arithmetic
that is no multiply-add.
"""

from dataclasses import dataclass

from flyweight.decomposing.peaks import Peaks
from flyweight.decomposing.profile import Operation

COMPUTE = "compute-bound"
MEMORY = "memory-bound"
OVERHEAD = "overhead-bound"
UNKNOWN = "not known"
BOUNDS = (COMPUTE, MEMORY, OVERHEAD, UNKNOWN)

OVERHEAD_FROM = 2.0
"""Times its limit from which an operation counts as overhead-bound: the greater part of its time
then is neither arithmetic nor traffic, and less of either would help less than what lies beyond."""
BALANCED_FROM = 1.0
"""Of the time of the multiply-adds over that of the bytes, from which arithmetic is the limit: the
roofline's ridge, where both take the same."""


@dataclass(frozen=True)
class Bound:
    """What bounds an operation.

    Attributes:
        verdict: one of `BOUNDS`.
        limit_s: the least time that it can take here; None where nobody knows its bytes.
        intensity: multiply-adds for each byte; None likewise.
    """

    verdict: str
    limit_s: float | None
    intensity: float | None


def bound_of(operation: Operation, seconds: float, peaks: Peaks | None) -> Bound:
    """What bounds an operation that takes so long.

    Args:
        operation: what is done.
        seconds: what it takes.
        peaks: of the machine, with as many threads; None where they weren't measured.
    """
    if operation.bytes is None or peaks is None:
        return Bound(UNKNOWN, None, _intensity(operation))
    compute = operation.madds / peaks.madds_per_s
    memory = operation.bytes / peaks.bandwidth(operation.bytes)
    limit = max(compute, memory)
    if not limit or seconds > OVERHEAD_FROM * limit:  # a view does neither
        verdict = OVERHEAD
    else:
        verdict = COMPUTE if compute >= BALANCED_FROM * memory else MEMORY
    return Bound(verdict, limit, _intensity(operation))


def _intensity(operation: Operation) -> float | None:
    return operation.madds / operation.bytes if operation.bytes else None
