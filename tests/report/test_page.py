import dataclasses
import re
from html.parser import HTMLParser

import pytest

from flyweight.errors import FlyweightError, UsageError
from flyweight.report import summary, write_html, write_png
from flyweight.report.page import page

NASTY = '</script><script>alert(1)</script><img src=x onerror=alert(1)> & "mine".onnx'


class Reader(HTMLParser):
    """Tags with their attributes, and the text of the table's cells row by row."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.rows = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.lasttag not in ("script", "style"):
            self.text += data
        if self.lasttag in ("td", "th", "button") and self.rows and data.strip():
            self.rows[-1][-1] += data


def read(records):
    return Reader(page(records))


def cells(records):
    """The table as one dict a row."""
    head, *rows = read(records).rows
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def zoo_page(zoo):
    return page(zoo)


def test_needs_nothing_from_elsewhere(zoo_page):
    reader = Reader(zoo_page)
    linked = [
        value
        for _, attributes in reader.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data")
    ]
    assert linked == []
    assert not re.search(r"@import|url\(", zoo_page[: zoo_page.index("</style>")])
    policy = next(a["content"] for _, a in reader.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")


def test_says_what_the_records_show(zoo, zoo_page):
    assert summary(zoo) in Reader(zoo_page).text


def test_names_networks_without_a_published_error(zoo, zoo_page):
    missing = {record.network.name for record in zoo if record.network.top1_error is None}
    line = re.search(r"No error is published.*", Reader(zoo_page).text).group()
    assert missing
    assert all(name in line for name in missing)


def test_says_what_is_drawn_where_flops_are_unknown(zoo, make_record):
    mine = make_record(3.0, runner="mine.onnx")
    assert "The FLOPs of mine.onnx are not known" in read([*zoo[:3], mine]).text
    assert "No FLOPs are known here" in read([mine]).text


def test_what_comes_from_records_is_text(make_record, make_facts):
    network = make_facts(NASTY, family=NASTY)
    record = make_record(2.0, network, runner=NASTY, warnings=(NASTY,), cpu=NASTY, engine=NASTY)
    plain = make_record(2.0, make_facts())
    reader = read([record, make_record(3.0, runner=NASTY)])
    assert NASTY in reader.text
    scripts = [tag for tag, _ in reader.tags].count("script")
    # One panel more than the plain record's page, and its data, is all that was added.
    assert scripts == [tag for tag, _ in read([plain]).tags].count("script") + 1
    assert "img" not in [tag for tag, _ in reader.tags]


def test_the_table_has_the_figures(make_record, make_facts):
    fast = make_record(1.6, make_facts("fast", 149_000_000))
    equal = make_record([1.605 + 0.3 * (-1) ** i for i in range(40)], make_facts("equal"))
    slow = make_record(4.0, make_facts("slow", 41_000_000, None), batch=2, threads=2)
    rows = {row["network"]: row for row in cells([slow, equal, fast])}
    assert rows["fast"] == {
        "network": "fast",
        "engine": "onnxruntime",
        "median (ms per call)": "1.60",
        "inter-quartile range": "0.8%",
        "n": "40",
        "images/s": "625",
        "time, the fastest = 1": "1 (fastest)",
        "FLOPs (M multiply-adds)": "149",
        "published top-1 error (%)": "30.6",
        "parameters (M)": "2.30",
        "memory access (M elements)": "5.00",
        "threads": "1",
        "batch": "1",
        "input": "224×224",
        "precision": "float32",
    }
    assert rows["equal"]["time, the fastest = 1"] == "no difference measured"
    assert rows["slow"]["time, the fastest = 1"] == "1.25 (1.25–1.25)"  # per image
    assert rows["slow"]["published top-1 error (%)"] == "–"


def test_the_table_compares_within_a_run_only(make_record, make_facts):
    records = [
        make_record(2.0, make_facts("a")),
        make_record(1.0, make_facts("b")),
        make_record(0.5, make_facts("c"), run="run-2"),
    ]
    compared = {row["network"]: row["time, the fastest = 1"] for row in cells(records)}
    assert compared["a"].startswith("2.00")
    assert compared["b"] == "1 (fastest)"
    assert compared["c"] == "1 (alone in its run)"


def test_where_an_error_was_published_is_a_tooltip(make_record, make_facts):
    titles = [a.get("title") for tag, a in read([make_record(1.0, make_facts())]).tags]
    assert "source: a paper, Table 8" in titles


def test_a_warning_that_all_share_is_said_once(make_record):
    records = [
        make_record(1.0, runner="one", warnings=("The machine was busy.", "The clock drifted.")),
        make_record(2.0, runner="two", warnings=("The machine was busy.",)),
    ]
    text = read(records).text
    assert text.count("The machine was busy.") == 1
    assert "one: The clock drifted." in text


def test_no_warnings_are_none(make_record):
    assert re.search(r"Warnings\s+None\.", read([make_record(1.0)]).text)


def test_an_interrupted_record_is_named(make_record):
    records = [make_record(1.0, runner="one"), make_record(1.0, runner="two", complete=False)]
    assert "two: Interrupted after 40 rounds" in read(records).text


def test_a_machine_is_shown_once_with_the_libraries_of_all_engines(make_record):
    records = [
        make_record(1.0, libraries={"torch": "2.13.0"}),
        make_record(1.0, libraries={"openvino": "2026.1"}, engine="openvino", threads=2),
    ]
    text = read(records).text
    assert text.count("Imaginary CPU") == 1
    assert "openvino 2026.1, torch 2.13.0" in text
    both = read([*records, make_record(1.0, runner="far", cpu="Other CPU")]).text
    assert "Imaginary CPU" in both
    assert "Other CPU" in both


def test_says_when_and_how_long_it_measured(make_record):
    text = read([make_record(1.0), make_record([2.0] * 30)]).text
    assert "started on 2025-01-02 03:04:05 UTC timed 2 runners: 30 to 40 rounds, 4 calls" in text


def test_a_start_of_unknown_form_stays_as_it_is(make_record):
    record = dataclasses.replace(make_record(1.0), started="this morning")
    assert "started on this morning" in read([record]).text


def test_files_are_written(zoo, tmp_path):
    write_png(zoo, tmp_path / "bench.png")
    data = (tmp_path / "bench.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 1600
    assert height > 800


@pytest.mark.parametrize("write", [write_html, write_png])
def test_a_path_that_cannot_be_written_is_an_error(write, make_record, tmp_path):
    with pytest.raises(FlyweightError, match="can't write"):
        write([make_record(1.0)], tmp_path / "missing" / "bench")
    with pytest.raises(UsageError, match="at least one record"):
        write([], tmp_path / "bench")
