"""What this machine can do at most: multiply-adds a second, and bytes a second by their number.

Both are measured here, with as many threads as the network has.

* Arithmetic: fused multiply-adds on registers alone, the floor of the native engine's benchmarks.
* Memory: STREAM's triad (McCalpin), a = b + s c in float32, over arrays that together are from
  64 KiB to 128 MiB large for each thread. It counts three numbers for each element, as STREAM does,
  though a core first reads what it overwrites. Small networks live in the caches, so that one
  figure for the memory behind them would call nothing memory-bound that isn't far from it.
"""

import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import numpy as np

from flyweight.errors import FlyweightError
from flyweight.measuring import Progress, measure
from flyweight.native.building import build, host_flags, host_isa
from flyweight.native.tuning import FLOOR_MADDS, floor_call

SIZES = (64 << 10, 512 << 10, 4 << 20, 32 << 20, 128 << 20)
"""Bytes of the triad's three arrays together, for each thread: from a first cache to beyond a last
one."""
LEAST_BYTES = 32 << 20
"""That a call of the triad moves: a millisecond or more, beside which starting it is nothing."""
FLOORS = 4
"""Times that a call does the floor's multiply-adds, for the same reason."""
BUDGET_S = 3.0
"""For all of it."""


@dataclass(frozen=True)
class Peaks:
    """What the machine did at its best.

    Attributes:
        threads: how many did it together.
        madds_per_s: multiply-adds a second, in float32.
        sizes: bytes of a thread's arrays.
        bytes_per_s: read and written by all threads, for each of these sizes.
    """

    threads: int
    madds_per_s: float
    sizes: tuple[int, ...]
    bytes_per_s: tuple[float, ...]

    def bandwidth(self, count: int) -> float:
        """Bytes a second where `count` bytes are read and written in all.

        Between the measured sizes it is interpolated, on logarithmic scales; beyond them it is that
        of the nearest.
        """
        at = np.log(max(count / self.threads, 1.0))
        found = np.interp(at, np.log(self.sizes), np.log(self.bytes_per_s))
        return float(np.exp(found))


def measure_peaks(threads: int, progress: Callable[[Progress], None] | None = None) -> Peaks:
    """Measure this machine's peaks: the fastest round of each, for a limit is what can be reached.

    Args:
        threads: that work together.
        progress: called between rounds.

    Raises:
        FlyweightError: no C compiler, or one that fails.
    """
    floor, triad = floor_call(host_isa()), _triad()
    with _team(threads) as together:
        work: dict[str, Callable[[], None]] = {
            "arithmetic": lambda: together(lambda _: [floor() for _ in range(FLOORS)])
        }
        for size in SIZES:
            work[f"triad {size}"] = _triads(triad, size, threads, together)
        records = measure(work, BUDGET_S, progress)
    best = {record.runner: min(record.samples_s) for record in records.records}
    moved = {size: threads * _times(size) * 3 * 4 * _count(size) for size in SIZES}
    return Peaks(
        threads=threads,
        madds_per_s=threads * FLOORS * _floor_madds() / best["arithmetic"],
        sizes=SIZES,
        bytes_per_s=tuple(moved[size] / best[f"triad {size}"] for size in SIZES),
    )


Together = Callable[[Callable[[int], object]], None]
"""Does something in every thread, told its number, and waits for all."""


@contextmanager
def _team(threads: int) -> Iterator[Together]:
    """Threads that work at the same time; C code called from Python lets others run."""
    with ThreadPoolExecutor(threads) as pool:

        def together(work: Callable[[int], object]) -> None:
            if threads == 1:
                work(0)
            else:
                list(pool.map(work, range(threads)))

        yield together


def _floor_madds() -> int:
    """What a call of the floor really does: whole rounds of 12 vectors."""
    vectors = 12 * host_isa().lanes
    return FLOOR_MADDS // vectors * vectors


def _count(size: int) -> int:
    """Elements of each of three arrays."""
    return size // 12


def _times(size: int) -> int:
    return max(1, LEAST_BYTES // size)


def _triads(
    triad: "ctypes._NamedFuncPointer", size: int, threads: int, together: Together
) -> Callable[[], None]:
    count = _count(size)
    arrays = [[np.ones(count, np.float32) for _ in range(3)] for _ in range(threads)]

    def one(thread: int) -> None:
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays[thread]]
        triad(*pointers, ctypes.c_int64(count), ctypes.c_int64(_times(size)))

    return lambda: together(one)


def _triad() -> "ctypes._NamedFuncPointer":
    source = resources.files("flyweight.decomposing").joinpath("c", "triad.c.in")
    path = build({"triad.c": source.read_text(encoding="utf-8")}, "triad.c", host_flags())
    try:
        function = ctypes.CDLL(str(path)).triad
    except OSError as error:
        raise FlyweightError(f"can't load {path}: {error}; delete it, and run again") from error
    function.restype = None
    return function
