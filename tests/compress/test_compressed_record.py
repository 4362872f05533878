"""The committed record of Deep Compression: counts of the data's README, sizes that add up."""

import json
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).resolve().parents[2] / "results"
ROWS: dict[str, dict[str, Any]] = {
    row["case"]: row
    for path in sorted(RESULTS.glob("*/deep_compression.json"))
    for row in json.loads(path.read_text())
}
SMALL = [case for case in ROWS if case.startswith("small")]


def test_squeezenet_is_the_published_one() -> None:
    """929 and 1181 of 1300 images; 675,763 bytes, and fewer in Huffman codes than 556 kB."""
    eight = ROWS["squeezenet 8"]
    assert (eight["top1"]["correct"], eight["top5"]["correct"], eight["n"]) == (929, 1181, 1300)
    assert eight["bytes_before"] == 4 * 1_248_424
    stream = ROWS["stream"]
    assert stream["stream_bytes"] == 675_763
    assert stream["entropy_bytes"] < eight["bytes"] < 556_000


def test_fewer_bits_are_fewer_bytes() -> None:
    rows = sorted(
        (row for case, row in ROWS.items() if case.startswith("squeezenet")),
        key=lambda row: -row["bits"],
    )
    sizes, right = ([row["bytes"] for row in rows], [row["top1"]["correct"] for row in rows])
    assert sizes == sorted(sizes, reverse=True)
    assert right == sorted(right, reverse=True)


@pytest.mark.parametrize("case", SMALL)
def test_a_network_trained_here_has_size_accuracy_and_time_of_every_step(case: str) -> None:
    steps = ROWS[case]["steps"]
    names = [step["step"] for step in steps]
    assert names == ["as it is", "pruned", "retrained", "shared", "values trained", "the file"]
    first = steps[0]
    for step in steps:
        assert step["top1"]["n"] == first["top1"]["n"]
        assert step["median_s"] > 0
        assert step["times_smaller"] == pytest.approx(first["bytes"] / step["bytes"])
    assert steps[-1]["bytes"] < steps[-2]["bytes"] < steps[1]["bytes"] < first["bytes"]
    assert steps[-1]["top1"] == steps[-2]["top1"]


def test_there_is_one() -> None:
    assert SMALL
