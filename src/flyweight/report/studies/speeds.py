"""Speeds over the first row's: the paper's, and those measured, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from flyweight.records import Ratio
from flyweight.report.look import INK, LINE
from flyweight.report.palette import OTHERS
from flyweight.studies import Table

BAR, GAP = 10, 9
"""Thickness of a bar, and what is free between two rows, in points."""
MOST_ROWS = 14
"""Longer tables are drawn as points, one line a row."""
ROW = 21
"""Height of such a row, in points."""
LABEL = 168
"""The longest label of a row, in points."""
PAPERS = ("#b9bfc9", "#8f96a3", "#d5d9df")
ENGINES = {
    "native": "#0072B2", "onnxruntime": "#E69F00", "openvino": "#009E73", "eager": "#CC79A7",
    "compile": "#D55E00", "cudagraph": "#56B4E9",
}  # fmt: skip
MACHINES = ("#0072B2", "#E69F00")
FARTHEST = 1.5
"""An interval that reaches further than this times the longest bar is cut off."""

SPEED = "speed over the first row's"
AXIS = "speed / first row's"
"""Shorter, since a phone's panel is narrow."""
INTERVALS = "Thin lines: 95% intervals."
TO_FIRST = "to first"


@dataclass(frozen=True)
class Bar:
    """One bar, or point.

    Attributes:
        row: label of the row.
        of: whose speed it is: "paper", an engine, a machine.
        speed: over the first row's.
        low: lower end of its interval; None for the paper's, which has none.
        high: upper end.
    """

    row: str
    of: str
    speed: float
    low: float | None = None
    high: float | None = None

    @property
    def data(self) -> dict[str, Any]:
        """For the chart, with what is said on hovering."""
        said = f"{self.speed:.2f}"
        if self.low is not None:
            said += f" ({self.low:.2f}-{self.high:.2f})"
        return {"row": self.row, "of": self.of, "speed": self.speed, "low": self.low,
                "high": self.high, "said": said}  # fmt: skip


def bars_of(tables: Sequence[tuple[str, Table]]) -> list[Bar]:
    """The bars of a series.

    Args:
        tables: of the same rows, with the label of where each was measured.
    """
    found = [bar for bar in _bars(tables[0][1], "published", "paper")] if tables else []
    for label, table in tables:
        found += _bars(table, "measured", label or "here")
    return found


def _bars(table: Table, kind: str, of: str) -> list[Bar]:
    found = []
    for index, column in enumerate(table.columns):
        if column.kind != kind or not column.name.endswith(TO_FIRST):
            continue
        which = column.name.removesuffix(TO_FIRST).strip()
        whose = f"{of}: {which}" if which else of
        for row in table.rows:
            value = row[index]
            if isinstance(value, Ratio):
                found.append(Bar(str(row[0]), whose, value.value, value.low, value.high))
            elif isinstance(value, int | float):
                found.append(Bar(str(row[0]), whose, float(value)))
    return found


def colours(of: Sequence[str]) -> dict[str, str]:
    """A colour for each of those whose speeds are drawn: greys for papers, engines their own."""
    names = list(dict.fromkeys(of))
    papers = [name for name in names if name.partition(":")[0] == "paper"]
    others = [name for name in names if name not in papers]
    known = {name: ENGINES[name] for name in others if name in ENGINES}
    rest = [name for name in others if name not in known]
    spare = [*(MACHINES if not known else ()), *OTHERS]
    return {
        **{name: PAPERS[index % len(PAPERS)] for index, name in enumerate(papers)},
        **known,
        **{name: spare[index % len(spare)] for index, name in enumerate(rest)},
    }


def furthest(bars: Sequence[Bar]) -> float:
    """Where the axis of all these bars ends."""
    longest = max(bar.speed for bar in bars)
    ends = [min(bar.high or 0.0, FARTHEST * longest) for bar in bars]
    return 1.04 * max(1.0, longest, *ends)


def height(bars: Sequence[Bar]) -> float:
    """Of the panel that shows them, in points."""
    rows, kinds = (len({getattr(bar, name) for bar in bars}) for name in ("row", "of"))
    return rows * (ROW if rows > MOST_ROWS else kinds * BAR + GAP)


def panel(
    bars: Sequence[Bar], end: float, scheme: dict[str, str], width: int | None
) -> alt.LayerChart:
    """Bars of one series, a row under the other; points where there are many rows.

    Args:
        bars: what to draw.
        end: of the axis.
        scheme: colours of those whose speeds they are.
        width: of the panel, in points; None fills the element of the page that it is put in, which
            has a legend of its own.
    """
    names = list(dict.fromkeys(bar.row for bar in bars))
    of = [name for name in scheme if any(bar.of == name for bar in bars)]
    points = len(names) > MOST_ROWS
    axis = alt.Axis(labelLimit=LABEL, labelColor=INK, ticks=False, domain=False, grid=points,
                    labelPadding=6)  # fmt: skip
    step = alt.Undefined if points else alt.Scale(paddingInner=GAP / (GAP + BAR * len(of)),
                                                  paddingOuter=0.2)  # fmt: skip
    place: dict[str, Any] = {"y": alt.Y("row:N", sort=names, title=None, axis=axis, scale=step)}
    if not points:
        place["yOffset"] = alt.YOffset("of:N", sort=of)
    x = alt.X("speed:Q", title=AXIS, scale=alt.Scale(domain=[0, end], nice=False),
              axis=alt.Axis(tickCount=5, format="~g", domain=False))  # fmt: skip
    colour = alt.Color(
        "of:N", title=None, legend=alt.Undefined if width else None,
        scale=alt.Scale(domain=list(scheme), range=list(scheme.values())),
    )  # fmt: skip
    base = alt.Chart(alt.InlineData(values=[bar.data for bar in bars]))
    tooltip = [alt.Tooltip("row:N", title="row"), alt.Tooltip("of:N", title="whose"),
               alt.Tooltip("said:N", title=SPEED)]  # fmt: skip
    kind = base.mark_point(filled=True, size=64, opacity=0.95) if points else base.mark_bar()
    marks = kind.encode(x=x, color=colour, tooltip=tooltip, **place)
    spread = (
        base.transform_filter("datum.low != null")
        .mark_rule(clip=True, strokeWidth=1.4, color=INK, opacity=0.75)
        .encode(x=alt.X("low:Q", title=AXIS), x2="high:Q", **place)
    )
    one = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_rule(color=LINE, strokeWidth=1.2)
    layers = [one.encode(x="x:Q"), marks, spread]
    return alt.LayerChart(layer=layers, width=width or "container", height=height(bars))
