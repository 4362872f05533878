"""What a study found: the paper's figures and ours side by side, from records alone."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from flyweight.records import Record
from flyweight.studies.costs import case_cost
from flyweight.studies.study import Case, Series, Study
from flyweight.studies.tables import Chart, Column, Table, Value
from flyweight.studies.timed import paired_speed
from flyweight.studies.verdicts import Verdict


@dataclass(frozen=True)
class Setting:
    """How the networks of a study were run.

    Attributes:
        engine: with "+lowered" behind it where the lowered networks were run.
        batch: images at a time, but where the paper's table fixes it.
        threads: of the engine.
        precision: e.g. "float32".
    """

    engine: str
    batch: int = 1
    threads: int | None = 1
    precision: str = "float32"

    @property
    def text(self) -> str:
        """In words."""
        threads = "" if self.threads is None else f", threads {self.threads}"
        return f"engine {self.engine}, batch {self.batch}{threads}, {self.precision}"


@dataclass(frozen=True)
class SeriesResult:
    """Cases that were timed together, and what their times say.

    Attributes:
        table: the paper's figures, computed ones, and ours.
        verdicts: what the times say of the study's claims; none where nothing is claimed of them,
            or they weren't timed.
        warnings: what makes the times suspicious.
        complete: False where the run was interrupted before its time was up.
    """

    name: str
    table: Table
    verdicts: tuple[Verdict, ...] = ()
    warnings: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True)
class StudyResult:
    """What a study found in one setting.

    Attributes:
        study: its name.
        title: what is varied.
        claim: what the paper says.
        source: the paper and its table.
        reading: what the paper leaves open, and what was chosen.
        setting: how it was run; None where nothing was timed.
        series: what was timed or counted.
        computed: tables that need no timing.
        charts: pictures of the tables; those of columns that weren't timed are left out.
        together: what the times of all series say; None where nothing is claimed of that.
        records: all samples and the environment.
    """

    study: str
    title: str
    claim: str
    source: str
    reading: str
    setting: Setting | None
    series: tuple[SeriesResult, ...]
    computed: tuple[Table, ...]
    charts: tuple[Chart, ...]
    together: Verdict | None
    records: tuple[Record, ...]

    @property
    def complete(self) -> bool:
        """Whether no timing was cut short."""
        return all(one.complete for one in self.series)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        return (*(one.table for one in self.series), *self.computed)

    def to_json(self) -> dict[str, Any]:
        """As JSON types, with the records."""
        records = [record.to_json() for record in self.records]
        return {**asdict(replace(self, records=())), "records": records}


def case_key(study: Study, series: Series, case: Case) -> str:
    """What a case's runner is called in records: by the study that times it."""
    owner = study.timings or study
    return f"{owner.name} / {series.name} / {case.label}"


def _setting_of(record: Record) -> Setting:
    about = record.environment
    precision = (about.dtype or "float32").split()[0]
    return Setting(about.form or "?", about.batch or 1, about.threads, precision)


def settings_of(study: Study, records: Iterable[Record]) -> list[Setting]:
    """All settings in which a part of a study was timed, in the records' order."""
    keys = {case_key(study, one, case): one for one in study.series for case in one.cases}
    found = [record for record in records if record.runner in keys]
    # Where the table fixes the batch, it says nothing of the setting.
    free = [record for record in found if keys[record.runner].batch is None]
    return list(dict.fromkeys(_setting_of(record) for record in free or found))


def series_records(
    study: Study, series: Series, setting: Setting, records: Iterable[Record]
) -> dict[str, Record]:
    """The latest run of a series in a setting, by the cases' labels; {} where there is none."""
    labels = {case_key(study, series, case): case.label for case in series.cases}
    runs: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.runner not in labels:
            continue
        asked = setting if series.batch is None else replace(setting, batch=series.batch)
        if _setting_of(record) == asked:
            runs.setdefault(record.run, {})[labels[record.runner]] = record
    return max(runs.values(), key=lambda run: next(iter(run.values())).started, default={})


def study_result(
    study: Study, records: Sequence[Record] = (), setting: Setting | None = None
) -> StudyResult:
    """A study's result, from records alone.

    Args:
        study: which one.
        records: of it, and of anything else.
        setting: which of those in the records; None for none, where everything is only computed.
    """
    found: list[SeriesResult] = []
    by_series: dict[str, dict[str, Record]] = {}
    for one in study.series:
        timed = {} if setting is None else series_records(study, one, setting, records)
        if not timed and setting is not None and one.timed:
            continue  # not asked for, or not reached
        found.append(series_result(study, one, timed))
        if timed:
            by_series[one.name] = timed
    computed = study.computed() if study.computed is not None else ()
    together = study.conclude(by_series) if study.conclude is not None and by_series else None
    used = [record for timed in by_series.values() for record in timed.values()]
    return StudyResult(
        study.name, study.title, study.claim, study.source, study.reading, setting, tuple(found),
        computed, _drawable(study.charts, (*(one.table for one in found), *computed)),
        together, tuple(used),
    )  # fmt: skip


def _drawable(charts: Iterable[Chart], tables: Sequence[Table]) -> tuple[Chart, ...]:
    """Those whose columns are there."""

    def headings(chart: Chart) -> set[str]:
        named = [table for table in tables if table.name.startswith(chart.table)]
        return {column.heading for table in named for column in table.columns}

    return tuple(one for one in charts if {one.x, one.y, one.colour} <= headings(one))


def series_result(study: Study, series: Series, timed: dict[str, Record]) -> SeriesResult:
    """One series of a study.

    Args:
        study: whose it is.
        series: the cases.
        timed: their records by label, of one run; those that couldn't be run are missing.
    """
    parts = [_published(series), _computed(study, series, timed)]
    if timed:
        parts.append(paired_speed(series, timed))
    parts.append(_notes(series))
    columns = [Column("", "label")]
    rows: list[list[Value]] = [[case.label] for case in series.cases]
    if any(case.group for case in series.cases):
        columns.append(Column("group", "label"))
        for row, case in zip(rows, series.cases, strict=True):
            row.append(case.group)
    for more, values in parts:
        columns += more
        for row, extra in zip(rows, values, strict=True):
            row += extra
    found = [judge(series, timed) for judge in study.judges] if timed else []
    warnings = dict.fromkeys(text for record in timed.values() for text in record.warnings)
    complete = all(record.complete for record in timed.values())
    return SeriesResult(
        series.name,
        Table(series.name, tuple(columns), tuple(map(tuple, rows))),
        tuple(verdict for verdict in found if verdict is not None),
        tuple(warnings),
        complete,
    )


Part = tuple[tuple[Column, ...], list[tuple[Value, ...]]]


def _published(series: Series) -> Part:
    """The paper's columns, and each of its speeds over the first case's."""
    columns: list[Column] = []
    rows: list[list[Value]] = [[] for _ in series.cases]
    several = sum(printed.speed for printed in series.columns) > 1
    for index, printed in enumerate(series.columns):
        columns.append(Column(printed.name, "published", printed.unit))
        values = [case.published[index] for case in series.cases]
        for row, value in zip(rows, values, strict=True):
            row.append(value)
        if printed.speed:
            of = f"{printed.name} " if several else ""
            columns.append(Column(f"{of}to first", "published", digits=2))
            numbers = [value if isinstance(value, int | float) else None for value in values]
            first = next((number for number in numbers if number), None)
            for row, number in zip(rows, numbers, strict=True):
                row.append(number / first if number is not None and first else None)
    return tuple(columns), [tuple(row) for row in rows]


def _computed(study: Study, series: Series, timed: dict[str, Record]) -> Part:
    """What follows from the networks' structure."""
    if study.cost == "bound":
        return _bound(series)
    columns = tuple(
        Column(name, "computed", digits=2) for name in ("M madds", "M params", "M accessed")
    )
    return columns, [_network_cost(case, timed.get(case.label)) for case in series.cases]


def _bound(series: Series) -> Part:
    """FLOPs, how far they are from the first case's, memory access and its lower bound."""
    costs = [case_cost(case) for case in series.cases]
    columns = (
        Column("M madds", "computed", digits=2),
        Column("over first", "computed", digits=1, percent=True),
        Column("M accessed", "computed", digits=2),
        Column("/ bound", "computed", digits=2),
    )
    return columns, [
        (
            cost.madds / 1e6,
            cost.madds / costs[0].madds - 1,
            cost.memory_access / 1e6,
            cost.over_bound,
        )
        for cost in costs
    ]


def _network_cost(case: Case, record: Record | None) -> tuple[Value, ...]:
    if record is not None and record.network is not None:
        facts = record.network
        counts = (facts.madds, facts.params, facts.memory_access)
    elif case.build is not None:
        counted = case_cost(case)
        counts = (counted.madds, counted.params, counted.whole_access)
    else:
        return (None, None, None)
    return tuple(count / 1e6 for count in counts)


def _notes(series: Series) -> Part:
    if not any(case.note for case in series.cases):
        return (), [() for _ in series.cases]
    return (Column("note", "note"),), [(case.note,) for case in series.cases]
