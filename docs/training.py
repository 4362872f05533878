"""The generated parts of docs/train.md, from input_pipeline.jsonl and learning.json."""

import json
from pathlib import Path
from typing import Any

from flyweight.evaluating import wilson
from flyweight.records import paired_ratio, read_records

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "results" / "amd-epyc-avx512-2-cores"
WHOLE = "as it is"


def pipeline() -> str:
    """Images a second beside a plain loop's, and the memory over the epochs."""
    records = {record.runner: record for record in read_records(FOLDER / "input_pipeline.jsonl")}
    content = json.loads((FOLDER / "input_pipeline_memory.json").read_text(encoding="utf-8"))
    memory: dict[str, list[float]] = content["MB after each epoch"]
    sizes = [name.partition("/")[0] for name in records if name.endswith("/plain")]
    lines = [
        "| photographs | plain loop (images/s) | here (images/s) | ratio | memory by epoch (MB) |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for size in sizes:
        plain, ours = (records[f"{size}/{way}"] for way in ("plain", "flyweight"))
        ratio = paired_ratio(plain.samples_s, ours.samples_s)
        speeds = (f"{content['images'] / one.median_s:.0f}" for one in (plain, ours))
        grown = ", ".join(f"{value:.0f}" for value in memory[size])
        lines.append(
            f"| {size} | {' | '.join(speeds)} |"
            f" {ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f}) | {grown} |"
        )
    about = records[f"{sizes[0]}/plain"]
    environment = about.environment
    return "\n".join(
        [
            *lines,
            "",
            f"Both in one run, by turns, on {environment.cores} cores of {environment.cpu},"
            f" {about.n} rounds of the smaller ones, {about.started[:10]}: decode, crop, resize,"
            " flip and normalise for 224 pixels; a `DataLoader` of two processes with Pillow,"
            " image by image, and two threads here.",
        ]
    )


def rows() -> list[dict[str, Any]]:
    """One for each run."""
    found: list[dict[str, Any]] = json.loads((FOLDER / "learning.json").read_text("utf-8"))
    return found


def example() -> str:
    """What the example reached, in a sentence."""
    (row,) = [row for row in rows() if row["budget"] == "example"]
    low, high = wilson(row["right"], row["n"])
    beside = ", other programs beside it" if (row["load_average"] or 0) > 1 else ""
    return (
        f"On Fashion-MNIST (20,000 of its images, {row['epochs']} epochs) the example learned for"
        f" {row['seconds'] / 60:.1f} minutes on {row['cores']} cores of {row['cpu']}{beside};"
        f" it named {row['right'] / row['n']:.1%} ({low:.1%} to {high:.1%}) of the"
        f" {row['n']:,} images of the test right."
    )


def broken() -> str:
    """The accuracy of the network as it is, and with one thing broken."""
    runs = [row for row in rows() if row["budget"] != "example"]
    budgets = list(dict.fromkeys(row["budget"] for row in runs))
    lines = [
        f"| what is broken | {' | '.join(f'{name} (top-1, %)' for name in budgets)} |",
        "| --- |" + " ---: |" * len(budgets),
    ]
    for name in dict.fromkeys(row["broken"] for row in runs):
        cells = []
        for budget in budgets:
            found = [row for row in runs if (row["budget"], row["broken"]) == (budget, name)]
            cells.append(", ".join(f"{100 * row['right'] / row['n']:.1f}" for row in found))
        said = "nothing" if name == WHOLE else name
        lines.append(f"| {said} | {' | '.join(cells)} |")
    return "\n".join(lines)
