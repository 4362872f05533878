"""Where a network's time goes, as a picture: the classes of each engine, and the rooflines."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyweight.report import palette
from flyweight.report.saving import write_chart
from flyweight.report.text import digits

if TYPE_CHECKING:
    import altair as alt

    from flyweight.decomposing import Decomposition, Part, Peaks

RESIDUAL = "residual"
WIDTH = 800
"""Of the picture, without what stands beside the axes, in points."""
PANEL, HEIGHT, GAP = 360, 300, 80
"""Of a roofline; between two."""
BAR = 34
NAMED = 0.045
"""Of the total, from which a class's share is written in its piece of the bar."""
Row = dict[str, Any]


def write_decomposition_png(found: "Sequence[Decomposition]", path: Path) -> None:
    """Draw each engine's classes as a bar, and every operation below the machine's limits, as PNG.

    Where the machine's limits weren't measured there are only the bars.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    chart = picture(found)
    write_chart(chart, path)


def picture(found: "Sequence[Decomposition]") -> "alt.VConcatChart":
    """The picture as a chart.

    Args:
        found: of one network, one or more engines.
    """
    import altair as alt

    from flyweight.report.look import config

    about = found[0].record.environment
    shape = " x ".join(map(str, about.input or ()))
    title = alt.TitleParams(
        f"Where the time of {found[0].network} goes",
        subtitle=[
            f"{about.cpu} with {about.cores} cores; threads {about.threads}, input {shape},"
            f" {about.dtype}",
            "timed without profiling; parts by each engine's own profiler, fitted to that total",
        ],
        fontSize=18, subtitleFontSize=12, offset=18,
    )  # fmt: skip
    rows: list[Any] = [_bars(found)]
    peaks = found[0].peaks
    if peaks is not None:
        rows.append(alt.hconcat(_roofline(found, peaks), _traffic(found, peaks), spacing=GAP))
    return alt.vconcat(*rows, spacing=44, title=title, padding=20, config=config())


def _kinds(found: "Sequence[Decomposition]") -> list[str]:
    """The classes that there are, in the order of their colours."""
    there = {kind for one in found for kind in one.by_kind()} | {RESIDUAL}
    return [kind for kind in palette.KINDS if kind in there]


def _colour(kinds: Sequence[str], **more: Any) -> "alt.Color":
    import altair as alt

    colours = [palette.KINDS[kind] for kind in kinds]
    scale = alt.Scale(domain=list(kinds), range=colours)
    return alt.Color("kind:N", title=None, scale=scale, **more)


def _pieces(one: "Decomposition", kinds: Sequence[str]) -> list[Row]:
    """The pieces of an engine's bar, from left to right."""
    groups = one.by_kind()
    shares = {kind: groups[kind].share for kind in kinds if kind in groups}
    shares[RESIDUAL] = one.residual_share
    rows, at = [], 0.0
    for kind, share in shares.items():
        light = kind in (RESIDUAL, "depthwise", "elementwise")
        rows.append({
            "engine": one.engine, "kind": kind, "from": at, "to": at + share,
            "middle": at + share / 2, "said": f"{share:.0%}" if share >= NAMED else "",
            "ink": "#1f2430" if light else "white",
        })  # fmt: skip
        at += share
    return rows


def _bars(found: "Sequence[Decomposition]") -> "alt.LayerChart":
    import altair as alt

    from flyweight.report.look import INK

    kinds = _kinds(found)
    order = [one.engine for one in found]
    base = alt.Chart(alt.InlineData(values=[row for one in found for row in _pieces(one, kinds)]))
    axis = alt.Axis(labelColor=INK, labelFontSize=13, domain=False, ticks=False, labelPadding=10)
    y = alt.Y("engine:N", sort=order, title=None, axis=axis)
    x = alt.X("from:Q", title="share of the time of a call", scale=alt.Scale(domain=[0, 1]),
              axis=alt.Axis(format="%", tickCount=6, grid=False))  # fmt: skip
    colour = _colour(kinds, legend=alt.Legend(orient="top", columns=len(kinds), offset=6))
    bars = base.mark_bar(height=BAR - 8, stroke="white", strokeWidth=1).encode(
        x=x, x2="to:Q", y=y, color=colour
    )
    said = base.mark_text(fontSize=12, baseline="middle").encode(
        x="middle:Q", y=y, text="said:N",
        color=alt.Color("ink:N", scale=None, legend=None),
    )  # fmt: skip
    totals = (
        alt.Chart(alt.InlineData(values=[
            {"engine": one.engine, "at": 1, "said": f"{digits(one.total_s * 1e3)} ms"}
            for one in found
        ]))
        .mark_text(align="left", baseline="middle", dx=8, fontSize=13, color=INK)
        .encode(x="at:Q", y=y, text="said:N")
    )  # fmt: skip
    return alt.LayerChart(layer=[bars, said, totals], width=WIDTH, height=BAR * len(found))


def _roofline(found: "Sequence[Decomposition]", peaks: "Peaks") -> "alt.LayerChart":
    """Operations with multiply-adds: attained rate over intensity, below the machine's limits."""
    import altair as alt

    rows = [
        {**_point(one, part), "x": part.bound.intensity,
         "y": part.operation.madds / part.seconds / 1e9}
        for one in found
        for part in one.parts
        if part.operation.madds and part.picoseconds and part.bound.intensity
    ]  # fmt: skip
    low = min([float(str(row["x"])) for row in rows], default=0.1) / 1.5
    high = max([float(str(row["x"])) for row in rows], default=100.0) * 1.5
    top = peaks.madds_per_s / 1e9
    bottom = min([float(str(row["y"])) for row in rows], default=top / 100) / 1.5
    lines: list[Row] = []
    for size, speed in zip(peaks.sizes, peaks.bytes_per_s, strict=True):
        speed /= 1e9
        start, ridge = max(low, bottom / speed), top / speed
        said = _bytes(size)
        lines += [{"of": said, "x": start, "y": start * speed},
                  {"of": said, "x": min(ridge, high), "y": min(top, high * speed)}]  # fmt: skip
    ridge = top * 1e9 / peaks.bytes_per_s[0]
    lines += [{"of": "peak", "x": min(ridge, high), "y": top}, {"of": "peak", "x": high, "y": top}]
    x = alt.X("x:Q", title="multiply-adds per byte", scale=_log(low, high), axis=_ticks(low, high))
    y = alt.Y("y:Q", title="billion multiply-adds per second", scale=_log(bottom, top * 1.7),
              axis=_ticks(bottom, top * 1.7))  # fmt: skip
    speeds = [f"{speed / 1e9:,.0f}" for speed in peaks.bytes_per_s]
    sizes = [_bytes(size) for size in peaks.sizes]
    note = [
        f"Lines: {top:,.0f} G multiply-adds/s; in arrays of {sizes[0]}, {', '.join(sizes[1:])}",
        f"{speeds[0]}, {', '.join(speeds[1:])} GB/s. Area: share of the engine's time.",
    ]
    return _panel("Operations with multiply-adds", note, rows, lines, x, y, found)


def _traffic(found: "Sequence[Decomposition]", peaks: "Peaks") -> "alt.LayerChart":
    """Operations without: attained bytes a second over their number."""
    import altair as alt

    rows = [
        {**_point(one, part), "x": part.operation.bytes / 1e3,
         "y": part.operation.bytes / part.seconds / 1e9}
        for one in found
        for part in one.parts
        if part.operation.bytes and part.picoseconds and not part.operation.madds
    ]  # fmt: skip
    low = min([float(str(row["x"])) for row in rows], default=1.0) / 1.5
    high = max([float(str(row["x"])) for row in rows], default=1e4) * 1.5
    curve = [low * (high / low) ** (step / 40) for step in range(41)]
    lines: list[Row] = [
        {"of": "triad", "x": at, "y": peaks.bandwidth(int(at * 1e3)) / 1e9} for at in curve
    ]
    top = max(float(line["y"]) for line in lines)
    bottom = min([float(str(row["y"])) for row in rows], default=top / 100) / 1.5
    highest = max([float(str(row["y"])) for row in rows] + [top])
    x = alt.X("x:Q", title="bytes read and written (kB)", scale=_log(low, high),
              axis=_ticks(low, high))  # fmt: skip
    y = alt.Y("y:Q", title="billion bytes per second", scale=_log(bottom, highest * 1.7),
              axis=_ticks(bottom, highest * 1.7))  # fmt: skip
    note = ["Line: what the machine moves in arrays of that size.", "Area as on the left."]
    return _panel("Operations without", note, rows, lines, x, y, found)


def _panel(
    title: str,
    note: Sequence[str],
    rows: Sequence[Row],
    lines: Sequence[Row],
    x: "alt.X",
    y: "alt.Y",
    found: "Sequence[Decomposition]",
) -> "alt.LayerChart":
    import altair as alt

    drawn = (
        alt.Chart(alt.InlineData(values=list(lines)))
        .mark_line(color="#9aa1ad", strokeWidth=1.3)
        .encode(x=x, y=y, detail="of:N")
    )
    engines = [one.engine for one in found]
    shapes = palette.shapes(engines)
    shape = alt.Shape(
        "engine:N", title=None,
        scale=alt.Scale(domain=engines, range=[shapes[name] for name in engines]),
        legend=alt.Legend(orient="bottom") if len(engines) > 1 else None,
    )  # fmt: skip
    points = (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_point(filled=True, opacity=0.7)
        .encode(
            x=x, y=y, shape=shape, color=_colour(_kinds(found), legend=None),
            size=alt.Size(
                "share:Q", legend=None, scale=alt.Scale(domain=[0, 0.1], range=[14, 420])
            ),
        )
    )  # fmt: skip
    heading = alt.TitleParams(title, subtitle=list(note))
    return alt.LayerChart(layer=[drawn, points], title=heading, width=PANEL, height=HEIGHT)


def _point(one: "Decomposition", part: "Part") -> Row:
    return {
        "engine": one.engine,
        "kind": part.operation.kind,
        "share": min(part.seconds / one.total_s, 0.1),
    }


def _log(low: float, high: float) -> "alt.Scale":
    import altair as alt

    return alt.Scale(type="log", domain=[low, high], nice=False)


def _ticks(low: float, high: float) -> "alt.Axis":
    """Powers of ten within, in plain decimals."""
    import altair as alt

    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return alt.Axis(values=[10.0**power for power in powers], format=",~r")


def _bytes(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
