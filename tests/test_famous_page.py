"""docs/famous.md, from made-up rows."""

import json
from types import ModuleType
from typing import Any

import pytest

from tests.docs_pages import docs_module

HALF = {"value": 0.5, "low": 0.48, "high": 0.52, "confidence": 0.95, "rounds": 20}


@pytest.fixture(scope="module")
def famous() -> ModuleType:
    return docs_module("famous")


def finding(key: str, guideline: str, share: float, kind: str = "architectural") -> dict[str, Any]:
    return {"key": key, "guideline": guideline, "share": share, "kind": kind,
            "evidence": f"evidence of {key}"}  # fmt: skip


def trial(about: str, guideline: str, verdict: str, kind: str, timed: bool) -> dict[str, Any]:
    return {
        "about": about, "advice": "do it", "guideline": guideline, "kind": kind, "saved_s": 1e-3,
        "verdict": verdict, "why": "a | reason", "ratio": HALF if timed else None, "alone": None,
        "flops": 1.01,
    }  # fmt: skip


def row(network: str, findings: list[dict[str, Any]], trials: list[dict[str, Any]]) -> Any:
    return {
        "network": network, "setting": {"engine": "onnxruntime", "threads": 1}, "budget_s": 150.0,
        "total_s": 12.34e-3, "findings": findings, "trials": trials, "exact": trials[0],
        "architectural": None, "unread": [], "summary": f"A summary of {network}.",
        "warnings": ["a doubt"], "started": "2026-01-02T03:04:05+00:00",
        "environment": {"cpu": "Imaginary CPU"},
    }  # fmt: skip


def test_the_page(famous: ModuleType) -> None:
    rows = [
        row(
            "shufflenet_v1_x1_0_g3",
            [finding("groups", "G2", 0.4), finding("stem", "", 0.1, "note")],
            [
                trial("", "", "kept", "exact", True),
                trial("groups", "G2", "kept", "architectural", True),
                trial("activations", "G4", "not tried", "architectural", False),
            ],
        ),
        row("resnet_18", [], [trial("", "", "withdrawn", "exact", True)]),
    ]
    text = famous.page_of(rows)
    assert "Imaginary CPU, onnxruntime unless another engine is named, 1 thread, batch 1" in text
    assert "float32, 2026-01-02; 150 s a" in text
    (against,) = [line for line in text.splitlines() if "against G1" in line]
    assert "| G1: not found; G2: 40% (groups) | G2 |" in against
    assert "| [resnet_18](#resnet_18) | 12.34 | none | 0.50 (0.48 to 0.52) (do it) |  |" in text
    assert "| [shufflenet_v1_x1_0_g3](#shufflenet_v1_x1_0_g3) | 12.34 | G2 |" in text
    assert "| groups | G2 | 40% | evidence of groups | architectural |" in text
    assert "| stem |  | 10% | evidence of stem | worth knowing |" in text
    assert "| groups: do it | 0.50 (0.48 to 0.52) |  | 1.01 | kept |" in text
    assert "| activations: do it |  |  |  | not tried: a / reason |" in text
    assert "A summary of resnet_18." in text


def test_another_engine_is_named(famous: ModuleType) -> None:
    named = row("resnet_18", [], [trial("", "", "withdrawn", "exact", True)])
    named["setting"] = {"engine": "eager", "threads": 1}
    text = famous.page_of([named])
    assert "\n## resnet_18 on eager\n" in text
    assert "[resnet_18 on eager](#resnet_18-on-eager)" in text


def test_nothing_recorded_is_said(famous: ModuleType) -> None:
    assert "Nothing is recorded yet" in famous.page_of([])


def test_the_record_says_of_the_papers_networks_what_the_paper_says(famous: ModuleType) -> None:
    """ShuffleNet V2, end of section 2, from this project's own measurements."""
    rows = json.loads(famous.RECORD.read_text(encoding="utf-8"))
    for network, (guidelines, _) in famous.PAPER.items():
        found = {
            one["guideline"] for row in rows if row["network"] == network for one in row["findings"]
        }
        assert set(guidelines) <= found, network
