"""What all panels share: colours, shapes, axes, fonts, and how a point is marked."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from flyweight.report import palette
from flyweight.report.points import Point
from flyweight.report.scales import Scale, scale
from flyweight.report.text import digits, millions

TIME = "time per image (ms)"
FLOPS = "FLOPs (millions of multiply-adds)"
ERROR = "published ImageNet top-1 error (%)"

GREY = "#5f6673"
INK = "#1f2430"
LINE = "#c3c8d0"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
POINT_SIZE = 80


def config() -> dict[str, Any]:
    """Vega-Lite's configuration for this report: fonts, greys, legends below."""
    return {
        "font": FONT,
        "background": "white",
        "view": {"stroke": None},
        "axis": {
            "labelColor": GREY, "titleColor": GREY, "titleFontWeight": "normal", "titlePadding": 8,
            "titleFontSize": 12, "labelFontSize": 11, "gridColor": "#eceef1", "domainColor": LINE,
            "tickColor": LINE,
        },
        "axisX": {"labelOverlap": "greedy", "labelSeparation": 5},
        "title": {
            "fontSize": 14, "anchor": "start", "color": INK, "offset": 12, "subtitleColor": GREY,
            "subtitlePadding": 5,
        },
        "legend": {
            "orient": "bottom", "titleColor": GREY, "labelColor": INK, "titleFontSize": 11,
            "labelFontSize": 11, "labelLimit": 260, "columns": 6, "symbolOpacity": 1,
        },
    }  # fmt: skip


class Look:
    """Encodings that are the same in all panels, whichever points they show.

    Without a width the panels are the page's, which has one legend of its own for all of them.
    """

    def __init__(self, drawn: Sequence[Point], width: int | None) -> None:
        self.width = width
        legend: Any = alt.Undefined if width else None
        series = [point.series for point in drawn]
        colours = palette.colours([point.family for point in drawn])
        shapes = palette.shapes(series)
        self.times = scale([ms for point in drawn for ms in (point.q1_ms, point.q3_ms)])
        self.x = alt.X("ms:Q", title=TIME, scale=limits(self.times), axis=ticks(self.times))
        self.colour = alt.Color(
            "family:N",
            title="family",
            legend=legend,
            scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        )
        self.shape = alt.Shape(
            "series:N",
            title="engine",
            legend=legend,
            scale=alt.Scale(domain=list(shapes), range=list(shapes.values())),
        )

    def marks(self, shown: Sequence[Point], y: alt.Y, panel: str) -> list[alt.Chart]:
        """A rule from the lower to the upper quartile of each point, and the points.

        Vega calls the group of points after the panel, so that the page can count them.
        """
        base = alt.Chart(alt.InlineData(values=[row(point) for point in shown]))
        spread = base.mark_rule(opacity=0.55, strokeWidth=1.5).encode(
            x=alt.X("q1:Q", title=TIME), x2="q3:Q", y=y, color=self.colour
        )
        dots = base.mark_point(filled=True, size=POINT_SIZE, opacity=0.9).encode(
            x=self.x, y=y, color=self.colour, shape=self.shape, tooltip=TOOLTIP
        )
        return [spread, dots.properties(name=points_name(panel))]


def points_name(panel: str) -> str:
    """What the point marks of a panel are called. Vega-Lite mixes up marks of the same name."""
    return f"points_{panel}"


def limits(axis: Scale) -> alt.Scale:
    """The axis as Vega-Lite's scale, whose ends stay where they are."""
    ends = [axis.low, axis.high]
    if axis.log:
        return alt.Scale(type="log", domain=ends, nice=False)
    return alt.Scale(type="linear", domain=ends, nice=False, zero=False)


def ticks(axis: Scale) -> alt.Axis:
    """The marks of an axis: plain decimals, never an exponent."""
    values = axis.ticks()
    if values is None:
        return alt.Axis(format=",~r", tickCount=6)
    return alt.Axis(format=",~r", values=values)


TOOLTIP = [
    alt.Tooltip("name:N", title="network"),
    alt.Tooltip("series:N", title="engine"),
    alt.Tooltip("family:N"),
    alt.Tooltip("time:N", title="time per image"),
    alt.Tooltip("flops:N", title="FLOPs (multiply-adds)"),
    alt.Tooltip("published:N", title="published error"),
    alt.Tooltip("source:N"),
    alt.Tooltip("title:N", title="runner"),
]


def row(point: Point) -> dict[str, Any]:
    """The point as the charts' data: figures to draw, sentences for the tooltip."""
    quartiles = f"quartiles {digits(point.q1_ms)} to {digits(point.q3_ms)}"
    return {
        "title": point.title,
        "name": point.name,
        "family": point.family,
        "series": point.series,
        "ms": point.ms,
        "q1": point.q1_ms,
        "q3": point.q3_ms,
        "mflops": point.mflops,
        "error": point.error,
        "time": f"{digits(point.ms)} ms ({quartiles})",
        "flops": "not known" if point.mflops is None else f"{millions(point.mflops * 1e6)} M",
        "published": "none" if point.error is None else f"{point.error}%",
        "source": point.source or "none",
    }
