"""The generated parts of docs/int8.md, from the committed int8.json and int8.jsonl."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flyweight.evaluating import Change
from flyweight.records import read_records

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = tuple(sorted(path.parent for path in (ROOT / "results").glob("*/int8.json")))
"""Of the machines that there are records of."""
BYTES = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Instruction sets with a dot product of bytes."""
SHOWN = 5


def entries(folder: Path) -> list[dict[str, Any]]:
    """One for each network."""
    found: list[dict[str, Any]] = json.loads((folder / "int8.json").read_text(encoding="utf-8"))
    return found


def machine(folder: Path) -> str:
    """The machine in a few words."""
    about = read_records(folder / "int8.jsonl")[0].environment
    sets = about.instruction_sets
    widest = "AVX-512" if "avx512f" in sets else "AVX2"
    product = next((one for one in BYTES if one in sets), None)
    last = (
        f"with a dot product of bytes ({product})" if product else "without a dot product of bytes"
    )
    return f"{about.cpu}, {widest}, {last}"


def by_machine(table: Callable[[list[dict[str, Any]]], str]) -> str:
    """A table of each machine that has one, under its name."""
    found = [(folder, table(entries(folder))) for folder in FOLDERS]
    return "\n\n".join(f"{machine(folder)}:\n\n{text}" for folder, text in found if text)


def change_of(entry: dict[str, Any]) -> Change:
    """What became of the first classes."""
    return Change(**{name: entry[name] for name in ("both", "lost", "won", "neither", "same")})


def points(change: Change) -> str:
    """The change of accuracy in percentage points, with its interval."""
    low, high = (100 * end for end in change.interval)
    return f"{100 * change.difference:+.1f} ({low:+.1f} to {high:+.1f})"


def rows(entry: dict[str, Any], name: str) -> list[str]:
    """A network's lines: before and after on each engine, one above the other."""
    native = {one["runner"].rpartition("/")[2]: one["median_s"] for one in entry["beside"]}
    lines = []
    for pair in entry["engines"]:
        change = change_of(pair["change"])
        ratio = pair["float32_over_int8"]
        for dtype in ("float32", "int8"):
            form, after = pair[dtype], dtype == "int8"
            top5 = "" if form["top5"] is None else form["top5"]["correct"]
            cells = [
                "" if after else name,
                pair["engine"],
                dtype,
                f"{form['top1']['correct']} of {change.n}",
                str(top5),
                f"{change.lost}, {change.won}" if after else "",
                points(change) if after else "",
                f"{form['bytes'] / 1e6:.2f}",
                f"{form['median_s'] * 1e3:.2f}",
                f"{ratio['value']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if after else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    for engine, median in native.items():
        cells = ["", engine, "float32", "", "", "", "", "", f"{median * 1e3:.2f}", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


HEAD = [
    "| network | engine | form | top-1 right | top-5 right | lost, won | top-1, points (95%) |"
    " file (MB) | median (ms) | float32 / int8 (95%) |",
    "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
]


def table() -> str:
    """Accuracy, size and time before and after."""
    return by_machine(
        lambda found: "\n".join(
            [*HEAD, *(line for one in found for line in rows(one, one["network"]))]
        )
    )


def kept() -> str:
    """The same where the worst layers were left in float32."""
    return by_machine(_kept)


def _kept(found: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for entry in found:
        if "kept" in entry:
            layers = len(json.loads(entry["kept"]["engines"][0]["about"]["keep"]))
            name = f"{entry['network']}, {layers} of {entry['layers']} layers kept"
            lines += rows(entry["kept"], name)
    return "\n".join([*HEAD, *lines]) if lines else ""


def spare_bits() -> str:
    """What each choice of the spare bit leaves right on ONNX Runtime."""
    return by_machine(_spare_bits)


def _spare_bits(entries: list[dict[str, Any]]) -> str:
    choices = list(entries[0]["spare_bit"])
    lines = [
        "| network | float32 | "
        + " | ".join(f"{one}: right | points (95%)" for one in choices)
        + " |",
        "| --- | ---: |" + " ---: | ---: |" * len(choices),
    ]
    for entry in entries:
        found = {name: change_of(entry["spare_bit"][name]) for name in choices}
        before = found[choices[0]].before
        cells = [entry["network"], f"{before.correct} of {before.n}"]
        for change in found.values():
            cells += [str(change.after.correct), points(change)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def layers() -> str:
    """The layers that suffer most, by network, on the first machine that it was measured on."""
    lines = ["| network | layer | weights | signal to noise (dB) |", "| --- | --- | --- | ---: |"]
    found: dict[str, dict[str, Any]] = {}
    for entry in (one for folder in FOLDERS for one in entries(folder)):
        found.setdefault(entry["network"], entry)
    for entry in found.values():
        for index, one in enumerate(entry["sensitive"][:SHOWN]):
            shape = " x ".join(map(str, one["layer"]["shape"]))
            cells = [
                entry["network"] if index == 0 else "",
                f"`{one['layer']['name']}`",
                shape,
                f"{one['signal_to_noise']:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def said() -> str:
    """The worst and the best in words, a paragraph for each machine."""
    return "\n\n".join(_said(folder) for folder in FOLDERS)


def _said(folder: Path) -> str:
    found = entries(folder)
    pairs = [
        (entry["network"], pair, change_of(pair["change"]))
        for entry in found
        for pair in entry["engines"]
    ]
    collapsed = [f"{name} on {pair['engine']}" for name, pair, _ in pairs if pair["collapsed"]]
    worst = min(pairs, key=lambda one: one[2].difference)
    ratios = sorted(pairs, key=lambda one: one[1]["float32_over_int8"]["value"])
    slowest, fastest = ratios[0], ratios[-1]
    faster = sum(one[1]["float32_over_int8"]["low"] > 1 for one in pairs)
    slower = sum(one[1]["float32_over_int8"]["high"] < 1 for one in pairs)
    lost = sum(change.differs and change.difference < 0 for _, _, change in pairs)
    beaten = [
        entry["network"]
        for entry in found
        if entry["beside"]
        and entry["beside"][0]["median_s"] < min(p["int8"]["median_s"] for p in entry["engines"])
    ]
    about = read_records(folder / "int8.jsonl")[0]
    fallen = f"collapsed: {', '.join(collapsed)}" if collapsed else "none collapsed"
    return (
        f"{machine(folder)}: of {len(pairs)} networks on engines, {lost} lose accuracy measurably"
        f" and {fallen}; the largest loss is {-100 * worst[2].difference:.1f} points ({worst[0]},"
        f" {worst[1]['engine']}). int8 is faster than the same engine's float32 for {faster} and"
        f" slower for {slower}: from {slowest[1]['float32_over_int8']['value']:.2f} times its speed"
        f" ({slowest[0]}, {slowest[1]['engine']}) to"
        f" {fastest[1]['float32_over_int8']['value']:.2f} ({fastest[0]}, {fastest[1]['engine']})."
        f" The native engine's float32 is faster than either int8 for {len(beaten)} of"
        f" {len(found)} networks{': ' if beaten else ''}{', '.join(beaten)}. One core"
        f" ({', '.join(about.environment.instruction_sets)}), batch 1,"
        f" {about.started[:10]}; {about.n} or so interleaved rounds each; medians, and"
        " ratios paired by round."
    )


def tools() -> str:
    """What the tools did."""
    lines = ["| engine | tool | weights | activations | calibration |", "| --- |" + " --- |" * 4]
    for pair in entries(FOLDERS[0])[0]["engines"]:
        about = pair["about"]
        cells = [
            pair["engine"], about["tool"], about["weights"], about["activations"],
            about["calibration"],
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
