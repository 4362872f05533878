"""A network's C with a clock in it: how long each step takes.

The source that everybody else gets is not touched: notes are put into a copy of it. A note is one
reading of the clock by the first thread, at the end of each step when all threads have met; what
lies between two notes is the later step's. In a chain it is taken at the end of each link, every
few rows, and added up.
"""

import ctypes
import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flyweight.native.building import build, host_flags
from flyweight.native.emitting import Emitted
from flyweight.native.interface import read_source
from flyweight.native.plan import Plan
from flyweight.native.running import Network

_JOB = "static void do_job(member *m) {"
_LINK = "do_link(w, &links[i], &s);"
_START = "for (int64_t n = 0; n < j->batch; n++) {"
_MEET = "meet(m);"
_CHAINS = "enum { DENSE, DEPTHWISE_ONE, POOLED };"
_OTHER = "the source isn't as it was when notes were added to it"


def clocked(emitted: Emitted, plan: Plan) -> Emitted:
    """The same network with notes: of its images (0), its steps, and putting out (the last)."""
    last = len(plan.steps) + 1
    head, opening, job = emitted.source.partition(_JOB)
    job, closing, rest = job.partition("\n}\n")
    parts = job.split(_MEET)
    groups = _groups(plan)
    assert closing, _OTHER
    assert len(parts) == len(groups) + 3, _OTHER
    parts[0] = parts[0].replace(_START, f"clock_note(w, -1);\n    {_START}")
    notes = [0, *(1 + end for _, end in groups), last]
    for i, (first, end) in enumerate(groups, start=1):
        if end > first:
            parts[i] = parts[i].replace("run_chain(", f"clock_seen.chain = {1 + first}; run_chain(")
    job = parts[0] + "".join(
        f"{_MEET} clock_note(w, {n});{part}" for n, part in zip(notes, parts[1:], strict=True)
    )
    clock = f"#define NOTED {last + 1}\n{read_source('clock.h')}\n"
    # Chains come before the threads, and behind what a worker is.
    head, found = re.subn(
        re.escape(_LINK), f"{{ {_LINK} clock_note(w, clock_seen.chain + i); }}", head
    )
    assert found == 1, _OTHER
    before, chains, after = head.partition(_CHAINS)
    assert chains, _OTHER
    source = "".join((before, clock, chains, after, opening, job, closing, rest))
    table = f"\nint64_t *{emitted.name}_spent(void) {{ return clock_seen.spent; }}\n"
    return replace(emitted, source=source + table)


def _groups(plan: Plan) -> list[tuple[int, int]]:
    """The first and the last of the steps that are done together."""
    found = []
    for i in range(len(plan.steps)):
        chain = plan.chain_at(i)
        if chain is None:
            found.append((i, i))
        elif i == chain.last:
            found.append((chain.first, chain.last))
    return found


class ClockedNetwork(Network):
    """An instance of a network whose steps are timed."""

    def __init__(self, emitted: Emitted, plan: Plan, threads: int) -> None:
        made = clocked(emitted, plan)
        files = {f"{made.name}.h": made.header, f"{made.name}.c": made.source}
        library = build(files, f"{made.name}.c", host_flags())
        super().__init__(library, made.name, made.weights, threads)
        table = self._function("spent", ctypes.POINTER(ctypes.c_int64))
        self._spent = np.ctypeslib.as_array(table(), (len(plan.steps) + 2,))

    def spent(self) -> NDArray[np.int64]:
        """Nanoseconds since it was asked last: of the images, each step, and putting out."""
        found = self._spent.copy()
        self._spent[:] = 0
        return found
