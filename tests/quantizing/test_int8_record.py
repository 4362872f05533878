"""The committed figures of int8 agree with what is known of the weights, and with their records."""

import json
from pathlib import Path

import pytest

from flyweight.records import paired_ratio, read_records

FOLDER = Path(__file__).resolve().parents[2] / "results" / "amd-epyc-2-cores"
RECORD = FOLDER / "int8.json"

# Images on which the counts may differ, since decoders of JPEG differ.
TOLERANCE = 2


def test_the_committed_counts_are_the_readmes() -> None:
    right = {
        "mobilenet_v1_x0_25": (830, 1130), "mobilenet_v1_x0_5": (874, 1153),
        "mobilenet_v2_x1_0": (1022, 1227), "squeezenet_1_0": (929, 1181),
        "squeezenet_1_1": (947, 1181),
    }  # fmt: skip
    found = {entry["network"]: entry for entry in json.loads(RECORD.read_text())}
    assert {"shufflenet_v2_x0_5", "mobilenet_v2_x1_0", "squeezenet_1_0"} <= set(found)
    for network, (top1, top5) in right.items():
        if network not in found:
            continue
        for pair in found[network]["engines"]:
            assert pair["float32"]["top1"]["correct"] == pytest.approx(top1, abs=TOLERANCE)
            assert pair["float32"]["top5"]["correct"] == pytest.approx(top5, abs=TOLERANCE)
            assert (
                pair["change"]["both"] + pair["change"]["lost"]
                == (pair["float32"]["top1"]["correct"])
            )


def test_the_committed_ratios_are_those_of_the_records() -> None:
    records = {record.runner: record for record in read_records(FOLDER / "int8.jsonl")}
    for entry in json.loads(RECORD.read_text()):
        for pair in entry["engines"]:
            before = records[f"{entry['network']}/{pair['engine']}+lowered"]
            after = records[f"{before.runner} int8"]
            assert before.run == after.run
            ratio = paired_ratio(before.samples_s, after.samples_s)
            assert pair["float32_over_int8"]["value"] == pytest.approx(ratio.value)
            assert pair["int8"]["median_s"] == pytest.approx(after.median_s)
