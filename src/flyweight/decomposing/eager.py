"""PyTorch's profiler, and what a run of a copy of the module says of each operation.

The profiler's events are nested: aten::conv2d holds aten::convolution, which holds the call of the
kernel. One pass under a dispatch mode says which operations there are, of which module, and what
they cost; in the profiler's events they are found again by their names, in the same order. Copies
that a convolution makes of what it reads, since its channels don't lie side by side, are taken
out of its time: they are data movement.
"""

import contextlib
import math
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.profiler import profile, record_function
from torch.utils._pytree import tree_leaves

from flyweight.counting.formulas import count, is_view
from flyweight.counting.trace import Call, Watch, follow
from flyweight.decomposing.kinds import MOVEMENT, OTHER, kind_of_counted
from flyweight.decomposing.profile import Operation, Profile, Timing, typical
from flyweight.engines import Array, Options
from flyweight.engines.torch_eager import own_copy, torch_threads
from flyweight.errors import FlyweightError
from flyweight.nn import label

HOW = "PyTorch's profiler"
_CALL = "flyweight::call"
_COPIES, _COPYING = ("aten::contiguous", "aten::clone"), "aten::copy_"
"""What makes a map lie side by side, if it really copies. Other copies, of a bias say, are the
operation's own."""


@dataclass(frozen=True)
class Event:
    """Something that PyTorch's profiler saw begin and end; times in nanoseconds."""

    name: str
    start: int
    duration: int
    thread: int

    @property
    def end(self) -> int:
        """When it ended."""
        return self.start + self.duration


@dataclass(frozen=True)
class Seen:
    """An operation that was seen to be called.

    Attributes:
        event: what the profiler calls it.
        operation: what it is.
        input: shape of the first tensor that it reads.
        size: bytes of one of its elements.
    """

    event: str
    operation: Operation
    input: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class _Times:
    """What was seen of a call: of each operation, and behind all of these of the copies in each."""

    nanoseconds: tuple[int, ...]
    notes: tuple[int, ...]


def _seen(call: Call) -> Seen:
    """What a call costs. What works in place changes values after it was called, but no shapes."""
    module, op, args, kwargs, out = call
    name = str(op.overloadpacket)
    counts = None if is_view(op) else count(op, args, kwargs, out)
    results = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
    read = [t for t in tree_leaves((args, dict(kwargs))) if isinstance(t, Tensor)]
    kind = MOVEMENT if is_view(op) else OTHER
    operation = Operation(
        name=module,
        operation=name,
        kind=kind_of_counted(name, counts.kind) if counts else kind,
        output=tuple(results[0].shape) if results else (),
        madds=counts.madds if counts else 0,
        elements=counts.read + counts.written if counts else 0 if is_view(op) else None,
        bytes=counts.bytes if counts else 0 if is_view(op) else None,
    )
    first = read[0] if read else None
    return Seen(
        op._schema.name,
        operation,
        () if first is None else tuple(first.shape),
        4 if first is None else first.element_size(),
    )


class EagerProfiler:
    """A copy of a module that runs under PyTorch's profiler (see `Profiler`).

    Raises:
        UsageError: the module doesn't run on this input.
        CaptureError: it can't be copied, or doesn't run in the precision asked for.
    """

    def __init__(self, model: nn.Module, example: Array, options: Options) -> None:
        images = torch.from_numpy(example)
        watched = own_copy(model, images, options.precision)
        seen: list[Seen] = []

        def told(call: Call) -> None:
            if call[1].namespace != "prim":
                seen.append(_seen(call))

        with torch_threads(options.threads), torch.no_grad(), Watch(follow(watched), told):
            watched(images)
        self.example = example
        self._seen = seen
        self._network = label(model)
        self._module = own_copy(model, images, options.precision)
        self._threads = options.threads
        self._rounds: list[list[_Times]] = []
        self._copies: dict[int, Operation] = {}
        self._notes = 0

    def __call__(self, x: Array) -> Any:
        """Run the network, profiled if a round is under way."""
        with torch_threads(self._threads), torch.no_grad(), record_function(_CALL):
            return self._module(torch.from_numpy(x))

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """A round: a session of PyTorch's profiler."""
        session = profile(use_kineto=True)
        with _silent():
            session.__enter__()
        try:
            self(self.example)  # the first call after the profiler was turned on is far slower
            yield
        finally:
            with _silent():
                session.__exit__(None, None, None)
        self._keep(_events(session))

    def finish(self, calls_s: Sequence[float]) -> Profile:
        """What the rounds say.

        Raises:
            FlyweightError: there was none.
        """
        if not self._rounds:
            raise FlyweightError("PyTorch's profiler saw no calls")
        count = len(self._seen)
        seconds, whole = typical([_means_s(calls) for calls in self._rounds], calls_s)
        notes = self._rounds[-1][-1].notes
        timings = []
        for at, seen in enumerate(self._seen):
            if at in self._copies:  # made before what reads it
                timings.append(Timing(self._copies[at], seconds[count + at], notes[count + at]))
            timings.append(Timing(seen.operation, seconds[at], notes[at]))
        return Profile(tuple(timings), whole, self._notes, sum(map(len, self._rounds)))

    def close(self) -> None:
        """Nothing is left."""

    def _keep(self, events: list[Event]) -> None:
        """Find the operations in a session's events, and keep their times."""
        marks = [event for event in events if event.name == _CALL]
        found = []
        for mark in marks[1:]:
            inside = [
                event
                for event in events
                if event.thread == mark.thread
                and mark.start <= event.start < mark.end
                and event is not mark
            ]
            self._notes = len(inside)
            found.append(self._times(inside))
        if found:
            self._rounds.append(found)

    def _times(self, events: Sequence[Event]) -> "_Times":
        """What was seen of a call.

        Raises:
            FlyweightError: an operation that was called isn't among the events.
        """
        names = [seen.event for seen in self._seen]
        matched = matching(events, names)
        if matched is None:
            raise FlyweightError(
                f"{self._network}: PyTorch's profiler saw other operations than were called when"
                " the network was looked at; engine 'onnxruntime' may do"
            )
        own: list[tuple[int, int]] = []
        copies: list[tuple[int, int]] = []
        for at, (event, nested) in enumerate(matched):
            moved = copies_in(nested) if self._seen[at].operation.kind != MOVEMENT else []
            notes = sum(1 for e in nested if any(c.start <= e.start < c.end for c in moved))
            time = sum(copy.duration for copy in moved)
            own.append((event.duration - time, 1 + len(nested) - notes))
            copies.append((time, notes))
            if moved and at not in self._copies:
                self._copies[at] = _copy(self._seen[at])
        nanoseconds, within = zip(*own, *copies, strict=True)
        return _Times(nanoseconds, within)


def _means_s(calls: Sequence[_Times]) -> list[float]:
    """Of each operation, over the calls of a round, in seconds."""
    by_operation = zip(*(call.nanoseconds for call in calls), strict=True)
    return [statistics.fmean(own) * 1e-9 for own in by_operation]


def _copy(seen: Seen) -> Operation:
    """What is copied before an operation: its input, as far as one can tell."""
    elements = 2 * math.prod(seen.input)
    return Operation(
        name=seen.operation.name,
        operation=f"copy before {seen.operation.operation}",
        kind=MOVEMENT,
        output=seen.input,
        madds=0,
        elements=elements,
        bytes=elements * seen.size,
    )


def _events(session: profile) -> list[Event]:
    """A session's events in the order in which they began, the outer one of two first."""
    results = session.kineto_results
    found = [
        Event(e.name(), e.start_ns(), e.duration_ns(), e.start_thread_id())
        for e in (results.events() if results is not None else [])
    ]
    return sorted(found, key=lambda event: (event.start, -event.duration))


def matching(
    events: Sequence[Event], names: Sequence[str]
) -> list[tuple[Event, list[Event]]] | None:
    """For each name its event, with those nested in it; None where one isn't found.

    Args:
        events: in the order in which they began; others than those named may be among them, outside
            of these and inside.
        names: in the order in which they were called.
    """
    found: list[tuple[Event, list[Event]]] = []
    wanted, end = 0, -1
    for event in events:
        if event.start < end:
            found[-1][1].append(event)
        elif wanted < len(names) and event.name == names[wanted]:
            found.append((event, []))
            wanted, end = wanted + 1, event.end
    return found if wanted == len(names) else None


def copies_in(nested: Sequence[Event]) -> list[Event]:
    """Copies that an operation makes of what it reads, but not those that are part of another."""
    found: list[Event] = []
    for event in nested:
        if event.name not in _COPIES or (found and event.start < found[-1].end):
            continue
        if any(e.name == _COPYING and event.start <= e.start < event.end for e in nested):
            found.append(event)
    return found


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the profiler from writing to the process's stderr, from outside of Python."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr, so nothing is to be silenced
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
