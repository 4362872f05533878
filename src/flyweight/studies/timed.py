"""Columns of what was timed."""

from collections.abc import Mapping

from flyweight.records import Record, paired_ratio
from flyweight.studies.study import Series
from flyweight.studies.tables import Column, Value


def paired_speed(
    series: Series, timed: Mapping[str, Record]
) -> tuple[tuple[Column, ...], list[tuple[Value, ...]]]:
    """Speed here, and over the first case's that was timed, paired by round.

    Args:
        series: the cases.
        timed: their records by label, of one run.

    Returns:
        The columns, and a row for each case; of None where it wasn't timed.
    """
    columns = (
        Column("here", "measured", "images/s", digits=1),
        Column("to first", "measured"),
    )
    first = next(timed[case.label] for case in series.cases if case.label in timed)
    rows: list[tuple[Value, ...]] = []
    for case in series.cases:
        record = timed.get(case.label)
        if record is None:
            rows.append((None, None))
            continue
        images = record.environment.batch or 1
        relative = paired_ratio(first.samples_s, record.samples_s)
        rows.append((images / record.median_s, relative))
    return columns, rows
