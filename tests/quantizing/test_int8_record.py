"""The committed figures of int8 agree with what is known of the weights, and with their records."""

import json
from pathlib import Path

import pytest

from flyweight.records import paired_ratio, read_records

RESULTS = Path(__file__).resolve().parents[2] / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/int8.json"))

# Images on which the counts may differ, since decoders of JPEG differ.
TOLERANCE = 2
RIGHT = {
    "mobilenet_v1_x0_25": (830, 1130), "mobilenet_v1_x0_5": (874, 1153),
    "mobilenet_v2_x1_0": (1022, 1227), "squeezenet_1_0": (929, 1181),
    "squeezenet_1_1": (947, 1181),
}  # fmt: skip
"""Of the data's README: of 1300 photographs, right at first and within five."""


def test_every_network_is_there() -> None:
    """Those with public weights, and a ShuffleNet that is trained here."""
    found = {
        entry["network"]
        for folder in FOLDERS
        for entry in json.loads((folder / "int8.json").read_text())
    }
    assert found == {*RIGHT, "shufflenet_v2_x0_5"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_committed_counts_are_the_readmes(folder: Path) -> None:
    found = {entry["network"]: entry for entry in json.loads((folder / "int8.json").read_text())}
    for network, (top1, top5) in RIGHT.items():
        if network not in found:
            continue
        for pair in found[network]["engines"]:
            assert pair["float32"]["top1"]["correct"] == pytest.approx(top1, abs=TOLERANCE)
            assert pair["float32"]["top5"]["correct"] == pytest.approx(top5, abs=TOLERANCE)
            assert (
                pair["change"]["both"] + pair["change"]["lost"]
                == (pair["float32"]["top1"]["correct"])
            )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_committed_ratios_are_those_of_the_records(folder: Path) -> None:
    records = {record.runner: record for record in read_records(folder / "int8.jsonl")}
    for entry in json.loads((folder / "int8.json").read_text()):
        for pair in entry["engines"]:
            before = records[f"{entry['network']}/{pair['engine']}+lowered"]
            after = records[f"{before.runner} int8"]
            assert before.run == after.run
            ratio = paired_ratio(before.samples_s, after.samples_s)
            assert pair["float32_over_int8"]["value"] == pytest.approx(ratio.value)
            assert pair["int8"]["median_s"] == pytest.approx(after.median_s)
