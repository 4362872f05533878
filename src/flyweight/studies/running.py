"""Running a study: every case prepared, all of a series timed in the same rounds, and judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from flyweight.counting import count_model
from flyweight.engines import Options, Runner, engine_named
from flyweight.errors import FlyweightError
from flyweight.measuring import MeasurementInterrupted, Progress, measure
from flyweight.nn import Network
from flyweight.nn.trained import as_trained
from flyweight.records import NetworkFacts, Record
from flyweight.studies.results import (
    Setting,
    StudyResult,
    case_key,
    series_records,
    study_result,
)
from flyweight.studies.study import Case, Series, Study
from flyweight.studies.verdicts import LEAST_ROUNDS

USUAL_CASES = 4
"""The budget is for a series of so many cases; longer ones take more in proportion."""


@dataclass(frozen=True)
class Telling:
    """What is told while a study runs; each may do nothing.

    Attributes:
        preparing: called with what is being prepared, and the share of the series that is.
        progress: called between rounds.
        failed: called with a case that an engine can't run, and why; the others are timed.
        keep: called with all records, old and new, after each series.
    """

    preparing: Callable[[str, float], None] = lambda text, share: None
    progress: Callable[[Progress], None] = lambda step: None
    failed: Callable[[str, FlyweightError], None] = lambda case, error: None
    keep: Callable[[Sequence[Record]], None] = lambda records: None


def run_study(
    study: Study,
    engine: str = "native",
    options: Options | None = None,
    batch: int = 1,
    budget_s: float = 10.0,
    series: Sequence[Series] | None = None,
    known: Sequence[Record] = (),
    telling: Telling | None = None,
) -> StudyResult:
    """Run a study here.

    Args:
        study: e.g. `STUDIES["g1"]`.
        engine: what runs the networks, as for `flyweight.compile`.
        options: threads and so on.
        batch: images at a time, but where the paper's table fixes it.
        budget_s: seconds for each series of four cases; longer ones take more in proportion, and
            slow ones what the least number of rounds takes that a verdict can rest on.
        series: those of the study that are to be timed; all if None.
        known: records from before: series that they hold, in this setting and complete, aren't
            timed again.
        telling: what is told on the way.

    Raises:
        UsageError: an engine that doesn't exist, or options that it hasn't.
        FlyweightError: an engine that isn't installed, or runs none of the cases of a series.
    """
    options, telling = options or Options(1), telling or Telling()
    asked = study.series if series is None else tuple(series)
    if not any(one.timed for one in asked):
        return study_result(replace(study, series=asked))
    engine_named(engine).check(options, False)
    setting = Setting(engine, batch, options.threads, options.precision)
    records = list(known)
    for owner, one in to_time(study, asked):
        if not is_untimed(owner, one, setting, records):
            continue
        found, complete = _timed(owner, one, setting, options, budget_s, telling)
        records += found
        telling.keep(records)
        if not complete:
            break
    return study_result(replace(study, series=asked), records, setting)


def is_untimed(study: Study, series: Series, setting: Setting, records: Sequence[Record]) -> bool:
    """Whether a series is still to be timed: the records hold it in part, or not at all."""
    done = series_records(study, series, setting, records)
    return series.timed and not (done and all(record.complete for record in done.values()))


def share_of(cases: int) -> float:
    """How many times the budget for a series one with so many cases takes."""
    return max(1.0, cases / USUAL_CASES)


def to_time(study: Study, asked: Sequence[Series]) -> list[tuple[Study, Series]]:
    """The series to be timed, each with the study whose they are."""
    if study.timings is None:
        return [(study, one) for one in asked]
    names = {one.name for one in asked}
    return [(study.timings, one) for one in study.timings.series if one.name in names]


def _timed(
    study: Study,
    series: Series,
    setting: Setting,
    options: Options,
    budget_s: float,
    telling: Telling,
) -> tuple[list[Record], bool]:
    """The records of a series, and whether its time was spent.

    Raises:
        FlyweightError: none of the cases could be run.
    """
    batch = series.batch or setting.batch
    runners: dict[str, Runner] = {}
    failure: FlyweightError | None = None
    networks = [case for case in series.cases if case.build is not None]
    for index, case in enumerate(networks):
        key = case_key(study, series, case)
        telling.preparing(key, index / len(networks))
        try:
            runners[key] = _runner(case, batch, setting.engine, options)
        except FlyweightError as error:
            failure = error
            telling.failed(key, error)
    if not runners:
        raise failure or FlyweightError(f"{study.name} {series.name}: no network to run")
    try:
        seconds = budget_s * share_of(len(runners))
        return measure(runners, seconds, telling.progress, LEAST_ROUNDS).records, True
    except MeasurementInterrupted as interrupted:
        return interrupted.measurements.records, False


def _runner(case: Case, batch: int, engine: str, options: Options) -> Runner:
    assert case.build is not None
    torch.manual_seed(0)
    model = case.build().eval()
    # A fresh network's equal constants cost some engines time that a trained one's don't.
    as_trained(model, image=None if isinstance(model, Network) else case.shape)
    example = np.random.default_rng(0).standard_normal((batch, *case.shape), np.float32)
    runner: Runner = engine_named(engine).load()(model, example, options)
    counts = count_model(model, (1, *case.shape))
    facts = NetworkFacts(
        case.label, None, counts.madds, counts.params, counts.memory_access, None, None
    )
    return replace(runner, facts=facts)
