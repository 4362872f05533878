"""The timing protocol: warm up until stable, then interleaved rounds until the budget is spent."""

import contextlib
import gc
import math
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from flyweight.errors import UsageError, first_line, unknown
from flyweight.measuring import environment as env
from flyweight.measuring import suspicions
from flyweight.records import Environment, NetworkFacts, Ratio, Record, paired_ratio

BLOCK_S = 0.02
"""A sample times calls for at least this long: far above the clock's resolution."""
RETURN_CALLS = 5
"""Untimed calls when a runner's turn comes: the first ones after others ran are far slower, until
caches and branch predictors are its own again."""
RETURN_S = 0.05
"""Slow runners end their untimed calls after this long; they depend less on them."""
WARM_UP_SHARE = 0.2
"""Of the budget, at most."""
WARM_UP_WINDOW = 5
STABLE = 0.03
MIN_ROUNDS = 3

Call = Callable[[], object]
Around = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Measurements:
    """Records of runners that were timed together."""

    records: list[Record]

    def record(self, runner: str) -> Record:
        """The record of one runner.

        Raises:
            UsageError: there is none of this name.
        """
        for record in self.records:
            if record.runner == runner:
                return record
        raise unknown("runner", runner, [record.runner for record in self.records])

    def ratio(self, a: str, b: str) -> Ratio:
        """Time of `a` over time of `b`, with its confidence interval over rounds.

        Raises:
            UsageError: a name that wasn't measured.
        """
        return paired_ratio(self.record(a).samples_s, self.record(b).samples_s)

    def ratios(self, baseline: str) -> dict[str, Ratio]:
        """Time of every runner over the baseline's."""
        return {record.runner: self.ratio(record.runner, baseline) for record in self.records}


class MeasurementInterrupted(KeyboardInterrupt):
    """Ctrl-C during a measurement; `measurements` holds the rounds that were done."""

    def __init__(self, measurements: Measurements) -> None:
        super().__init__("interrupted")
        self.measurements = measurements


@dataclass(frozen=True)
class Progress:
    """Where a measurement stands, given to its `progress` function between rounds."""

    phase: str
    """"warm-up" or "rounds"."""
    rounds: int
    elapsed_s: float
    budget_s: float
    so_far: Callable[[], Measurements]
    """What has been measured until now."""


def measure(
    runners: Mapping[str, Callable[..., object]],
    budget_s: float = 10.0,
    progress: Callable[[Progress], None] | None = None,
    least_rounds: int = MIN_ROUNDS,
) -> Measurements:
    """Time runners against each other, in interleaved rounds (A B C, B C A, ...).

    Every runner is warmed up until its time is stable. In a round all run, in a new random order:
    each is called a few times untimed, until caches and branch predictors are its own again, and
    then as often as it takes to fill 20 ms on the clock; that block's mean is the round's sample.
    All samples are kept. Work on a GPU is waited for.

    Args:
        runners: by name; prepared networks (see `flyweight.compile`), or functions of no argument.
            Where one has a method `around`, each of its blocks is timed within the context that
            this returns; what that does at both ends isn't timed. Where one has a function
            `again`, as those on a GPU do, this is timed in its place.
        budget_s: seconds for the whole run, warm-up included.
        progress: called between rounds.
        least_rounds: that are done, whatever the budget.

    Raises:
        UsageError: no runners, a budget that isn't positive, or a runner that fails.
        MeasurementInterrupted: Ctrl-C after the first round; it holds what was measured.
    """
    if not runners:
        raise UsageError("nothing to measure: give at least one runner")
    if not (math.isfinite(budget_s) and budget_s > 0):
        raise UsageError(f"the time budget must be more than 0 seconds, not {budget_s:g}")
    run = _Run(runners, budget_s, progress, least_rounds)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        run.warm_up()
        run.rounds()
    except KeyboardInterrupt:
        if not run.rounds_done():
            raise
        raise MeasurementInterrupted(run.measurements(complete=False)) from None
    finally:
        if collecting:
            gc.enable()
    return run.measurements(complete=True)


def _call(name: str, runner: Callable[..., object]) -> Call:
    """A runner as a function of no argument; what it starts on a GPU has to be waited for."""
    again = getattr(runner, "again", None)
    example = getattr(runner, "example", None) if again is None else None
    runner = runner if again is None else again

    def call() -> object:
        try:
            return runner() if example is None else runner(example)
        except Exception as error:
            raise UsageError(
                f"runner {name!r} failed: {type(error).__name__}: {first_line(error)}"
            ) from error

    return call


def _synchronize() -> None:
    """Wait for the GPU, if this process uses one."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _return(call: Call) -> None:
    """Bring a runner back to its steady state after others ran."""
    start = time.perf_counter()
    for _ in range(RETURN_CALLS):
        call()
        if time.perf_counter() - start > RETURN_S:
            break


def _block(call: Call, calls: int) -> float:
    """Seconds per call, over some calls in a row."""
    _synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    _synchronize()
    return (time.perf_counter() - start) / calls


class _Run:
    """The state of one measurement."""

    def __init__(
        self,
        runners: Mapping[str, Callable[..., object]],
        budget_s: float,
        progress: Callable[[Progress], None] | None,
        least_rounds: int,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.networks: dict[str, NetworkFacts | None] = {
            name: getattr(runner, "facts", None) for name, runner in runners.items()
        }
        self.budget_s = budget_s
        self.progress = progress
        self.least_rounds = least_rounds
        self.order = np.random.default_rng(0)
        self.calls = {name: _call(name, runner) for name, runner in runners.items()}
        self.around: dict[str, Around] = {
            name: getattr(runner, "around", contextlib.nullcontext)
            for name, runner in runners.items()
        }
        self.repeats = dict.fromkeys(runners, 1)
        self.samples: dict[str, list[float]] = {name: [] for name in runners}
        load = env.load_average()
        self.environments: dict[str, Environment] = {
            name: env.environment(runner, load) for name, runner in runners.items()
        }
        self.start = time.perf_counter()
        self.busy_before = env.busy_seconds()
        self.own_before = time.process_time()

    def elapsed(self) -> float:
        return time.perf_counter() - self.start

    def rounds_done(self) -> int:
        """Rounds that every runner has done."""
        return min(len(samples) for samples in self.samples.values())

    def warm_up(self) -> None:
        """Call each runner until the time of five blocks settles, or its share is spent."""
        share = WARM_UP_SHARE * self.budget_s / len(self.calls)
        for name, call in self.calls.items():
            begin = time.perf_counter()
            times = [_block(call, 1)]
            self.repeats[name] = max(1, math.ceil(BLOCK_S / max(times[-1], 1e-9)))
            while time.perf_counter() - begin < share and not _settled(times):
                times.append(_block(call, self.repeats[name]))
            # The first call may have been far slower than the rest.
            self.repeats[name] = max(1, math.ceil(BLOCK_S / max(min(times), 1e-9)))
            self._tell("warm-up")

    def rounds(self) -> None:
        """Interleaved rounds until the next one would overrun the budget."""
        longest = 0.0
        while True:
            begin = self.elapsed()
            done = self.rounds_done()
            if done >= self.least_rounds and begin + longest > self.budget_s:
                return
            # In a fixed order a runner would always inherit the caches and the clock of the same
            # predecessor: the same network under two names then differed by 1 to 2 %.
            for name in self.order.permutation(list(self.calls)):
                call = self.calls[name]
                _return(call)
                with self.around[name]():
                    self.samples[name].append(_block(call, self.repeats[name]))
            longest = max(longest, self.elapsed() - begin)
            self._tell("rounds")

    def _tell(self, phase: str) -> None:
        if self.progress is not None:
            self.progress(
                Progress(
                    phase,
                    self.rounds_done(),
                    self.elapsed(),
                    self.budget_s,
                    lambda: self.measurements(complete=False),
                )
            )

    def measurements(self, complete: bool) -> Measurements:
        """Records of the rounds that every runner has done."""
        rounds = self.rounds_done()
        if not rounds:
            return Measurements([])
        others, stolen = self._disturbance()
        records = []
        for name, samples in self.samples.items():
            about = self.environments[name]
            doubts = suspicions.of_samples(samples[:rounds]) + suspicions.of_machine(
                about.cores, about.threads, about.governor, about.load_average, others, stolen
            )
            records.append(
                Record(
                    runner=name,
                    samples_s=tuple(samples[:rounds]),
                    calls_per_sample=self.repeats[name],
                    environment=about,
                    run=self.id,
                    started=self.started,
                    complete=complete,
                    warnings=tuple(doubts),
                    network=self.networks[name],
                )
            )
        return Measurements(records)

    def _disturbance(self) -> tuple[float | None, float | None]:
        """Cores that others kept busy, and the share of time that was stolen, until now."""
        now = env.busy_seconds()
        if now is None or self.busy_before is None:
            return None, None
        elapsed = self.elapsed()
        own = time.process_time() - self.own_before
        others = (now[0] - self.busy_before[0] - own) / elapsed
        stolen = (now[1] - self.busy_before[1]) / elapsed
        return max(others, 0.0), stolen


def _settled(times: list[float]) -> bool:
    """Whether the last five times agree with the five before."""
    if len(times) < 2 * WARM_UP_WINDOW:
        return False
    before = float(np.median(times[-2 * WARM_UP_WINDOW : -WARM_UP_WINDOW]))
    after = float(np.median(times[-WARM_UP_WINDOW:]))
    return abs(after - before) <= STABLE * before
