"""A study's speeds, the paper's beside those measured here."""

from collections.abc import Sequence
from pathlib import Path

from flyweight.files import replaced

Bar = tuple[str, str, float, float, float, float]
"""Columns of the table, case, the paper's speed over the first case's, ours, and its interval."""


def write_study_png(bars: Sequence[Bar], title: str, subtitle: Sequence[str], path: Path) -> None:
    """Draw every case's speed over the first case's, as PNG: the paper's, and ours.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    import altair as alt

    from flyweight.report.look import GREY, INK, config

    rows = []
    for columns, case, paper, here, low, high in bars:
        rows.append({"columns": columns, "case": case, "of": "paper", "speed": paper})
        rows.append({"columns": columns, "case": case, "of": "here", "speed": here,
                     "low": low, "high": high})  # fmt: skip
    cases = list(dict.fromkeys(case for _, case, *_ in bars))
    colour = alt.Color(
        "of:N", title=None, scale=alt.Scale(domain=["paper", "here"], range=[GREY, "#2f6fb0"])
    )
    panels = []
    for name in dict.fromkeys(columns for columns, *_ in bars):
        mine = [row for row in rows if row["columns"] == name]
        base = alt.Chart(alt.InlineData(values=mine))
        x = alt.X("case:N", sort=cases, title=None, axis=alt.Axis(labelAngle=-30, labelColor=INK))
        offset = alt.XOffset("of:N", sort=["paper", "here"])
        drawn = base.mark_bar().encode(
            x=x, xOffset=offset, color=colour,
            y=alt.Y("speed:Q", title="speed / first case's", scale=alt.Scale(zero=True)),
        )  # fmt: skip
        spread = (
            base.transform_filter("datum.of == 'here'")
            .mark_rule(color=INK, strokeWidth=1.5)
            .encode(x=x, xOffset=offset, y="low:Q", y2="high:Q")
        )
        panels.append(alt.layer(drawn, spread).properties(title=name, width=230, height=230))
    heading = alt.TitleParams(
        title, subtitle=[*subtitle, "lines: 95% intervals"], fontSize=16, offset=16
    )
    chart = alt.vconcat(
        alt.hconcat(*panels, spacing=24).resolve_scale(y="shared"), title=heading, padding=20,
        config=config(),
    )  # fmt: skip
    with replaced(path) as temporary:
        chart.save(str(temporary), format="png", scale_factor=2)
