"""docs/results.md, from made-up records: what it says, and that it has its pictures."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs_pages import docs_module
from tests.report.conftest import study_run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def papers() -> ModuleType:
    return docs_module("papers")


def test_the_page(papers: ModuleType) -> None:
    records = [
        *study_run("g1", "ARM x1", (1.0, 1.1, 1.2, 1.5)),
        *study_run("g1", "ARM x1", (1.0, 0.9, 0.9, 0.9), "eager"),
        *study_run("g4", "CPU c=32", (1.2, 1.1, 1.1, 1.0)),
    ]
    text = papers.page_of(records, untimed=False)
    assert "Of 3 tested claims 2 hold here, 1 don't, and 0 are not decided." in text
    assert "| study | claim | native | eager |" in text
    assert re.search(r"\| \[g1\]\(#g1\) \| at equal FLOPs, .* \| ✓ ARM x1 \| ✗ ARM x1 \|", text)
    assert "**ShuffleNet V2, Table 1**: input to output channels of 1x1 convolutions." in text
    assert "* **ARM x1**, native: holds: the slowest case, 1:12, takes 1.5" in text
    (head,) = [line for line in text.splitlines() if line.startswith("| ARM x1 |")]
    assert head.split(" | ")[1:5] == [
        "paper: speed (images/s)", "paper: to first", "computed: M madds", "computed: over first",
    ]  # fmt: skip
    assert head.endswith("| eager: here (images/s) | eager: to first |")
    (row,) = [line for line in text.splitlines() if line.startswith("| 1:12 |")]
    assert row.startswith("| 1:12 | 57.6 | 0.76 | 60.96 | -5.1% |")
    assert "Imaginary CPU @ 2.60GHz (2 cores, avx512): Linux 6.1, Python 3.11.7; 2025-01-02" in text
    shown = re.findall(r"\(images/studies/(.+?)\)", text)
    assert shown == list(papers.pictures(records, untimed=False)) == ["g1.png", "g4.png"]


def test_nothing_committed_is_said(papers: ModuleType) -> None:
    assert "No study's records are committed yet" in papers.page_of([])


def test_views_apart_have_pictures_of_their_own(papers: ModuleType) -> None:
    times = (1.2, 1.1, 1.1, 1.0)
    records = [*study_run("g4", "CPU c=32", times), *study_run("g4", "CPU c=32", times, batch=8)]
    text = papers.page_of(records, untimed=False)
    assert "### batch 8, threads 1, float32" in text
    assert "| study | claim | native, batch 1 | native, batch 8 |" in text
    shown = re.findall(r"\(images/studies/(.+?)\)", text)
    assert shown == ["g4-batch-1-threads-1-float32.png", "g4-batch-8-threads-1-float32.png"]


def test_the_pictures_of_the_page_are_committed(papers: ModuleType) -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for name in re.findall(r"\((images/studies/.+?)\)", text):
        assert (ROOT / "docs" / name).is_file(), "run 'make docs'"
