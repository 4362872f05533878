"""The page in a real browser: what it draws, and that nothing goes wrong."""

import re
import shutil
import subprocess

import pytest

from flyweight.report import write_html

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--window-size=1200,1600",
    "--virtual-time-budget=10000",
    "--enable-logging=stderr",
    "--v=0",
    "--dump-dom",
)
NASTY = "</script><img src=x onerror=alert(1)>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture
def browse(tmp_path):
    """The page's document after its scripts ran, and what the browser's console said."""

    def run(page):
        done = subprocess.run(
            [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout, console

    return run


def root(document):
    """The attributes of the document's root, where the page writes what it saw."""
    return dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", document).group()))


def spoilt(page, script):
    """The page without its policy and with one more script at its end."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    end = text.rindex("</body>")
    page.write_text(f"{text[:end]}<script>{script}</script>{text[end:]}", encoding="utf-8")


def test_draws_a_point_for_each_record(zoo, browse, tmp_path):
    page = tmp_path / "bench.html"
    write_html(zoo, page)
    document, console = browse(page)
    assert root(document) == {"points": str(len(zoo)), "charts": "2"}
    assert console == []
    assert document.count("<svg") > 2


def test_draws_records_of_unknown_flops_and_runs_nothing_of_theirs(
    zoo, make_record, browse, tmp_path
):
    page = tmp_path / "bench.html"
    records = [*zoo[:3], make_record(2.0, runner=NASTY, engine=NASTY)]
    write_html(records, page)
    document, console = browse(page)
    assert root(document) == {"points": "4", "charts": "3"}
    assert console == []
    assert "<img" not in re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)


def test_an_error_would_be_noticed(make_record, browse, tmp_path):
    page = tmp_path / "bench.html"
    write_html([make_record(2.0)], page)
    spoilt(page, "noSuchFunction()")
    document, console = browse(page)
    assert "noSuchFunction" in root(document)["error"]
    assert "Uncaught ReferenceError" in console[0]


def test_the_table_sorts_by_number_with_unknown_ones_last(
    make_record, make_facts, browse, tmp_path
):
    page = tmp_path / "bench.html"
    sizes = {"b": 9_000_000, "a": 41_000_000, "d": 149_000_000}
    records = [make_record(ms, make_facts(n, m)) for ms, (n, m) in enumerate(sizes.items(), 1)]
    write_html([*records, make_record(2.5, runner="c")], page)
    spoilt(
        page,
        """
        const heads = [...document.querySelectorAll("thead th")];
        const flops = heads.find((head) => head.textContent.startsWith("FLOPs"));
        const cells = () => [...document.querySelectorAll("tbody th")];
        const names = () => cells().map((cell) => cell.textContent).join("");
        const seen = [names()];
        for (const head of [flops, flops, heads[0]]) {
          head.querySelector("button").click();
          seen.push(names() + head.getAttribute("aria-sort"));
        }
        document.documentElement.dataset.seen = seen.join(" ");
        """,
    )
    document, console = browse(page)
    assert console == []
    assert root(document)["seen"] == "bacd badcascending dabcdescending abcdascending"
