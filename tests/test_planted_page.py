"""What docs/advise.md says of planted waste and of noise, from made-up rows."""

from types import ModuleType
from typing import Any

import pytest

from tests.docs_pages import docs_module


@pytest.fixture(scope="module")
def planted() -> ModuleType:
    return docs_module("planted")


def row(key: str, engine: str = "onnxruntime", **more: Any) -> dict[str, Any]:
    """A network on which the planted waste is confirmed first."""
    plain = {
        "planted": key, "engine": engine, "found": [[key, 0.5]], "confirmed": [key], "first": True,
        "advice": key, "predicted": 0.8, "measured": 0.7, "clean": False, "mixed": False,
    }  # fmt: skip
    return {**plain, **more}


def test_planted_waste(planted: ModuleType) -> None:
    nothing = {"confirmed": [], "first": False, "advice": None, "predicted": None, "measured": None}
    rows = [
        row("groups"),
        row("unequal widths", **nothing),
        row("unequal widths", "eager", predicted=0.95),  # gains of 0.05 and of 0.3
        row("both", found=[["a", 0.4], ["b", 0.1]], mixed=True, confirmed=["a", "b"], first=False),
        row("plain", found=[], clean=True, **nothing),
    ]
    assert planted.said_of(rows) == (
        "Of 2 wastes 2 are found, and 2 are confirmed as what saves most on an engine where they"
        " cost. Not confirmed: unequal widths on onnxruntime. The gain that the block alone"
        " predicts is within a factor of two of the whole network's for 2 of 3. Of 1 clean networks"
        " 0 get a confirmed finding."
    )
    lines = planted.table_of(rows).splitlines()
    assert len(lines) == 2 + 4
    assert "| groups | onnxruntime | 50% | first | groups | 0.80 | 0.70 |" in lines
    assert "| unequal widths | onnxruntime | 50% | no |  |  |  |" in lines
    assert "| both | onnxruntime | a 40%, b 10% | a, b | both | 0.80 | 0.70 |" in lines


def test_noise(planted: ModuleType) -> None:
    rows = [
        {"planted": "groups", "verdicts": {"groups": "kept", "lower": "withdrawn"}}
        for _ in range(8)
    ]
    rows += [
        {"planted": "groups", "verdicts": {"groups": "withdrawn", "lower": "withdrawn"}},
        {"planted": "groups", "verdicts": {"groups": "withdrawn", "lower": "not tried"}},
    ]
    text = planted.noise_of(rows)
    assert text.startswith("1 of 2 pieces of advice get the same verdict in nine of ten runs")
    assert "| groups | groups | 10 | 8 kept, 2 withdrawn |" in text
    assert "| groups | lower | 10 | 9 withdrawn, 1 not tried |" in text
    assert planted.noise_of([]) == "Nothing is recorded yet."


def test_the_record_of_noise(planted: ModuleType) -> None:
    """Every piece of advice gets the same verdict in nine of ten runs beside a busy process."""
    text = planted.noise()
    same, _, whole = text.partition(" pieces of advice")[0].partition(" of ")
    assert same == whole
