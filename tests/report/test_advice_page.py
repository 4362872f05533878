"""The advisor's page: what it says, and that nothing breaks out of it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from flyweight.advising import Advice, Change, Finding, Setting, Trial
from flyweight.graph.blame import Place
from flyweight.records import Ratio
from flyweight.report.advice import advice_page, write_advice_html
from tests.report.conftest import record

HALF = Ratio(0.5, 0.48, 0.52, 0.95, 20)
SAME = Ratio(1.0, 0.99, 1.01, 0.95, 20)


def finding(key: str, kind: str, seconds: float) -> Finding:
    return Finding(
        key, "G2", ("conv2d",), (Place("blocks.0", "Conv2d", "net.py", 3),), seconds,
        seconds / 4e-3, "A reason.", "An evidence", "a remedy", kind,
    )  # fmt: skip


def trial(about: str, kind: str, verdict: str, ratio: Ratio | None) -> Trial:
    return Trial(
        f"advice on {about}", kind, about if kind == "architectural" else "", "G2", verdict,
        "a why", ratio, SAME, 4e-3, 2e-3, changes=(Change("blocks.0", "8 groups", "1 group"),),
        setting=Setting("onnxruntime", 1, True),
    )  # fmt: skip


@pytest.fixture
def advice() -> Advice:
    return Advice(
        "a <network>", Setting("onnxruntime", 1), (1, 3, 32, 32), 4e-3,
        (finding("groups", "architectural", 2e-3), finding("channel moves", "exact", 1e-3)),
        (trial("lowering", "exact", "kept", HALF), trial("groups", "architectural", "kept", HALF),
         trial("widths", "architectural", "withdrawn", SAME)),
        trial("lowering", "exact", "kept", HALF), None, ("some <b>thing</b>",), None, (),
    )  # fmt: skip


def test_the_page_says_what_was_found(advice: Advice, tmp_path: Path) -> None:
    path = tmp_path / "advice.html"
    write_advice_html(advice, path)
    text = path.read_text(encoding="utf-8")
    assert "a &lt;network&gt; on 1x3x32x32, onnxruntime, 1 thread" in text
    assert "takes 0.50 of its time" in text
    assert text.index("groups (G2)") < text.index("channel moves (G2)")
    assert "blocks.0 (Conv2d) at net.py:3" in text
    for word in ("kept", "withdrawn", "8 groups", "1 group", "4.00 ms"):
        assert word in text
    assert "some &lt;b&gt;thing&lt;/b&gt;" in text
    assert "<script" not in text


def test_bars_are_as_long_as_the_times(advice: Advice) -> None:
    bars = re.search(r'<div class="bar">.*', advice_page(advice))
    assert bars is not None
    widths = [float(width) for width in re.findall(r"width: ([\d.]+)%", bars[0])]
    assert widths == [70.0, 35.0, 35.0]  # as it is, exact advice, one change of the network


def test_a_network_that_is_fine(advice: Advice) -> None:
    fine = replace(advice, findings=(), exact=None, trials=(advice.trials[2],))
    text = advice_page(fine)
    assert "Nothing found that would help measurably." in text
    assert "advice on widths" in text


def test_what_was_not_tried_is_no_clean_bill(advice: Advice) -> None:
    late = trial("widths", "architectural", "not tried", None)
    none = replace(advice, exact=None, trials=(late,))
    assert none.summary() == "Nothing could be tried in the time that there was."
    some = replace(none, trials=(late, advice.trials[2]))
    assert some.summary().endswith("measurably. Not tried: 1 of 2 pieces of advice.")


def test_records_bring_their_machine(advice: Advice) -> None:
    text = advice_page(replace(advice, records=(record(),)))
    assert "Imaginary CPU @ 2.60GHz" in text


def test_what_is_confirmed_is_what_was_kept(advice: Advice) -> None:
    assert [one.key for one in advice.confirmed()] == ["groups", "channel moves"]
    assert [one.about for one in advice.withdrawn] == ["widths"]
    none_kept = replace(advice, trials=(advice.trials[2],))
    assert none_kept.confirmed() == []
