"""Pages of studies in a real browser, as wide as a desk's and as narrow as a phone's."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flyweight.report.studies import write_results_html
from flyweight.report.studies.page import Bench
from flyweight.studies import Chart, Column, StudyResult, Table, results_of
from tests.report.conftest import record, study_run
from tests.report.test_browser import NASTY, browse, pytestmark, root, spoilt

__all__ = ["browse", "pytestmark"]  # used by their names

PHONE, DESK = 360, 1280

# What sticks out to the right of the window, but for what can be moved in its own box.
OVERFLOW = """
addEventListener("load", async () => {
  while (!document.documentElement.dataset.charts) await new Promise((r) => setTimeout(r, 50));
  const inside = document.documentElement.clientWidth; // without the bar on the right
  const wide = [...document.querySelectorAll("body *")].filter(
    (one) => !one.closest(".scroll, .spoken, svg svg, svg g") || one.matches(".scroll"),
  ).filter((one) => one.getBoundingClientRect().right > inside + 0.5);
  const boxes = [...document.querySelectorAll(".scroll")];
  const links = [...document.querySelectorAll('a[href^="#"]')];
  const told = {
    charts: document.documentElement.dataset.charts,
    error: document.documentElement.dataset.error ?? "none",
    width: innerWidth,
    over: document.documentElement.scrollWidth - inside,
    wide: wide.map((one) => one.tagName + "." + one.getAttribute("class")).join(),
    moved: boxes.filter((box) => box.scrollWidth > box.clientWidth).length,
    dead: links.filter((link) => !document.getElementById(link.hash.slice(1))).length,
    links: links.length,
  };
  parent.postMessage(told, "*");
});
"""

FRAME = """<!doctype html><html><body><iframe src="{page}" style="width:{width}px;height:900px;
border:0"></iframe><script>
addEventListener("message", ({{ data }}) => Object.assign(document.documentElement.dataset, data));
</script></body></html>"""


def hostile() -> StudyResult:
    """A study whose every word wants to be more than a word; with a scatter and a matrix."""
    columns = (Column("", "label"), Column("x", "computed"), Column("y", "computed"))
    table = Table(NASTY, columns, ((NASTY, 1.0, 2.0), ("a name as long as a network's", 2.0, 3.0)))
    charts = (
        Chart("scatter", NASTY, NASTY, "x", "y", ""),
        Chart("heat", "m", NASTY, "x", "y", "x"),
    )
    return StudyResult("made", NASTY, NASTY, NASTY, NASTY, None, (), (table,), charts, None, ())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    times = (1.0, 1.1, 1.2, 1.5)
    records = [
        *study_run("g1", "ARM x1", times),
        *study_run("g1", "ARM x1", times, "onnxruntime"),
        *study_run("g4", "CPU c=32", times),
    ]
    found = tmp_path_factory.mktemp("studies") / "page.html"
    bench = Bench("bench.jsonl", (record(1.0, runner=NASTY), record(2.0, runner="b")))
    write_results_html([*results_of(records), hostile()], found, [bench])
    return found


def seen(page: Path, width: int, browse: Callable[[Path], tuple[str, list[str]]]) -> dict[str, str]:
    """What the page sees of itself in a frame of a width; nothing may be said on the console."""
    copy = page.with_name(f"spoilt{width}.html")
    copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    spoilt(copy, OVERFLOW)
    frame = page.with_name(f"frame{width}.html")
    frame.write_text(FRAME.format(width=width, page=copy.name))
    document, console = browse(frame)
    assert console == []
    return root(document)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_sticks_out(
    width: int, page: Path, browse: Callable[[Path], tuple[str, list[str]]]
) -> None:
    found = seen(page, width, browse)
    assert found["width"] == str(width)
    assert (found["over"], found["wide"]) == ("0", "")
    assert found["error"] == "none"
    assert found["charts"] == str(2 + 2 + 1)
    assert (found["dead"], int(found["links"]) > 10) == ("0", True)
    # Wide tables move in their boxes.
    assert int(found["moved"]) > 0


def test_under_its_own_policy(page: Path, browse: Callable[[Path], tuple[str, list[str]]]) -> None:
    """As people open it: every chart is drawn, nothing is loaded, and nothing of labels runs."""
    document, console = browse(page)
    assert console == []
    assert root(document) == {"charts": "5", "points": "2"}
    assert "<img" not in re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
