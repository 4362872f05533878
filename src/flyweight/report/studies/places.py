"""Results of a study beside each other: on several engines, or on two machines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flyweight.studies import Column, SeriesResult, StudyResult, Table, machine_of
from flyweight.studies.tables import Kind, Value


@dataclass(frozen=True)
class Place:
    """Where a study was run.

    Attributes:
        label: what sets it apart from the places beside it, e.g. the engine; "" for nowhere.
        result: what it found there.
    """

    label: str
    result: StudyResult


@dataclass(frozen=True)
class View:
    """Results that are shown beside each other.

    Attributes:
        heading: what they have in common, e.g. "batch 1, threads 1, float32"; "" for nothing.
        places: one or more.
    """

    heading: str
    places: tuple[Place, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """Names of all that was timed or counted anywhere, in the study's order."""
        named = (one.name for place in self.places for one in place.result.series)
        return tuple(dict.fromkeys(named))

    def of(self, series: str) -> list[tuple[str, SeriesResult]]:
        """A series, with the label of each place where it was timed or counted."""
        return [
            (place.label, one)
            for place in self.places
            for one in place.result.series
            if one.name == series
        ]

    def tables(self, series: str) -> list[tuple[str, Table]]:
        """Its tables, likewise."""
        return [(label, one.table) for label, one in self.of(series)]


@dataclass(frozen=True)
class Shown:
    """A study as pages show it.

    Attributes:
        about: any of its results: name, title, source, claim and reading are the same in all.
        views: its results.
    """

    about: StudyResult
    views: tuple[View, ...]


def setting_text(result: StudyResult) -> str:
    """The setting but for the engine, e.g. "batch 1, threads 1, float32"."""
    return "" if result.setting is None else result.setting.text.partition(", ")[2]


def engine_of(result: StudyResult) -> str:
    """The engine's name; "" where nothing was timed."""
    return "" if result.setting is None else result.setting.engine


def machine(result: StudyResult) -> str:
    """What it was timed on; "" for nothing."""
    return machine_of(result.records[0]) if result.records else ""


def by_engine(results: Sequence[StudyResult]) -> list[Shown]:
    """Studies in their order; results of the same machine, batch and so on beside each other."""
    several = len({machine(one) for one in results if one.records}) > 1
    studies: dict[str, dict[str, list[Place]]] = {}
    for one in results:
        parts = [machine(one) if several else "", setting_text(one)]
        heading = ", ".join(part for part in parts if part)
        places = studies.setdefault(one.study, {}).setdefault(heading, [])
        places.append(Place(engine_of(one), one))
    return [
        Shown(
            next(iter(views.values()))[0].result,
            tuple(View(heading, tuple(places)) for heading, places in views.items()),
        )
        for views in studies.values()
    ]


def short_claim(claim: str) -> str:
    """A claim without a remark in brackets at its end, which may differ from series to series."""
    return re.sub(r" \([^()]*\)$", "", claim)


def shortened(headings: Sequence[str]) -> dict[str, str]:
    """Headings without the parts that all of them have: "batch 8" of "batch 8, float32".

    What stands in brackets is no part: a machine's cores, say.
    """
    split = {heading: re.split(r", (?![^(]*\))", heading) for heading in headings}
    shared = set.intersection(*(set(parts) for parts in split.values())) if split else set()
    return {
        heading: ", ".join(part for part in parts if part not in shared)
        for heading, parts in split.items()
    }


@dataclass(frozen=True)
class Group:
    """Columns of one kind that stand together.

    Attributes:
        kind: where their figures come from.
        title: in words; "" for labels and notes.
        columns: themselves.
        rows: their values, row by row.
    """

    kind: Kind
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    @property
    def texts(self) -> list[list[str]]:
        """The values as people read them; "–" where there is none."""
        empty = "" if self.kind in ("label", "note") else "–"
        return [
            [column.text(value) or empty for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]


def joined(tables: Sequence[tuple[str, Table]]) -> list[Group]:
    """One table's columns by their kind; what was measured once for each place.

    Args:
        tables: of the same rows, with the label of the place; what isn't measured is taken from
            the first.
    """
    first = tables[0][1]
    found = [_group(first, "label", ""), _group(first, "published", "paper"),
             _group(first, "computed", "computed")]  # fmt: skip
    for label, table in tables:
        found.append(_group(table, "measured", f"measured, {label}" if label else "measured"))
    found.append(_group(first, "note", ""))
    return [group for group in found if group.columns]


def _group(table: Table, kind: Kind, title: str) -> Group:
    kept = [index for index, column in enumerate(table.columns) if column.kind == kind]
    return Group(
        kind,
        title,
        tuple(table.columns[index] for index in kept),
        tuple(tuple(row[index] for index in kept) for row in table.rows),
    )
