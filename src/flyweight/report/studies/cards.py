"""A study's charts on the page: the places where scripts draw them, and what they draw."""

from html import escape

from flyweight.report.document import figure, legend, spec
from flyweight.report.studies import pictures, speeds
from flyweight.report.studies.charts import Drawing, Speeds, view_drawings, view_speeds
from flyweight.report.studies.places import View
from flyweight.report.studies.tables import anchor


def card(view: View, key: str) -> tuple[str, tuple[str, ...]]:
    """All charts of a view with their legends, as HTML, and what is drawn; empty for none.

    Args:
        view: whose.
        key: sets them apart from other charts of the page.
    """
    bars = view_speeds(view)
    parts, specs = ([], []) if bars is None else _bars(bars, key)
    drawings = [
        _drawing(one, f"{key}-{index}") for index, one in enumerate(view_drawings(view), start=1)
    ]
    if drawings:
        places = "\n".join(html for html, _ in drawings)
        parts.append(f'<div class="charts">\n{places}\n</div>')
        specs += [chart for _, chart in drawings]
    if not parts:
        return "", ()
    return '<div class="card">\n' + "\n".join(parts) + "\n</div>", tuple(specs)


def _bars(bars: Speeds, key: str) -> tuple[list[str], list[str]]:
    keys = {name: anchor(key, "bars", name) for name in bars.panels}
    places = "\n".join(
        figure(keys[name], name, level=4, height=speeds.height(own))
        for name, own in bars.panels.items()
    )
    entries = [(name, "square", colour) for name, colour in bars.scheme.items()]
    html = f"""<div class="charts three">
{places}
</div>
<div class="legend">
{legend([(speeds.SPEED, entries)])}
</div>
<p class="note">{escape(speeds.INTERVALS)}</p>"""
    specs = [
        spec(keys[name], speeds.panel(own, bars.end, bars.scheme, None))
        for name, own in bars.panels.items()
    ]
    return [html], specs


def _drawing(one: Drawing, key: str) -> tuple[str, str]:
    """A chart that a study asks for, with its legend below it."""
    html = figure(key, one.title, level=4, height=pictures.height(one.chart, one.rows))
    if one.chart.kind == "scatter":
        scheme = pictures.groups(one.rows)
        entries = [(name, "circle", colour) for name, colour in scheme.items()]
        html += f'\n<div class="legend">\n{legend([(one.chart.colour, entries)])}\n</div>'
    return f"<div>{html}</div>", spec(key, pictures.picture(one.chart, one.rows, None))
