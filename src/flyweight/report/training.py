"""What a training run shows: the curves of its history, and a card for its network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from flyweight.report.look import config
from flyweight.report.saving import write_chart

WIDTH, HEIGHT = 420, 240
"""Of a panel, in points."""
TRAINED, CHECKED = "#1f5fa8", "#c2410c"
MARKED = 40
"""Epochs up to which each has a mark of its own."""


def curves(rows: Sequence[Mapping[str, float]], title: str) -> alt.HConcatChart:
    """Loss and accuracy over the epochs.

    Args:
        rows: of the run's history, one or more.
        title: above both panels.
    """
    epochs = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"))
    loss = _panel(
        [{"epoch": row["epoch"], "value": row["train_loss"], "of": "training"} for row in rows],
        epochs, "loss", None, len(rows),
    )  # fmt: skip
    accuracy = _panel(
        [
            {"epoch": row["epoch"], "value": 100 * row[key], "of": said}
            for row in rows
            for key, said in (("train_top1", "training"), ("val_top1", "validation"))
        ],
        epochs, "top-1 accuracy (%)", [0, 100], len(rows),
    )  # fmt: skip
    both = alt.hconcat(loss, accuracy, title=title, spacing=30)
    drawn: alt.HConcatChart = both.configure(**config())
    return drawn


def _panel(
    points: list[dict[str, Any]], x: alt.X, title: str, ends: list[float] | None, count: int
) -> alt.Chart:
    scale = alt.Scale(domain=ends) if ends else alt.Scale(zero=False)
    base = alt.Chart(alt.InlineData(values=points), width=WIDTH, height=HEIGHT)
    drawn: alt.Chart = base.mark_line(point=count <= MARKED, strokeWidth=2).encode(
        x=x,
        y=alt.Y("value:Q", title=title, scale=scale),
        color=alt.Color(
            "of:N",
            title=None,
            scale=alt.Scale(domain=["training", "validation"], range=[TRAINED, CHECKED]),
        ),
    )
    return drawn


def write_curves(rows: Sequence[Mapping[str, float]], title: str, path: Path) -> None:
    """Write the curves as PNG, two pixels to a point.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    write_chart(curves(rows, title), path)


def card(
    title: str, sections: Mapping[str, Mapping[str, str] | str], picture: str | None = None
) -> str:
    """A model card: a page of Markdown with a table, or text, for each section.

    Args:
        title: the network.
        sections: text, or names and values, by their headings.
        picture: a file beside the card, shown after the last section.
    """
    lines = [f"# {title}", ""]
    for heading, content in sections.items():
        lines += [f"## {heading}", ""]
        if isinstance(content, str):
            lines += [content, ""]
            continue
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in content.items()]
        lines.append("")
    if picture is not None:
        lines += [f"![The curves of the training]({picture})", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that stays within its cell."""
    return " ".join(text.replace("|", "\\|").split())
