"""What all pages share: one file with its charts, scripts and style in it, and nothing loaded."""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

import altair as alt
import vl_convert

from flyweight.report import palette
from flyweight.report.look import config

AROUND = 52
"""What a chart's axis takes above and below its panel, in points."""


def document(title: str, body: str, specs: Sequence[str]) -> str:
    """A whole page.

    Args:
        title: of the page, as text.
        body: as HTML.
        specs: the charts, from `spec`; empty for a page without.
    """
    scripts = [_asset("errors.js"), *([_vega(), _asset("charts.js")] if specs else []),
               _asset("sort.js")]  # fmt: skip
    first, *rest = (_safe_script(script) for script in scripts)
    return Template(_asset("page.html")).substitute(
        policy=escape(_policy([first, *rest])),
        title=escape(title),
        style=_asset("style.css"),
        first_script=first,
        body=body,
        specs="\n".join(specs),
        scripts="\n".join(f"<script>{script}</script>" for script in rest),
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


def figure(key: str, title: str, note: str = "", level: int = 2, height: float = 0) -> str:
    """The place of a chart.

    Args:
        key: of the chart, unique on the page.
        title: above it.
        note: below the title; "" for none.
        level: of the title among the page's headings.
        height: of the chart in points where it is known, so that nothing moves when it is drawn.
    """
    said = f"<p>{escape(note)}</p>" if note else ""
    room = f' style="min-height:{height + AROUND:.0f}px"' if height else ""
    return (
        f'<figure id="figure-{key}"><figcaption><h{level}>{escape(title)}</h{level}>{said}'
        f'</figcaption><div class="chart" id="chart-{key}" role="img"'
        f' aria-label="{escape(title)}"{room}></div></figure>'
    )


def spec(key: str, chart: Any) -> str:
    """A chart's data, for the script that draws it at its `figure`."""
    whole = {
        **chart.to_dict(),
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    # JSON stays the same with every < written as an escape, and nothing can end the element.
    text = json.dumps(whole).replace("<", "\\u003c")
    return f'<script type="application/json" data-chart="chart-{key}">{text}</script>'


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, which scrolls where it is too wide; each row's first cell names it."""
    columns = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{columns}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def sentences(texts: Sequence[str]) -> str:
    """A list of sentences, given without their full stops."""
    if not texts:
        return "<p>Nothing.</p>"
    return f"<ul>{''.join(f'<li>{escape(one)}.</li>' for one in texts)}</ul>"


def legend(lists: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]) -> str:
    """What colours and shapes mean.

    Args:
        lists: a name, and for each entry its own name, a key of `palette.SHAPES`, and a colour; ""
            for that of the text.
    """
    return "\n".join(
        f"<ul><li>{escape(name)}</li>{''.join(_entry(*entry) for entry in entries)}</ul>"
        for name, entries in lists
    )


def _entry(name: str, shape: str, colour: str) -> str:
    fill = f' fill="{colour}"' if colour else ""
    path = palette.SHAPES[shape]
    return (
        f'<li><svg viewBox="-1.2 -1.2 2.4 2.4" aria-hidden="true"><path d="{path}"{fill}/></svg>'
        f"{escape(name)}</li>"
    )
