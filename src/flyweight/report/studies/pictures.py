"""The charts that a study asks for: rows as points, and matrices as coloured fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from flyweight.records import Ratio
from flyweight.report.charts import Spot
from flyweight.report.labels import FONT_SIZE, Anchor, place
from flyweight.report.look import INK, POINT_SIZE, limits, ticks
from flyweight.report.palette import FIXED, OTHERS
from flyweight.report.scales import Scale, scale
from flyweight.studies import Chart, Table
from flyweight.studies.tables import Value

HEIGHT = 330
"""Of a scatter's panel, in points."""
SHOWN = {500: "width >= 375", 250: "width < 375"}
"""When the page's panel shows the names that were placed for a width, as a desk's or a phone's."""
FIELD = 26
"""Height of a matrix's row, in points."""
WRITTEN = 14
"""A matrix of so many columns, or fewer, has its values written in its fields."""
FAMILIES = {name.lower(): colour for name, colour in FIXED.items()}
HUES = (*dict.fromkeys(FIXED.values()), *OTHERS)


@dataclass(frozen=True)
class Spotted:
    """A row of a table, as a scatter or a matrix has it.

    Attributes:
        row: its label.
        x: a number, or a place of a matrix.
        y: likewise.
        group: its group's name, or the matrix's value.
    """

    row: str
    x: Value
    y: Value
    group: Value


def spotted(chart: Chart, tables: Sequence[Table]) -> list[Spotted]:
    """The rows that a chart draws; none where a column isn't there, or has no values."""
    found = []
    for table in tables:
        if not table.name.startswith(chart.table):
            continue
        x, y, colour = (_column(table, name) for name in (chart.x, chart.y, chart.colour))
        if x is None or y is None:
            continue
        for row in table.rows:
            group = table.name if colour is None else _plain(row[colour])
            one = Spotted(str(row[0]), _plain(row[x]), _plain(row[y]), group)
            if None not in (one.x, one.y, one.group):
                found.append(one)
    return found


def _column(table: Table, heading: str) -> int | None:
    """A column by its heading, or else by its name."""
    for index, column in enumerate(table.columns):
        if heading and heading in (column.heading, column.name):
            return index
    return None


def _plain(value: Value) -> Value:
    return value.value if isinstance(value, Ratio) else value


def height(chart: Chart, rows: Sequence[Spotted]) -> float:
    """Of the chart's panel, in points."""
    return HEIGHT if chart.kind == "scatter" else FIELD * len({row.y for row in rows})


def groups(rows: Sequence[Spotted]) -> dict[str, str]:
    """A colour for each group of a scatter."""
    names = dict.fromkeys(str(row.group) for row in rows)
    found = {name: FAMILIES[name.lower()] for name in names if name.lower() in FAMILIES}
    free = [hue for hue in HUES if hue not in found.values()]
    rest = [name for name in names if name not in found]
    found |= {name: free[index % len(free)] for index, name in enumerate(rest)}
    return {name: found[name] for name in names}


def picture(chart: Chart, rows: Sequence[Spotted], width: int | None) -> alt.LayerChart:
    """Draw a chart.

    Args:
        chart: what to draw.
        rows: from `spotted`, not empty.
        width: of the panel, in points; None fills the element of the page that it is put in.
    """
    return (_scatter if chart.kind == "scatter" else _heat)(chart, rows, width)


def _scatter(chart: Chart, rows: Sequence[Spotted], width: int | None) -> alt.LayerChart:
    axes = [scale([_number(getattr(row, name)) for row in rows], chart.log) for name in "xy"]
    x = alt.X("x:Q", title=chart.x, scale=limits(axes[0]), axis=ticks(axes[0]))
    y = alt.Y("y:Q", title=chart.y, scale=limits(axes[1]), axis=ticks(axes[1]))
    scheme = groups(rows)
    colour = alt.Color(
        "group:N", title=None, legend=alt.Undefined if width else None,
        scale=alt.Scale(domain=list(scheme), range=list(scheme.values())),
    )  # fmt: skip
    tooltip = [alt.Tooltip("row:N"), alt.Tooltip("group:N"),
               alt.Tooltip("x:Q", title=chart.x, format=".4~g"),
               alt.Tooltip("y:Q", title=chart.y, format=".4~g")]  # fmt: skip
    base = alt.Chart(alt.InlineData(values=[_data(row) for row in rows]))
    dots = base.mark_point(filled=True, size=POINT_SIZE, opacity=0.9).encode(
        x=x, y=y, color=colour, tooltip=tooltip
    )
    names = [_names(rows, axes, x, y, at, width) for at in ([width] if width else SHOWN)]
    return alt.LayerChart(layer=[dots, *names], width=width or "container", height=HEIGHT)


def _names(
    rows: Sequence[Spotted],
    axes: Sequence[Scale],
    x: alt.X,
    y: alt.Y,
    at: int,
    width: int | None,
) -> alt.Chart:
    """Labels beside the points that have room for them, in a panel of some width."""
    spots: list[Spot] = [
        (axes[0].fraction(_number(row.x)) * at, (1 - axes[1].fraction(_number(row.y))) * HEIGHT)
        for row in rows
    ]
    anchors = {Anchor(row.row, *spot): row for row, spot in zip(rows, spots, strict=True)}
    placed = place(list(anchors), spots, [], at, HEIGHT)
    data = [
        {**_data(anchors[label.anchor]), "align": label.align, "dx": label.dx, "dy": label.dy}
        for label in placed
    ]
    text = alt.Chart(alt.InlineData(values=data)).mark_text(
        fontSize=FONT_SIZE,
        color=INK,
        clip=True,  # or names placed for another width would take room in this one
        baseline="middle",
        align=alt.expr("datum.align"),
        dx=alt.expr("datum.dx"),
        dy=alt.expr("datum.dy"),
        opacity=1 if width else alt.expr(f"{SHOWN[at]} ? 1 : 0"),
    )
    named: alt.Chart = text.encode(x=x, y=y, text="row:N")
    return named


def _heat(chart: Chart, rows: Sequence[Spotted], width: int | None) -> alt.LayerChart:
    columns, lines = (list(dict.fromkeys(str(getattr(row, name)) for row in rows)) for name in "xy")
    values = [_number(row.group) for row in rows]
    middle = (min(values) + max(values)) / 2
    axis = alt.Axis(labelAngle=0, ticks=False, domain=False, labelColor=INK)
    x = alt.X("x:O", title=chart.x, sort=columns, axis=axis)
    y = alt.Y("y:O", title=chart.y, sort=lines, axis=axis)
    colour = alt.Color(
        "group:Q", title=chart.colour, scale=alt.Scale(scheme="blues"),
        legend=alt.Legend(orient="bottom", gradientLength=160),
    )  # fmt: skip
    data = [{**_data(row), "x": str(row.x), "y": str(row.y)} for row in rows]
    base = alt.Chart(alt.InlineData(values=data)).encode(x=x, y=y)
    tooltip = [alt.Tooltip("x:O", title=chart.x), alt.Tooltip("y:O", title=chart.y),
               alt.Tooltip("group:Q", title=chart.colour, format=".3~g")]  # fmt: skip
    layers = [base.mark_rect(stroke="white", strokeWidth=1).encode(color=colour, tooltip=tooltip)]
    if len(columns) <= WRITTEN:
        ink = alt.condition(f"datum.group > {middle}", alt.value("white"), alt.value(INK))
        written = base.mark_text(fontSize=FONT_SIZE).encode(
            text=alt.Text("group:Q", format=".2~g"), color=ink
        )
        layers.append(written)
    panel = height(chart, rows)
    return alt.LayerChart(layer=layers, width=width or "container", height=panel)


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _data(row: Spotted) -> dict[str, Any]:
    return {"row": row.row, "x": row.x, "y": row.y, "group": row.group}
