"""Running a study: every case prepared, all of a series timed in the same rounds, and judged."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from flyweight.engines import Options, Runner, engine_named
from flyweight.measuring import MeasurementInterrupted, Measurements, Progress, measure
from flyweight.studies.costs import case_cost
from flyweight.studies.results import Row, SeriesResult, StudyResult
from flyweight.studies.study import Case, Series, Study
from flyweight.studies.verdicts import verdict

Told = Callable[[str], None]


def run_study(
    study: Study,
    engine: str = "native",
    options: Options | None = None,
    batch: int = 1,
    budget_s: float = 10.0,
    series: Sequence[Series] | None = None,
    told: Told | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> StudyResult:
    """Run a study here.

    Args:
        study: e.g. `STUDIES["g1"]`.
        engine: what runs the networks, as for `flyweight.compile`.
        options: threads and so on.
        batch: images at a time.
        budget_s: seconds for each series.
        series: those of the study that are to be timed; all if None.
        told: called with what is being prepared.
        progress: called between rounds.

    Raises:
        UsageError: an engine that doesn't exist, or options that it hasn't.
        FlyweightError: an engine that isn't installed, or can't run a case.
    """
    options = options or Options(1)
    engine_named(engine).check(options, False)
    results: list[SeriesResult] = []
    found: list[Measurements] = []
    complete = True
    for one in study.series if series is None else series:
        runners = {}
        for case in one.cases:
            key = case_key(study, one, case)
            if told is not None:
                told(key)
            runners[key] = _runner(case, study.size, batch, engine, options)
        try:
            measured = measure(runners, budget_s, progress)
        except MeasurementInterrupted as interrupted:
            measured, complete = interrupted.measurements, False
        found.append(measured)
        results.append(_result(study, one, measured))
        if not complete:
            break
    records = tuple(record for measured in found for record in measured.records)
    return StudyResult(
        study.name, study.claim, study.source, study.reading, engine, batch, options.threads,
        tuple(results), records, complete,
    )  # fmt: skip


def case_key(study: Study, series: Series, case: Case) -> str:
    """What a case's runner is called."""
    return f"{study.name} {series.name} {case.label}"


def _runner(case: Case, size: int, batch: int, engine: str, options: Options) -> Runner:
    torch.manual_seed(0)
    model = case.build().eval()
    shape = (batch, case.channels, size, size)
    example = np.random.default_rng(0).standard_normal(shape, np.float32)
    runner: Runner = engine_named(engine).load()(model, example, options)
    return runner


def _result(study: Study, series: Series, measured: Measurements) -> SeriesResult:
    keys = [case_key(study, series, case) for case in series.cases]
    costs = [case_cost(case, study.size) for case in series.cases]
    first = series.cases[0]
    rows = tuple(
        Row(
            label=case.label,
            cost=cost,
            deviation=cost.madds / costs[0].madds - 1,
            published=case.published,
            published_relative=case.published / first.published,
            seconds=measured.record(key).median_s,
            relative=measured.ratio(keys[0], key),
            note=case.note,
        )
        for key, case, cost in zip(keys, series.cases, costs, strict=True)
    )
    reference = keys[series.reference]
    others = [
        (case.label, measured.ratio(key, reference))
        for key, case in zip(keys, series.cases, strict=True)
        if key != reference
    ]
    return SeriesResult(series.name, series.unit, rows, verdict(others))
