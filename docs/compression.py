"""The tables of docs/compress.md, from the committed record of benchmarks/deep_compression.py."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "amd-epyc-2-cores" / "deep_compression.json"


def _rows() -> dict[str, dict[str, Any]]:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))
    return {row["case"]: row for row in rows}


def _right(share: dict[str, Any]) -> str:
    low, high = share["interval_95"]
    count = share.get("n")
    of = f" of {count}" if count else ""
    return f"{share['correct']}{of} ({low:.1%}-{high:.1%})"


def _time(row: dict[str, Any]) -> str:
    ratio = row["time_over_first"]
    low, high = ratio["interval_95"]
    return f"{1e3 * row['median_s']:.2f} | {ratio['value']:.3f} ({low:.3f}-{high:.3f})"


def squeezenet_table() -> str:
    """SqueezeNet 1.0: the published stream, and the file in Huffman codes, by bits."""
    rows = _rows()
    stream = rows["stream"]
    lines = [
        "| SqueezeNet 1.0 | bytes | smaller than 32 bits | top-1 right | top-5 right | ms |"
        " time over that of 32 bits |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    theirs = rows["squeezenet 8"]
    before = theirs["bytes_before"]
    lines.append(
        f"| published stream, 8 bits | {stream['stream_bytes']:,} |"
        f" {before / stream['stream_bytes']:.2f} | the same | the same | the same | the same |"
    )
    for case, row in rows.items():
        if case.startswith("squeezenet"):
            what = "its codes" if row["bits"] == 8 else "shared again, not trained"
            lines.append(
                f"| .fwc, {row['bits']} bits: {what} | {row['bytes']:,} |"
                f" {before / row['bytes']:.2f} | {_right(row['top1'])} | {_right(row['top5'])} |"
                f" {_time(row)} |"
            )
    lines += [
        "",
        f"Right are images of {theirs['n']}, which are an easy choice: no accuracy on ImageNet."
        f" Codes and gaps as single symbols can't take fewer than {stream['entropy_bytes']:,.0f}"
        " bytes; codebooks, biases and tables come on top. Times on ONNX Runtime, one thread.",
    ]
    return "\n".join(lines)


def small_table() -> str:
    """A network that was trained here, step by step."""
    rows = [row for case, row in _rows().items() if case.startswith("small")]
    lines = [
        "| step | density | bits | bytes | smaller | top-1 right | ms | time over the first |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    shared = ("shared", "values trained", "the file")
    for number, row in enumerate(rows):
        for step in row["steps"]:
            if number and step["step"] not in shared:
                continue  # the first steps are the same for all bits
            lines.append(
                f"| {step['step']} | {step['density']:.1%} | {step['bits']} | {step['bytes']:,} |"
                f" {step['times_smaller']:.2f} | {_right(step['top1'])} | {_time(step)} |"
            )
    return "\n".join(lines)
