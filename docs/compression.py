"""The tables of docs/compress.md, from the committed records.

Those of benchmarks/deep_compression.py, and of the study of SqueezeNet's Table 2.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyweight.records import Record, paired_ratio, read_records
from flyweight.studies import STUDIES, Table, case_cost, settings_of, study_result
from flyweight.studies.results import series_records

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted((ROOT / "results").glob("*/deep_compression.json"))
STUDY = "squeezenet_table2"
TIMES = ROOT / "results" / "amd-epyc-avx512-2-cores" / "studies" / f"{STUDY}.jsonl"


def _rows() -> dict[str, dict[str, Any]]:
    """By case, of all machines; each case was measured on one."""
    rows = [row for path in RECORDS for row in json.loads(path.read_text(encoding="utf-8"))]
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
    """A network that was trained here, step by step, for each density."""
    rows = [row for case, row in _rows().items() if case.startswith("small")]
    lines = [
        "| left, rounds | step | density | bits | bytes | smaller | top-1 right | ms |"
        " time over the first |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    shared = ("shared", "values trained", "the file")
    shown: set[str] = set()
    for row in rows:
        left = row["steps"][-1]["density"]
        plan = f"{left:.0%}, {row.get('rounds', 1)}"
        for step in row["steps"]:
            if plan in shown and step["step"] not in shared:
                continue  # the first steps are the same for all bits
            lines.append(
                f"| {plan if step is row['steps'][0] else ''} | {step['step']} |"
                f" {step['density']:.1%} | {step['bits']} | {step['bytes']:,} |"
                f" {step['times_smaller']:.2f} | {_right(step['top1'])} | {_time(step)} |"
            )
        shown.add(plan)
    return "\n".join(lines)


def table_2() -> str:
    """SqueezeNet's Table 2: the printed size, ours and where it is from, and the time."""
    study = STUDIES[STUDY]
    (series,) = study.series
    records = read_records(TIMES)
    (setting,) = settings_of(study, records)
    timed = series_records(study, series, setting, records)
    (table,) = study_result(study).computed
    lines = [
        "| network | compression | paper: MB | here: MB | what that is | paper: top-1, top-5 (%) |"
        " ms | time over uncompressed |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for row, case in zip(_named(table), series.cases, strict=True):
        size, what = _size(row, 4 * case_cost(case).params / 1e6)
        way = "" if row["compression"] == "none" else f"{row['compression']}, "
        lines.append(
            f"| {row['']} | {way}{row['data type']} | {row['compressed'] or row['weights']:g} |"
            f" {size:.2f} | {what} | {row['top-1 accuracy']:g}, {row['top-5 accuracy']:g} |"
            f" {_time_over(timed, case.label, row[''])} |"
        )
    about = next(iter(timed.values()))
    return "\n".join(
        [
            *lines,
            "",
            f"Times: `flyweight study {STUDY} --engine {setting.engine}`, {about.n} interleaved"
            f" rounds on one core of {about.environment.cpu}, {about.started[:10]}; random weights,"
            " pruned and shared as the row says, and decoded, as an engine runs them.",
        ]
    )


def _named(table: Table) -> list[dict[str, Any]]:
    """A table's rows by the columns' names; of two of a name the first."""
    names = [column.name for column in table.columns]
    return [dict(zip(reversed(names), reversed(row), strict=True)) for row in table.rows]


def _size(row: Mapping[str, Any], factored: float) -> tuple[float, str]:
    """MB of a row's weights, and how they are known."""
    computed = row["compressed, at the printed densities"]
    if row["published file"]:
        huffman = _rows()["squeezenet 8"]["bytes"] / 1e6
        return row["published file"], f"the published file; {huffman:.2f} in Huffman codes"
    if row["data type"] == "6 bit":
        ours = _rows()["squeezenet 6"]
        right = ours["top1"]["correct"]
        before = _rows()["squeezenet 8"]["top1"]["correct"]
        return (
            ours["bytes"] / 1e6,
            f"our .fwc of the published file's weights, shared again: names {right} of"
            f" {ours['n']} images right, not {before}",
        )
    if row["compression"] == "none":
        return row["weights in 32 bits"], "counted"
    if computed is None:
        return factored, "computed: factors of linear layers, all of the same share (our reading)"
    coded = "" if row["data type"] == "32 bit" else ", before Huffman codes"
    alone = ", the weights alone" if row["data type"] == "32 bit" else ""
    return computed, f"computed at the published densities{coded}{alone}"


def _time_over(timed: Mapping[str, Record], label: str, whole: str) -> str:
    own, first = timed[label], timed[whole]
    over = paired_ratio(own.samples_s, first.samples_s)
    ratio = "1" if own is first else f"{over.value:.2f} ({over.low:.2f}-{over.high:.2f})"
    return f"{1e3 * own.median_s:.1f} | {ratio}"
