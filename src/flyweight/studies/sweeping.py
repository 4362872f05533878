"""Several studies one after another, within a time: what is left of it is shared out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from flyweight.engines import Options, engine_named
from flyweight.errors import FlyweightError
from flyweight.measuring import Progress
from flyweight.records import Record
from flyweight.studies.results import Setting, StudyResult, study_result
from flyweight.studies.running import Telling, is_untimed, run_study, share_of, to_time
from flyweight.studies.study import Series, Study

LEAST_S = 2.0
"""A series of four cases gets at least this, or isn't timed at all: less decides nothing."""
PREPARING_S = 4.0
"""What a case is thought to take until it can be timed, before some have been prepared."""


@dataclass(frozen=True)
class Budget:
    """The time that a sweep has.

    Attributes:
        series_s: at most, for a series of four cases; longer ones take more in proportion.
        total_s: for everything, preparing included; None for as long as it takes.
    """

    series_s: float = 10.0
    total_s: float | None = None


@dataclass(frozen=True)
class SweepTelling:
    """What is told while a sweep runs; each may do nothing.

    Attributes:
        preparing: called with what is being prepared, and the share of all series that are done.
        progress: called between rounds, with what is timed, and the share.
        failed: called with what an engine can't run, and why; the rest is timed.
        keep: called with all records, old and new, after each series.
        finished: called with the result of each study.
    """

    preparing: Callable[[str, float], None] = lambda text, share: None
    progress: Callable[[str, Progress, float], None] = lambda text, step, share: None
    failed: Callable[[str, FlyweightError], None] = lambda what, error: None
    keep: Callable[[Sequence[Record]], None] = lambda records: None
    finished: Callable[[StudyResult], None] = lambda result: None


@dataclass(frozen=True)
class Sweep:
    """What several studies found.

    Attributes:
        results: of the studies that were reached.
        untimed: series for which no time was left, e.g. "g1 / ARM x4".
        failed: series of which the engine runs nothing.
        interrupted: whether it was ended by Ctrl-C.
    """

    results: tuple[StudyResult, ...]
    untimed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True)
class Todo:
    """What is still to be timed.

    Attributes:
        cases: networks to prepare.
        shares: how many times the budget for a series of four cases it takes.
    """

    cases: int
    shares: float


def next_budget_s(
    budget: Budget, spent_s: float, todo: Todo, preparing_s: float = PREPARING_S
) -> float | None:
    """Seconds for each four cases of the next series; None where the time is up.

    What is left, without what preparing the remaining networks will take, is shared out equally.

    Args:
        budget: of the sweep.
        spent_s: of it.
        todo: the next series and all behind it.
        preparing_s: what a network takes to prepare.
    """
    if budget.total_s is None:
        return budget.series_s
    left_s = budget.total_s - spent_s
    if left_s <= 0:
        return None
    share_s = (left_s - todo.cases * preparing_s) / todo.shares
    return min(budget.series_s, max(LEAST_S, share_s))


def run_studies(
    wanted: Sequence[tuple[Study, Sequence[Series]]],
    engine: str,
    options: Options,
    batch: int = 1,
    budget: Budget | None = None,
    known: Sequence[Record] = (),
    telling: SweepTelling | None = None,
) -> Sweep:
    """Run several studies here, each as `run_study` does.

    Args:
        wanted: the studies, each with those of its series that are to be timed.
        engine: what runs the networks.
        options: threads and so on.
        batch: images at a time, but where a paper's table fixes it.
        budget: the time for each series, and for all of them.
        known: records from before, of all studies; what they hold isn't timed again.
        telling: what is told on the way.

    Raises:
        UsageError: an engine that doesn't exist, or options that it hasn't.
        FlyweightError: an engine that isn't installed.
    """
    engine_named(engine).check(options, False)
    running = _Running(
        engine, options, batch, budget or Budget(), telling or SweepTelling(), list(known)
    )  # fmt: skip
    running.wait_for(wanted)
    results: list[StudyResult] = []
    for study, series in wanted:
        for owner, one in to_time(study, series):
            if not running.interrupted:
                running.time(owner, one)
        asked = replace(study, series=tuple(series))
        timed = any(one.timed for _, one in to_time(study, series))
        result = study_result(asked, running.records, running.setting if timed else None)
        if result.series or result.computed:
            results.append(result)
            running.telling.finished(result)
        if running.interrupted:
            break
    return Sweep(tuple(results), tuple(running.untimed), tuple(running.failed), running.interrupted)


@dataclass
class _Running:
    """A sweep on its way: what it has found, what it has spent, what is still to be timed."""

    engine: str
    options: Options
    batch: int
    budget: Budget
    telling: SweepTelling
    records: list[Record]
    waiting: dict[str, Series] = field(default_factory=dict)
    begun: int = 0
    untimed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False
    started: float = field(default_factory=lambda: monotonic())
    prepared: int = 0
    preparing_s: float = 0.0

    @property
    def setting(self) -> Setting:
        return Setting(self.engine, self.batch, self.options.threads, self.options.precision)

    @property
    def spent_s(self) -> float:
        return monotonic() - self.started

    @property
    def each_s(self) -> float:
        """What preparing one network takes, as far as is known."""
        return self.preparing_s / self.prepared if self.prepared else PREPARING_S

    def wait_for(self, wanted: Sequence[tuple[Study, Sequence[Series]]]) -> None:
        """Note all series that the records don't hold."""
        self.waiting = {
            _called(owner, one): one
            for study, series in wanted
            for owner, one in to_time(study, series)
            if is_untimed(owner, one, self.setting, self.records)
        }
        self.begun = len(self.waiting)

    def time(self, study: Study, one: Series) -> None:
        """Time a series, if it is to be timed and there is time left."""
        key = _called(study, one)
        if key not in self.waiting:
            return
        seconds = next_budget_s(self.budget, self.spent_s, self._todo(), self.each_s)
        done = 1 - len(self.waiting) / self.begun
        del self.waiting[key]
        if seconds is None:
            self.untimed.append(key)
            return
        before_s, telling = self.spent_s, self._telling(key, done)
        try:
            found = run_study(
                study, self.engine, self.options, self.batch, seconds, [one], self.records, telling
            )
        except FlyweightError as error:
            self.failed.append(key)
            self.telling.failed(key, error)
            return
        except KeyboardInterrupt:  # while a network was prepared
            self.interrupted = True
            return
        self.interrupted = not found.complete
        cases = _cases(one)
        self.prepared += cases
        # What timing took beyond its budget counts as preparing too: it has to fit in as well.
        self.preparing_s += self.spent_s - before_s - seconds * share_of(cases)

    def _todo(self) -> Todo:
        counts = [_cases(one) for one in self.waiting.values()]
        return Todo(sum(counts), sum(map(share_of, counts)))

    def _telling(self, key: str, done: float) -> Telling:
        def keep(found: Sequence[Record]) -> None:
            self.records = list(found)
            self.telling.keep(found)

        return Telling(
            preparing=lambda text, share: self.telling.preparing(text, done),
            progress=lambda step: self.telling.progress(key, step, done),
            failed=self.telling.failed,
            keep=keep,
        )


def _called(study: Study, series: Series) -> str:
    return f"{study.name} / {series.name}"


def _cases(series: Series) -> int:
    return sum(case.build is not None for case in series.cases)
