"""Tables whose every column says where its figures come from."""

from dataclasses import dataclass
from typing import Literal

from flyweight.records import Ratio

Kind = Literal["label", "published", "computed", "measured", "note"]
"""Where a column's figures come from: a paper prints them, they follow from the network's
structure, or they were timed here."""
Value = float | int | str | Ratio | None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: what it holds.
        kind: where it comes from.
        unit: e.g. "images/s"; "" for none.
        digits: decimals of its numbers; None for as many as they have.
        percent: whether its numbers are shares, shown as per cent.
    """

    name: str
    kind: Kind
    unit: str = ""
    digits: int | None = None
    percent: bool = False

    @property
    def heading(self) -> str:
        """The name with its source and unit, e.g. "speed (paper, images/s)"."""
        about = [text for text in ("paper" if self.kind == "published" else "", self.unit) if text]
        return f"{self.name} ({', '.join(about)})" if about else self.name

    def text(self, value: Value) -> str:
        """A value as people read it; "" for None."""
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, Ratio):
            return f"{value.value:.2f} ({value.low:.2f}-{value.high:.2f})"
        if self.percent:
            return f"{value:+.{self.digits or 0}%}"
        return f"{value:,g}" if self.digits is None else f"{value:,.{self.digits}f}"


@dataclass(frozen=True)
class Chart:
    """A picture of a table's columns, for the report to draw.

    Attributes:
        kind: "scatter" of rows, or "heat" of a matrix: x and y are places, and `colour` the value.
        title: what it shows.
        table: whose name begins so; of several tables the rows are drawn together.
        x: a column's heading.
        y: likewise.
        colour: likewise; the rows' groups, or the values of a matrix.
        log: whether the axes of a scatter are logarithmic.
    """

    kind: Literal["scatter", "heat"]
    title: str
    table: str
    x: str
    y: str
    colour: str
    log: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of values under columns; the first column names the row."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def column(self, name: str) -> tuple[Value, ...]:
        """The values of the first column of this name.

        Raises:
            KeyError: there is none.
        """
        for index, column in enumerate(self.columns):
            if column.name == name:
                return tuple(row[index] for row in self.rows)
        raise KeyError(name)

    def texts(self) -> list[list[str]]:
        """All rows as people read them."""
        return [
            [column.text(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]
