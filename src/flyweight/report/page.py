"""The page: one file with its charts, its scripts and its style in it."""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template

import altair as alt
import vl_convert

from flyweight.records import Record
from flyweight.report import palette, sections
from flyweight.report.charts import Panel, panels
from flyweight.report.findings import summary
from flyweight.report.look import config, points_name
from flyweight.report.points import points
from flyweight.report.table import table
from flyweight.report.text import counted


def page(records: Sequence[Record]) -> str:
    """The whole page.

    Raises:
        UsageError: there are no records.
    """
    drawn = panels(records)
    whole = next(panel for panel in drawn if panel.whole)
    scripts = [
        _asset("errors.js"),
        _vega(),
        _asset("charts.js"),
        _asset("sort.js"),
    ]
    first, *rest = (_safe_script(script) for script in scripts)
    return Template(_asset("page.html")).substitute(
        policy=escape(_policy([first, *rest])),
        title=escape(f"Flyweight: {counted(len(records), 'runner')} timed"),
        style=_asset("style.css"),
        first_script=first,
        scripts="\n".join(f"<script>{script}</script>" for script in rest),
        summary=escape(summary(records)),
        whole=f"chart-{whole.key}",
        points=points_name(whole.key),
        panels="\n".join(_figure(panel) for panel in drawn),
        specs="\n".join(_spec(panel) for panel in drawn),
        legend=_legend(records),
        left_out=sections.left_out(records),
        table=table(records),
        warnings=sections.warnings(records),
        method=sections.method(records),
        environments=sections.environments(records),
    )


@functools.cache  # it takes a second to put together
def _vega() -> str:
    """Vega, Vega-Lite and the function that draws a chart on the page, as one script."""
    version = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)
    return script


def _asset(name: str) -> str:
    return resources.files("flyweight.report").joinpath(name).read_text(encoding="utf-8")


def _safe_script(code: str) -> str:
    """Code that can't end or comment out its element; the strings that held these stay equal."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Sequence[str]) -> str:
    """A policy under which the page loads nothing, and runs no scripts but its own.

    What a record smuggles past the escaping would not run either.
    """
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"


def _figure(panel: Panel) -> str:
    return (
        f'<figure id="figure-{panel.key}"><figcaption><h2>{escape(panel.title)}</h2>'
        f"<p>{escape(panel.note)}</p>"
        f'</figcaption><div class="chart" id="chart-{panel.key}" role="img"'
        f' aria-label="{escape(panel.title)}"></div></figure>'
    )


def _spec(panel: Panel) -> str:
    spec = {
        **panel.chart.to_dict(),
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    # JSON stays the same with every < written as an escape, and nothing can end the element.
    text = json.dumps(spec).replace("<", "\\u003c")
    return f'<script type="application/json" data-chart="chart-{panel.key}">{text}</script>'


def _legend(records: Sequence[Record]) -> str:
    """One legend for all charts: colours of families, shapes of engines."""
    drawn = points(records)
    colours = palette.colours([point.family for point in drawn])
    shapes = palette.shapes([point.series for point in drawn])
    families = [_entry(name, palette.SHAPES["circle"], colour) for name, colour in colours.items()]
    engines = [_entry(name, palette.SHAPES[shape], "") for name, shape in shapes.items()]
    return (
        f"<ul><li>family</li>{''.join(families)}</ul>\n<ul><li>engine</li>{''.join(engines)}</ul>"
    )


def _entry(name: str, shape: str, colour: str) -> str:
    fill = f' fill="{colour}"' if colour else ""
    return (
        f'<li><svg viewBox="-1.2 -1.2 2.4 2.4" aria-hidden="true"><path d="{shape}"{fill}/></svg>'
        f"{escape(name)}</li>"
    )
