"""The page of records that were timed against each other, and its parts for larger pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from flyweight.records import Record
from flyweight.report import palette, sections
from flyweight.report.charts import Panel, panels
from flyweight.report.document import document, figure, legend, spec
from flyweight.report.findings import summary
from flyweight.report.look import points_name
from flyweight.report.points import points
from flyweight.report.table import table
from flyweight.report.text import counted


@dataclass(frozen=True)
class Drawn:
    """The charts of some records.

    Attributes:
        html: their places on the page.
        specs: what is drawn there.
    """

    html: str
    specs: tuple[str, ...]


def page(records: Sequence[Record]) -> str:
    """The whole page.

    Raises:
        UsageError: there are no records.
    """
    title = f"Flyweight: {counted(len(records), 'runner')} timed"
    charts = drawn(records)
    body = f"""<header>
<h1>{escape(title)}</h1>
<p class="summary">{escape(summary(records))}</p>
</header>
<main>
{charts.html}
<section>
<h2>All figures</h2>
{figures(records)}
</section>
<section>
<h2>Warnings</h2>
{sections.warnings(records)}
</section>
<section>
<h2>How it was measured</h2>
{sections.method(records)}
</section>
<section>
<h2>Environment</h2>
{sections.environments(records)}
</section>
</main>"""
    return document(title, body, charts.specs)


def drawn(records: Sequence[Record], key: str = "", level: int = 2) -> Drawn:
    """The charts of records, with their legend and what they lack.

    Args:
        records: what to draw.
        key: sets them apart from other charts of the page.
        level: of their titles among the page's headings.

    Raises:
        UsageError: there are no records.
    """
    shown = panels(records)
    whole = next(panel for panel in shown if panel.whole)
    places = "\n".join(
        figure(f"{key}{panel.key}", panel.title, panel.note, level) for panel in shown
    )
    html = f"""<section class="card" aria-label="Charts">
<div class="charts" data-whole="chart-{key}{whole.key}" data-points="{points_name(whole.key)}">
{places}
</div>
<div class="legend">
{_legend(records)}
</div>
<div class="note">
{sections.left_out(records)}
</div>
</section>"""
    return Drawn(html, tuple(_spec(key, panel) for panel in shown))


def figures(records: Sequence[Record]) -> str:
    """The table of all figures, in a box that it can be moved in."""
    said = "Click a heading to sort. Rest on a figure to see where it comes from."
    return f"""<p class="note">{said}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Table of all figures">
{table(records)}
</div>"""


def _spec(key: str, panel: Panel) -> str:
    return spec(f"{key}{panel.key}", panel.chart)


def _legend(records: Sequence[Record]) -> str:
    """One legend for all charts: colours of families, shapes of engines."""
    found = points(records)
    colours = palette.colours([point.family for point in found])
    shapes = palette.shapes([point.series for point in found])
    return legend(
        [
            ("family", [(name, "circle", colour) for name, colour in colours.items()]),
            ("engine", [(name, shape, "") for name, shape in shapes.items()]),
        ]
    )
