"""What records show, for people: a page, a picture, two sentences. Drawn from records alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.records import Record
from flyweight.report.findings import summary

if TYPE_CHECKING:
    import altair

__all__ = ["chart", "summary", "write_html", "write_png"]

# Altair takes longer to import than a summary takes to write, so it waits for the first chart.


def chart(records: Sequence[Record]) -> altair.VConcatChart:
    """The picture of the records: time per image against published error and against FLOPs.

    Raises:
        UsageError: there are no records.
    """
    from flyweight.report.charts import picture

    return picture(records)


def write_html(records: Sequence[Record], path: Path) -> None:
    """Write one page that needs nothing else, neither beside it nor from the network.

    Raises:
        UsageError: there are no records.
        FlyweightError: the file can't be written; what was there before is kept.
    """
    from flyweight.report.page import page
    from flyweight.report.saving import write_page

    text = page(records)
    write_page(text, path)


def write_png(records: Sequence[Record], path: Path) -> None:
    """Write the picture of `chart` as PNG, two pixels to a point.

    Raises:
        UsageError: there are no records.
        FlyweightError: the file can't be written; what was there before is kept.
    """
    from flyweight.report.saving import write_chart

    drawn = chart(records)
    write_chart(drawn, path)
