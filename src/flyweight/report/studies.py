"""A study's speeds, the paper's beside those measured here."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyweight.files import replaced
from flyweight.records import Ratio

if TYPE_CHECKING:
    from flyweight.studies import StudyResult, Table


def write_study_png(result: "StudyResult", path: Path) -> None:
    """Draw every case's speed over the first case's, as PNG: the paper's, and ours.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    import altair as alt

    from flyweight.report.look import GREY, INK, config

    colour = alt.Color(
        "of:N", title=None, scale=alt.Scale(domain=["paper", "here"], range=[GREY, "#2f6fb0"])
    )
    panels = []
    for series in result.series:
        base = alt.Chart(alt.InlineData(values=_bars(series.table)))
        labels = [str(row[0]) for row in series.table.rows]
        x = alt.X("case:N", sort=labels, title=None, axis=alt.Axis(labelAngle=-30, labelColor=INK))
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
        one = alt.layer(drawn, spread).properties(title=series.name, width=230, height=230)
        panels.append(one)
    how = "not timed" if result.setting is None else result.setting.text
    subtitle = [f"{result.claim}?", how, "lines: 95% intervals"]
    heading = alt.TitleParams(result.source, subtitle=subtitle, fontSize=16, offset=16)
    chart = alt.vconcat(
        alt.hconcat(*panels, spacing=24).resolve_scale(y="shared"), title=heading, padding=20,
        config=config(),
    )  # fmt: skip
    with replaced(path) as temporary:
        chart.save(str(temporary), format="png", scale_factor=2)


def _bars(table: "Table") -> list[dict[str, Any]]:
    """Two bars a case: the paper's speed over the first case's, and ours with its interval."""
    bars: list[dict[str, Any]] = []
    for row in table.rows:
        for column, value in zip(table.columns, row, strict=True):
            if column.name != "to first" or value is None:
                continue
            bar = {"case": row[0], "of": "paper", "speed": value}
            if column.kind == "published":
                bars.append(bar)
            elif isinstance(value, Ratio):
                bars.append({**bar, "of": "here", "speed": value.value, "low": value.low,
                             "high": value.high})  # fmt: skip
    return bars
