"""The page's table: a row for each record, a column for each thing one may want to sort by."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from flyweight.records import Record
from flyweight.report.findings import time_ratio
from flyweight.report.points import image_ms
from flyweight.report.text import digits, interval, millions

UNKNOWN = "–"


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: what it shows.
        value: what it is sorted by, where that is a number.
        note: shown on hovering.
    """

    text: str
    value: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: its name and unit.
        cell: of a record, given how it compares with the fastest of its run.
        number: whether it sorts by value, else by text.
    """

    heading: str
    cell: Callable[[Record, Cell], Cell]
    number: bool = True


def _number(value: float | None, text: str | None = None, note: str = "") -> Cell:
    if value is None:
        return Cell(UNKNOWN)
    return Cell(digits(value) if text is None else text, value, note)


def _count(value: int | None) -> Cell:
    return Cell(UNKNOWN) if value is None else Cell(str(value), value)


def _network(record: Record) -> Cell:
    if record.network is None:
        return Cell(record.runner)
    return Cell(record.network.name, note=f"runner: {record.runner}")


def _input(record: Record) -> Cell:
    """Height x width of an image; the whole shape where it isn't one."""
    shape = record.environment.input
    if shape is None:
        return Cell(UNKNOWN)
    size = 1.0
    for side in shape[1:]:
        size *= side
    return Cell("×".join(str(side) for side in (shape[2:] if len(shape) == 4 else shape)), size)


def _precision(record: Record) -> Cell:
    layout = record.environment.layout
    return Cell(record.environment.dtype or UNKNOWN, note=f"layout: {layout}" if layout else "")


def _spread(record: Record) -> Cell:
    part = 100 * record.iqr_s / record.median_s
    quartiles = f"quartiles {digits(record.q1_s * 1e3)} and {digits(record.q3_s * 1e3)} ms"
    return _number(part, f"{part:.1f}%", quartiles)


def _interrupted(record: Record) -> Cell:
    note = "" if record.complete else "interrupted before its time was spent"
    return Cell(f"{record.n}{'' if record.complete else '*'}", record.n, note)


def _error(record: Record) -> Cell:
    facts = record.network
    if facts is None or facts.top1_error is None:
        return Cell(UNKNOWN, note="none is published for this network at this input size")
    return Cell(str(facts.top1_error), facts.top1_error, f"source: {facts.top1_source}")


def _millions(count: int | None) -> Cell:
    return Cell(UNKNOWN) if count is None else Cell(millions(count), count)


COLUMNS = (
    Column("network", lambda r, _: _network(r), number=False),
    Column("engine", lambda r, _: Cell(r.environment.form or UNKNOWN), number=False),
    Column("median (ms per call)", lambda r, _: _number(r.median_s * 1e3)),
    Column("inter-quartile range", lambda r, _: _spread(r)),
    Column("n", lambda r, _: _interrupted(r)),
    Column("images/s", lambda r, _: _number(1e3 / image_ms(r))),
    Column("time, the fastest = 1", lambda _, relative: relative),
    Column(
        "FLOPs (M multiply-adds)", lambda r, _: _millions(r.network.madds if r.network else None)
    ),
    Column("published top-1 error (%)", lambda r, _: _error(r)),
    Column("parameters (M)", lambda r, _: _millions(r.network.params if r.network else None)),
    Column(
        "memory access (M elements)",
        lambda r, _: _millions(r.network.memory_access if r.network else None),
    ),
    Column("threads", lambda r, _: _count(r.environment.threads)),
    Column("batch", lambda r, _: _count(r.environment.batch)),
    Column("input", lambda r, _: _input(r)),
    Column("precision", lambda r, _: _precision(r), number=False),
)


def relative(records: Sequence[Record]) -> list[Cell]:
    """Each record's time per image over that of the fastest of its run, with the interval."""
    runs: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        runs[record.run].append(index)
    cells: dict[int, Cell] = {}
    for indices in runs.values():
        best = min(indices, key=lambda index: image_ms(records[index]))
        for index in indices:
            cells[index] = _compared(records[index], records[best])
        cells[best] = Cell("1 (fastest)" if len(indices) > 1 else "1 (alone in its run)", 1.0)
    return [cells[index] for index in range(len(records))]


def _compared(record: Record, best: Record) -> Cell:
    ratio = time_ratio(record, best)
    value, low, high = interval(ratio.value, ratio.low, ratio.high)
    if not ratio.differs:
        note = f"ratio {value}, {ratio.confidence:.0%} interval {low} to {high}"
        return Cell("no difference measured", ratio.value, note)
    note = f"{ratio.confidence:.0%} interval over {ratio.rounds} paired rounds"
    return Cell(f"{value} ({low}–{high})", ratio.value, note)


def table(records: Sequence[Record]) -> str:
    """The table as HTML, the fastest per image first; runs stay together."""
    cells = relative(records)
    runs = list(dict.fromkeys(record.run for record in records))
    order = sorted(
        range(len(records)), key=lambda i: (runs.index(records[i].run), image_ms(records[i]))
    )
    head = "".join(_heading(column) for column in COLUMNS)
    rows = "\n".join(_row(records[index], cells[index]) for index in order)
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<table class="sortable">\n{body}\n</table>'


def _heading(column: Column) -> str:
    kind = ' class="number"' if column.number else ""
    return f'<th scope="col"{kind}><button type="button">{escape(column.heading)}</button></th>'


def _row(record: Record, compared: Cell) -> str:
    cells = "".join(
        _cell(column.cell(record, compared), column.number, first=index == 0)
        for index, column in enumerate(COLUMNS)
    )
    return f"<tr>{cells}</tr>"


def _cell(cell: Cell, number: bool, first: bool) -> str:
    attributes = ' scope="row"' if first else ' class="number"' if number else ""
    if cell.value is not None:
        attributes += f' data-value="{cell.value!r}"'
    if cell.note:
        attributes += f' title="{escape(cell.note)}"'
    tag = "th" if first else "td"
    return f"<{tag}{attributes}>{escape(cell.text)}</{tag}>"
