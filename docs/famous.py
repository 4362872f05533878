"""docs/famous.md: what the advisor says about famous networks, from the committed record alone."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "amd-epyc-avx512-2-cores" / "advise_famous.json"

INTRO = """\
# What the advisor says about famous networks

`flyweight advise NETWORK` on each of them; `benchmarks/advise_famous.py` does all of it again and
goes on where it was interrupted. [docs/advise.md](advise.md) explains what is looked for, and when
advice is kept. Written by docs/generate.py from the record; no figure is typed.
"""
NOTHING = "\nNothing is recorded yet.\n"
Row = dict[str, Any]
ENGINE = "onnxruntime"
"""On which networks are advised on unless their title says another."""

PAPER = {
    "shufflenet_v1_x1_0_g3": (
        ("G1", "G2"), "bottleneck-like blocks (against G1) and group convolutions (against G2)",
    ),
    "mobilenet_v2_x1_0": (
        ("G1", "G4"),
        "the inverted bottleneck (against G1); depthwise convolutions and ReLUs on thick feature"
        " maps (against G4)",
    ),
    "nasnet_a_4_1056": (("G3",), "generated structures, which are highly fragmented (against G3)"),
}  # fmt: skip
"""What ShuffleNet V2's section 2 says, at its end."""


def page() -> str:
    """The whole page."""
    if not RECORD.exists():
        return INTRO + NOTHING
    return page_of(json.loads(RECORD.read_text(encoding="utf-8")))


def page_of(rows: Sequence[Row]) -> str:
    """The page that these rows give."""
    if not rows:
        return INTRO + NOTHING
    parts = [INTRO, _where(rows), "", *_against_paper(rows), *_overview(rows)]
    for row in rows:
        parts += _network(row)
    return "\n".join(parts) + "\n"


def _where(rows: Sequence[Row]) -> str:
    machines: dict[str, list[Row]] = {}
    for row in rows:
        machines.setdefault(_machine(row), []).append(row)
    where = "; ".join(
        name if len(machines) == 1 else f"{name} for {', '.join(_link(row) for row in own)}"
        for name, own in machines.items()
    )
    dates = sorted({row["started"][:10] for row in rows})
    seconds = sorted({row["budget_s"] for row in rows})
    doubts = sum(bool(row["warnings"]) for row in rows)
    said = f" Doubts about a measurement were noted for {doubts} of them." if doubts else ""
    return (
        f"{where}, {ENGINE} unless another engine is named, 1 thread, batch 1, float32,"
        f" {' and '.join(dates)}; {' and '.join(f'{s:g}' for s in seconds)} s a network.{said}"
    )


def _machine(row: Row) -> str:
    """The processor that a row is from, with its widest vectors."""
    about = row["environment"] or {}
    sets = about.get("instruction_sets", [])
    widest = next((one for one in ("avx512f", "avx2", "asimd") if one in sets), "")
    return f"{about.get('cpu')}{f' ({widest})' if widest else ''}"


def _against_paper(rows: Sequence[Row]) -> list[str]:
    lines = [
        "## What ShuffleNet V2 says of them, and what is found here",
        "",
        "*Found* is what holds at least 4% of the network's time here. *Held* is advice that was"
        " built, timed in place and kept.",
        "",
    ]
    cells = []
    for row in rows:
        if row["network"] not in PAPER:
            continue
        guidelines, words = PAPER[row["network"]]
        findings = sorted(row["findings"], key=lambda one: one["share"] or 0.0)
        found = {one["guideline"]: one for one in findings if one["guideline"]}
        here = [
            f"{name}: {_share(found[name])} ({found[name]['key']})" if name in found
            else f"{name}: not found"
            for name in guidelines
        ]  # fmt: skip
        held = sorted({one["guideline"] for one in _kept(row, "architectural")} & set(guidelines))
        cells.append([_link(row), words, "; ".join(here), ", ".join(held) or "none"])
    return [*lines, *_grid(["network", "the paper", "here", "held"], cells), ""] if cells else []


def _overview(rows: Sequence[Row]) -> list[str]:
    cells = []
    for row in rows:
        guidelines = sorted({one["guideline"] for one in row["findings"] if one["guideline"]})
        best = row["architectural"] or next(iter(_kept(row, "architectural")), None)
        cells.append([
            _link(row), "" if row["total_s"] is None else f"{row['total_s'] * 1e3:.2f}",
            ", ".join(guidelines) or "none", _said(row["exact"]), _said(best),
        ])  # fmt: skip
    head = ["network", "time (ms)", "guidelines found", "exact advice, all of it together",
            "architectural advice, the best or all that held"]  # fmt: skip
    lines = [
        "## All of them",
        "",
        "Ratios of the whole network's time with the advice to that without, with their 95%"
        " intervals. Architectural advice is another network, which has to be trained; at no less"
        " than 98% of the FLOPs.",
        "",
    ]
    return [*lines, *_grid(head, cells), ""]


def _network(row: Row) -> list[str]:
    lines = [f"## {_title(row)}", "", row["summary"], ""]
    lines += [f"Not read: {text}" for text in row["unread"]]
    findings = [
        [one["key"], one["guideline"], _share(one), f"{one['evidence']}", _kind(one)]
        for one in row["findings"]
    ]
    if findings:
        lines += _grid(["finding", "guideline", "time", "evidence", "advice"], findings)
        lines.append("")
    trials = [
        [
            f"{one['about']}: {one['advice']}" if one["about"] else one["advice"],
            _ratio(one["ratio"]), _ratio(one["alone"]),
            "" if one["kind"] == "exact" or not one["ratio"] else f"{one['flops']:.2f}",
            one["verdict"] if one["ratio"] else f"{one['verdict']}: {one['why']}",
        ]
        for one in row["trials"]
    ]  # fmt: skip
    head = ["tried", "whole network", "block alone", "FLOPs", "verdict"]
    return [*lines, *_grid(head, trials), ""] if trials else lines


def _kind(finding: Row) -> str:
    if finding["kind"] == "note":
        return "worth knowing"
    return str(finding["kind"])


def _kept(row: Row, kind: str) -> list[Row]:
    found = [one for one in row["trials"] if one["kind"] == kind and one["verdict"] == "kept"]
    return sorted(found, key=lambda one: -one["saved_s"])


def _share(finding: Row) -> str:
    return "" if finding["share"] is None else f"{finding['share']:.0%}"


def _said(trial: Row | None) -> str:
    if trial is None or not trial["ratio"]:
        return ""
    name = trial["about"] or trial["advice"]
    return f"{_ratio(trial['ratio'])} ({name})"


def _ratio(ratio: Row | None) -> str:
    if not ratio:
        return ""
    return f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def _title(row: Row) -> str:
    engine = row["setting"]["engine"]
    return str(row["network"]) if engine == ENGINE else f"{row['network']} on {engine}"


def _link(row: Row) -> str:
    title = _title(row)
    return f"[{title}](#{title.replace(' ', '-')})"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
    ]
