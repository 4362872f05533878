"""The panels: time against published error, against FLOPs, and alone."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from flyweight.records import Record
from flyweight.report.findings import contradiction
from flyweight.report.labels import FONT_SIZE, Anchor, Label, place
from flyweight.report.look import ERROR, FLOPS, INK, Look, config, limits, ticks
from flyweight.report.pareto import pareto_front
from flyweight.report.points import Point, points
from flyweight.report.scales import scale
from flyweight.report.text import counted

WIDTH, HEIGHT = 500, 400
"""Of a panel in the picture, in points; the page's panels are as wide as there is room."""
NARROW = 300
"""A phone's panel, in points: the page's names are placed for this width too."""
SHOWN = {WIDTH: f"width >= {(WIDTH + NARROW) / 2}", NARROW: f"width < {(WIDTH + NARROW) / 2}"}
"""When the page's panel shows the names that were placed for a width."""
ROW = 20
"""Height of a runner's row in the panel of times, in points."""

FRONT = "Lower left is better. The lines: an engine's fastest network for each error."
MISJUDGED = "Further left is faster. Named: the two networks whose FLOPs mislead most."
FASTER = "Further left is faster."
FASTEST_FIRST = "The fastest first. Further left is faster."

Spot = tuple[float, float]
"""Where a point lies in its panel: parts of the width from the left, of the height from the top."""


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        key: "error", "flops" or "times".
        title: what is drawn.
        note: how to read it.
        chart: as wide as its container or of a fixed width, as asked for.
        whole: whether it shows every record.
    """

    key: str
    title: str
    note: str
    chart: alt.LayerChart
    whole: bool


def panels(records: Sequence[Record], width: int | None = None) -> list[Panel]:
    """The charts for which the records have figures. At least one of them shows every record.

    Args:
        records: what to draw.
        width: of each panel, in points; None fills the element of the page that it is put in.

    Raises:
        UsageError: there are no records.
    """
    drawn = points(records)
    look = Look(drawn, width)
    known = [point for point in drawn if point.mflops is not None]
    judged = [point for point in drawn if point.error is not None]
    result = []
    if judged:
        chart, whole = _error_panel(judged, look), len(judged) == len(drawn)
        result.append(Panel("error", "Published error against time", FRONT, chart, whole))
    if known:
        found = contradiction(records)
        pair = [drawn[found.fewer], drawn[found.more]] if found else []
        chart, whole = _flops_panel(known, pair, look), len(known) == len(drawn)
        note = MISJUDGED if found else FASTER
        result.append(Panel("flops", "FLOPs against time", note, chart, whole))
    if len(known) < len(drawn):
        chart = _times_panel(drawn, look)
        result.append(Panel("times", "Time of every runner", FASTEST_FIRST, chart, True))
    return result


def picture(records: Sequence[Record]) -> alt.VConcatChart:
    """All panels side by side, with one legend and a title.

    Raises:
        UsageError: there are no records.
    """
    shown = [
        panel.chart.properties(title=alt.TitleParams(panel.title, subtitle=panel.note))
        for panel in panels(records, WIDTH)
    ]
    machines = {record.environment.gpu or record.environment.cpu for record in records}
    title = alt.TitleParams(
        f"Measured time of {counted(len(records), 'runner')}",
        subtitle=sorted(machines),
        fontSize=18,
        subtitleFontSize=12,
        offset=18,
    )
    row = alt.hconcat(*shown, spacing=40)
    return alt.vconcat(row, title=title, padding=20, config=config())


def _error_panel(judged: Sequence[Point], look: Look) -> alt.LayerChart:
    errors = scale([_error(point) for point in judged], may_be_log=False)
    y = alt.Y("error:Q", title=ERROR, scale=limits(errors), axis=ticks(errors))
    spots = {point: (look.times.fraction(point.ms), 1 - errors.fraction(_error(point)))
             for point in judged}  # fmt: skip
    fronts = _fronts(judged)
    rows = [
        {"ms": point.ms, "error": point.error, "series": point.series}
        for front in fronts
        for point in front
    ]
    lines = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(color="#9aa1ad", strokeWidth=1.3)
        .encode(x=look.x, y=y, detail="series:N", order="ms:Q")
    )
    members = [point for front in fronts for point in front]
    names = _labels(members, spots, _along(fronts, spots), y, look)
    return _layered([lines, *look.marks(judged, y, "error"), *names], look, HEIGHT)


def _flops_panel(known: Sequence[Point], pair: Sequence[Point], look: Look) -> alt.LayerChart:
    flops = scale([_mflops(point) for point in known])
    y = alt.Y("mflops:Q", title=FLOPS, scale=limits(flops), axis=ticks(flops))
    spots = {point: (look.times.fraction(point.ms), 1 - flops.fraction(_mflops(point)))
             for point in known}  # fmt: skip
    names = _labels(pair, spots, [], y, look)
    return _layered([*look.marks(known, y, "flops"), *names], look, HEIGHT)


def _times_panel(drawn: Sequence[Point], look: Look) -> alt.LayerChart:
    order = [point.title for point in sorted(drawn, key=lambda point: point.ms)]
    y = alt.Y("title:N", title=None, sort=order, axis=alt.Axis(labelLimit=220, grid=True))
    return _layered(look.marks(drawn, y, "times"), look, ROW * len(drawn))


def _layered(layers: Sequence[alt.Chart], look: Look, height: int) -> alt.LayerChart:
    return alt.LayerChart(layer=list(layers), width=look.width or "container", height=height)


def _fronts(judged: Sequence[Point]) -> list[list[Point]]:
    """Each engine's networks that none of its others beats in time and published error.

    The engine with the fastest network comes first: its names are placed first.
    """
    of_series: dict[str, list[Point]] = defaultdict(list)
    for point in sorted(judged, key=lambda point: point.ms):
        of_series[point.series].append(point)
    return [
        [own[index] for index in pareto_front([(point.ms, _error(point)) for point in own])]
        for own in of_series.values()
    ]


def _along(fronts: Sequence[Sequence[Point]], spots: dict[Point, Spot]) -> list[Spot]:
    """Places on the fronts' lines, so that no name is written over them."""
    steps = [step / 24 for step in range(1, 24)]
    return [
        (
            spots[a][0] + (spots[b][0] - spots[a][0]) * s,
            spots[a][1] + (spots[b][1] - spots[a][1]) * s,
        )
        for front in fronts
        for a, b in itertools.pairwise(front)
        for s in steps
    ]


def _labels(
    wanted: Sequence[Point],
    spots: dict[Point, Spot],
    lines: Sequence[Spot],
    y: alt.Y,
    look: Look,
) -> list[alt.Chart]:
    """Names beside the points that have room for them: a layer for each width of the panel."""
    layers = []
    for width in [look.width] if look.width else SHOWN:
        taken, between = (
            [(x * width, top * HEIGHT) for x, top in part] for part in (spots.values(), lines)
        )
        anchors = {
            Anchor(point.name, spots[point][0] * width, spots[point][1] * HEIGHT): point
            for point in wanted
        }
        placed = place(list(anchors), taken, between, width, HEIGHT)
        text = alt.Chart(
            alt.InlineData(values=[_name(anchors[label.anchor], label) for label in placed])
        ).mark_text(
            fontSize=FONT_SIZE,
            color=INK,
            baseline="middle",
            align=alt.expr("datum.align"),
            dx=alt.expr("datum.dx"),
            dy=alt.expr("datum.dy"),
            opacity=1 if look.width else alt.expr(f"{SHOWN[width]} ? 1 : 0"),
        )
        layers.append(text.encode(x=look.x, y=y, text="name:N"))
    return layers


def _name(point: Point, label: Label) -> dict[str, Any]:
    return {
        "name": point.name,
        "ms": point.ms,
        "error": point.error,
        "mflops": point.mflops,
        "align": label.align,
        "dx": label.dx,
        "dy": label.dy,
    }


def _error(point: Point) -> float:
    assert point.error is not None
    return point.error


def _mflops(point: Point) -> float:
    assert point.mflops is not None
    return point.mflops
