"""Pages of studies: what they say, that it is text, and that everything linked is there."""

import dataclasses
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flyweight.errors import FlyweightError, UsageError
from flyweight.records import Record
from flyweight.report.studies import write_results_html, write_versus_html
from flyweight.report.studies.page import Bench, results_page
from flyweight.report.studies.versus import COMPARED, Side, sides, versus
from flyweight.report.studies.versus_page import versus_page
from flyweight.studies import Chart, Column, StudyResult, Table, Verdict, results_of
from flyweight.studies.results import SeriesResult, Setting
from tests.report.conftest import record, study_run

NASTY = '</script><script>alert(1)</script><img src=x onerror=alert(1)> & "mine"'
G1 = (1.0, 1.1, 1.2, 1.5)
G4 = (1.2, 1.1, 1.1, 1.0)


class Reader(HTMLParser):
    """Tags with their attributes, cells of all tables row by row, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self._open):
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for _, attributes in self.tags if (value := attributes.get(name))]


def results(*more: list[Record]) -> list[StudyResult]:
    runs = [*more, study_run("g1", "ARM x1", G1), study_run("g4", "CPU c=32", G4),
            study_run("g1", "ARM x1", G1[::-1], "eager")]  # fmt: skip
    return results_of([one for run in runs for one in run])


@pytest.fixture(scope="module")
def read() -> Reader:
    return Reader(results_page(results(), [Bench("table8.jsonl", (record(2.0), record(3.0)))]))


def test_needs_nothing_from_elsewhere(read: Reader) -> None:
    linked = [value for name in ("src", "srcset", "action", "data") for value in read.values(name)]
    assert linked == []
    assert all(link.startswith("#") for link in read.values("href"))
    policy = next(a["content"] for _, a in read.tags if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")


def test_everything_linked_is_there_and_once(read: Reader) -> None:
    names = read.values("id")
    assert len(set(names)) == len(names)
    links = {link.removeprefix("#") for link in read.values("href")}
    assert links <= set(names)
    assert {
        "verdicts",
        "study-g1",
        "study-g4",
        "records-0",
        "warnings",
        "method",
        "environment",
    } <= (links)


def test_every_chart_has_its_place(read: Reader) -> None:
    charts = read.values("data-chart")
    assert len(charts) == 2 + 1  # a panel for each series, and one of times
    assert set(charts) <= set(read.values("id"))


def test_all_verdicts_are_at_the_top(read: Reader) -> None:
    """G1's first row is the fastest natively, and the slowest in the made-up times of eager."""
    overview = next(rows for rows in [read.rows[:3]])
    assert overview[0] == ["claim", "native", "eager"]
    names, native, eager = overview[1]
    assert names.startswith("g1")
    assert "equal channel widths are the fastest" in names
    assert native.split() == ["✓", "holds:", "ARM", "x1"]
    assert eager.split() == ["✗", "does", "not", "hold:", "ARM", "x1"]
    assert overview[2][1].split() == ["✓", "holds:", "CPU", "c=32"]
    assert overview[2][2] == "–"
    assert "Of 3 tested claims 2 hold here, 1 don't, and 0 are not decided." in read.text


def test_columns_stand_under_where_they_come_from(read: Reader) -> None:
    at = next(i for i, row in enumerate(read.rows) if "measured, native" in row)
    assert read.rows[at] == ["", "paper", "computed", "measured, native", "measured, eager"]
    assert read.rows[at + 1] == [
        "", "speed images/s", "to first", "M madds", "over first", "M accessed", "/ bound",
        "here images/s", "to first", "here images/s", "to first",
    ]  # fmt: skip
    first, *_, last = read.rows[at + 2 : at + 6]
    assert first[:4] == ["1:1", "76.2", "1.00", "64.23"]
    assert last[:3] == ["1:12", "57.6", "0.76"]
    assert last[8].startswith("0.67 (0.6")  # 1.0 / 1.5
    assert last[10].startswith("1.50 (1.")
    assert "printed in the paper" in read.text


def test_how_where_and_what_is_doubtful() -> None:
    one = study_run("g1", "ARM x1", G1)
    doubtful = [
        dataclasses.replace(each, warnings=("The machine was busy.",), complete=False)
        for each in one
    ]
    text = Reader(results_page(results_of(doubtful))).text
    assert "g1 ARM x1, native: Interrupted before its time was up. The machine was busy." in text
    assert "Imaginary CPU @ 2.60GHz (2 cores, avx512)" in text
    assert "timed in rounds" in text
    assert "onnxruntime 1.31.1, torch 2.13.0" in text


def test_one_study_is_a_page_without_contents() -> None:
    read = Reader(results_page(results_of(study_run("g4", "CPU c=32", G4))))
    assert "nav" not in [tag for tag, _ in read.tags]
    assert "ShuffleNet V2, Table 4" in read.text
    assert "Our reading: the unit's middle has 1/4 of its channels" in read.text


def test_what_comes_from_studies_and_records_is_text(make_record: Callable[..., Record]) -> None:
    columns = (Column("", "label"), Column(NASTY, "published", NASTY), Column("x", "measured"),
               Column("note", "note"))  # fmt: skip
    table = Table(NASTY, columns, ((NASTY, 1.0, 2.0, NASTY),))
    verdict = Verdict("holds", NASTY, 1, 1, 1, NASTY)
    chart = Chart("scatter", NASTY, NASTY, NASTY, "x", "note")
    nasty = StudyResult(
        NASTY, NASTY, NASTY, NASTY, NASTY, Setting(NASTY),
        (SeriesResult(NASTY, table, (verdict,), (NASTY,)),), (table,), (chart,), None,
        (make_record(1.0, runner=NASTY, cpu=NASTY, engine=NASTY),),
    )  # fmt: skip
    bench = Bench(NASTY, (make_record(1.0, runner=NASTY),))
    for page in (
        results_page([nasty], [bench]),
        versus_page(Side(NASTY, (nasty,)), Side("other", (nasty,))),
    ):
        read = Reader(page)
        assert NASTY in read.text
        assert "img" not in [tag for tag, _ in read.tags]
        scripts = [a for tag, a in read.tags if tag == "script" and "type" not in a]
        assert len(scripts) == 4


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    found = results()
    with pytest.raises(FlyweightError, match="can't write"):
        write_results_html(found, tmp_path / "missing" / "page.html")
    side = Side("a", tuple(found))
    with pytest.raises(FlyweightError, match="can't write"):
        write_versus_html(side, side, tmp_path / "missing" / "page.html")
    write_versus_html(side, side, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def two() -> tuple[Side, Side]:
    """Two machines: G1 on both, ten times as fast on one; the rest on one alone."""
    mine = results(study_run("g1", "ARM x2", G1))
    theirs = results_of(
        [
            *study_run("g1", "ARM x1", [ms / 10 for ms in (1.0, 1.0, 1.0, 1.0)], cpu="Fast CPU"),
            *study_run("g4", "CPU c=64", G4, cpu="Fast CPU"),
            *study_run("g1", "ARM x1", G1, batch=8, cpu="Fast CPU"),
        ]
    )
    return sides(["slow", "fast"], [mine, theirs])


def test_side_by_side() -> None:
    found = versus(*two())
    ((shown,), left_out) = found.studies, found.left_out
    ((view,), about) = shown.views, shown.about
    assert about.study == "g1"
    assert view.heading == "engine native, batch 1, threads 1, float32"
    assert view.series == ("ARM x1",)
    slow, fast = (table for _, table in view.tables("ARM x1"))
    speeds = [table.column("here")[0] for table in (slow, fast)]
    assert speeds == pytest.approx([1000, 10000], rel=0.05)
    # Each over its own first row.
    assert slow.column("to first")[0] == fast.column("to first")[0] == 1
    assert left_out == (
        "Only slow has g1 (ARM x2) and g4 with engine native, batch 1, threads 1, float32; g1 with"
        " engine eager, batch 1, threads 1, float32.",
        "Only fast has g1 with engine native, batch 8, threads 1, float32; g4 with engine native,"
        " batch 1, threads 1, float32.",
    )


def test_the_page_of_two_machines() -> None:
    read = Reader(versus_page(*two()))
    assert COMPARED in read.text
    assert "slow: Imaginary CPU @ 2.60GHz (2 cores, avx512)" in read.text
    assert "fast: Fast CPU (2 cores, avx512)" in read.text
    assert ["", "paper", "computed", "measured, slow", "measured, fast"] in read.rows
    verdicts = next(row for row in read.rows if row[0] == "ARM x1")
    assert "✓ holds" in verdicts[1]
    assert "✗ does not hold" in verdicts[2]
    assert "Only slow has g1 (ARM x2)" in read.text


def test_sides_that_cannot_be_compared() -> None:
    g1, g4 = (results_of(study_run(*one)) for one in (("g1", "ARM x1", G1), ("g4", "CPU c=32", G4)))
    with pytest.raises(FlyweightError, match="a and b have no study in common"):
        versus(*sides(["a", "b"], [g1, g4]))
    with pytest.raises(FlyweightError, match="b holds no study's records"):
        sides(["a", "b"], [g1, []])
    other = results_of(study_run("g1", "ARM x1", G1, cpu="Other CPU"))
    with pytest.raises(UsageError, match="name the folder of one machine"):
        sides(["a", "b"], [g1, [*g1, *other]])
