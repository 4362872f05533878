"""A study's charts: bars of speeds, what else it asks for, and all of them as one picture."""

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import altair as alt

from flyweight.errors import FlyweightError
from flyweight.report.look import config
from flyweight.report.saving import write_chart
from flyweight.report.studies import pictures, speeds
from flyweight.report.studies.pictures import Spotted
from flyweight.report.studies.places import Place, View, engine_of, machine
from flyweight.report.studies.speeds import Bar
from flyweight.studies import Chart, StudyResult, Table

WIDTH, WIDE = 230, 430
"""Of a panel of bars in the picture, and of any other, in points."""
BESIDE = {WIDTH: 3, WIDE: 2}
"""How many of them stand in a row."""
SPACING = 26
SUBTITLE = 150
"""Letters in a line under the title."""


@dataclass(frozen=True)
class Speeds:
    """The bars of a view.

    Attributes:
        panels: of each series that has any, by its name.
        scheme: colours of those whose speeds they are.
        end: of the axis, which all panels share.
    """

    panels: dict[str, list[Bar]]
    scheme: dict[str, str]
    end: float


def view_speeds(view: View) -> Speeds | None:
    """The bars of a view; None where nothing in it was timed."""
    timed = {name for name in view.series for _, one in view.of(name) if _was_timed(one.table)}
    panels = {name: speeds.bars_of(view.tables(name)) for name in view.series if name in timed}
    every = list(itertools.chain.from_iterable(panels.values()))
    if not every:
        return None
    return Speeds(panels, speeds.colours([bar.of for bar in every]), speeds.furthest(every))


def _was_timed(table: Table) -> bool:
    return any(column.kind == "measured" for column in table.columns)


@dataclass(frozen=True)
class Drawing:
    """A chart that a study asks for.

    Attributes:
        title: what it shows, and where it was measured if that differs.
        chart: as the study describes it.
        rows: what is drawn.
    """

    title: str
    chart: Chart
    rows: list[Spotted]


def view_drawings(view: View) -> list[Drawing]:
    """A drawing of each chart that has rows: one for each place where they differ."""
    found = []
    for chart in view.places[0].result.charts:
        own = [(place.label, pictures.spotted(chart, place.result.tables)) for place in view.places]
        own = [(label, rows) for label, rows in own if rows]
        alike = all(rows == own[0][1] for _, rows in own)
        for label, rows in own[:1] if alike else own:
            title = chart.title if alike else f"{chart.title}: {label}"
            found.append(Drawing(title, chart, rows))
    return found


def write_study_png(result: StudyResult, path: Path) -> None:
    """Draw a study's result as PNG: speeds over the first row's, the paper's and ours.

    Raises:
        FlyweightError: it has nothing to draw, or the file can't be written; what was there before
            is kept.
    """
    how = "" if result.setting is None else result.setting.text
    write_view_png(View(how, (Place(engine_of(result), result),)), path)


def write_view_png(view: View, path: Path) -> None:
    """The same of results beside each other.

    Raises:
        FlyweightError: there is nothing to draw, or the file can't be written.
    """
    drawn = view_chart(view)
    if drawn is None:
        raise FlyweightError(f"{view.places[0].result.study} has nothing to draw")
    write_chart(drawn, path)


def view_chart(view: View) -> alt.VConcatChart | None:
    """All charts of a view under a title; None where there are none."""
    about = view.places[0].result
    blocks: list[alt.VConcatChart] = []
    bars = view_speeds(view)
    if bars is not None:
        panels = [
            speeds.panel(own, bars.end, bars.scheme, WIDTH).properties(title=name)
            for name, own in bars.panels.items()
        ]
        blocks.append(alt.vconcat(*_rows(panels, WIDTH), spacing=SPACING))
    drawings = [
        pictures.picture(one.chart, one.rows, WIDE).properties(title=one.title)
        for one in view_drawings(view)
    ]
    if drawings:
        apart = [row.resolve_scale(color="independent") for row in _rows(drawings, WIDE)]
        blocks.append(alt.vconcat(*apart, spacing=SPACING).resolve_scale(color="independent"))
    if not blocks:
        return None
    machines = sorted({machine(place.result) for place in view.places if place.result.records})
    where = ", ".join([*machines, *([view.heading] if view.heading else [])])
    subtitle = [f"{about.claim}?" if about.claim else about.title, where,
                speeds.INTERVALS if bars is not None else ""]  # fmt: skip
    heading = alt.TitleParams(
        about.source, subtitle=[line for text in subtitle for line in _lines(text)],
        fontSize=18, subtitleFontSize=12, offset=18,
    )  # fmt: skip
    # Colours mean engines in one block and families in the other: each has a legend of its own.
    whole: alt.VConcatChart = alt.vconcat(
        *blocks, spacing=SPACING, title=heading, padding=20, config=config()
    ).resolve_scale(color="independent")
    return whole


def _rows(panels: Sequence[alt.LayerChart], width: int) -> list[alt.HConcatChart]:
    many = BESIDE[width]
    return [alt.hconcat(*panels[at : at + many], spacing=28) for at in range(0, len(panels), many)]


def _lines(text: str) -> list[str]:
    """A text in lines that a picture has room for."""
    return textwrap.wrap(text, SUBTITLE)
