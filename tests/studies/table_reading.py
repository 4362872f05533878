"""What tests read of studies' tables."""

import functools

from flyweight.studies import STUDIES, Case, Column, Table, case_cost, study_result
from flyweight.studies.tables import Value


def case(study: str, label: str, series: str = "") -> Case:
    """The case of this label, in the series of this name (any, if not given)."""
    (found,) = [
        one
        for part in STUDIES[study].series
        if series in ("", part.name)
        for one in part.cases
        if one.label == label
    ]
    return found


def counted(study: str, series: str = "") -> dict[str, tuple[float, float]]:
    """M multiply-adds and M parameters by label."""
    costs = {
        one.label: case_cost(one)
        for part in STUDIES[study].series
        if series in ("", part.name)
        for one in part.cases
    }
    return {label: (cost.madds / 1e6, cost.params / 1e6) for label, cost in costs.items()}


@functools.cache
def computed(study: str, name: str = "") -> Table:
    """The computed table whose name begins so."""
    (found,) = [one for one in study_result(STUDIES[study]).computed if one.name.startswith(name)]
    return found


def cells(table: Table, kind: str) -> dict[Value, dict[str, Value]]:
    """A table's cells of one kind, by row and column."""
    columns: list[tuple[int, Column]] = [
        (index, column) for index, column in enumerate(table.columns) if column.kind == kind
    ]
    return {row[0]: {column.name: row[i] for i, column in columns} for row in table.rows}
