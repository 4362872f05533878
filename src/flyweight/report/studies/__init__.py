"""Studies drawn: a picture, a page, a page of a whole folder, two machines side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.report.saving import write_page

if TYPE_CHECKING:
    from flyweight.report.studies.page import Bench
    from flyweight.report.studies.versus import Side
    from flyweight.studies import StudyResult

__all__ = ["write_results_html", "write_study_png", "write_versus_html"]

# Altair takes a while to import, so it waits for the first chart.


def write_study_png(result: StudyResult, path: Path) -> None:
    """Draw a study's result as PNG: speeds over the first row's, the paper's and ours.

    Raises:
        FlyweightError: it has nothing to draw, or the file can't be written; what was there before
            is kept.
    """
    from flyweight.report.studies.charts import write_study_png as write

    write(result, path)


def write_results_html(
    results: Sequence[StudyResult], path: Path, benches: Sequence[Bench] = (), remark: str = ""
) -> None:
    """Write one page of studies that needs nothing else, neither beside it nor from the network.

    Args:
        results: of one study or several, in one setting or several.
        path: of the page.
        benches: other measurements, which get a section each.
        remark: what is said beside the verdicts, e.g. what is missing.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    from flyweight.report.studies.page import results_page

    write_page(results_page(results, benches, remark), path)


def write_versus_html(a: Side, b: Side, path: Path) -> None:
    """Write the same of two machines side by side.

    Raises:
        FlyweightError: they have no study in common, or the file can't be written.
    """
    from flyweight.report.studies.versus_page import versus_page

    write_page(versus_page(a, b), path)
