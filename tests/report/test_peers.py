"""The native engine among its peers, from made-up records."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flyweight.records import Record
from flyweight.report.peers import geometric_mean_gain, standings, write_standings_png
from tests.report.conftest import facts, record

Times = Mapping[str, float | Sequence[float]]


def records_of(network: str, times: Times, madds: int = 100_000_000) -> list[Record]:
    """Runners of one network at 224 pixels, in milliseconds; the floor is no network."""
    about = facts(network, madds)
    return [
        record(ms, None if engine.startswith("floor") else about, f"{network}@224/{engine}")
        for engine, ms in times.items()
    ]


def test_a_standing() -> None:
    times = {
        "native #1": 2.0, "native #2": 4.0, "onnxruntime #1": 6.0, "openvino #1": 4.5,
        "openvino+lowered #1": 1.5, "floor #1": 0.2,
    }  # fmt: skip
    (one,) = standings(records_of("small", times), floor_madds=10_000_000)
    assert one.network == "small"
    assert one.native_s == pytest.approx(3e-3)  # the instances' mean
    # 100 M multiply-adds take ten times as long as the 10 M of the floor's runner: 2 ms.
    assert one.over_floor == pytest.approx(1.5)
    ratios = {engine: ratio.value for engine, ratio in one.over_native.items()}
    assert ratios == pytest.approx({"onnxruntime": 2.0, "openvino": 1.5, "openvino+lowered": 0.5})
    # What ran our own graph is no peer.
    assert one.best_peer == "openvino"
    assert one.gain.value == pytest.approx(1.5)


def test_ratios_are_paired_by_round() -> None:
    """Where every round is slower than the one before, for both, the ratio stays the same."""
    slower = [1.0 + 0.1 * i for i in range(20)]
    times = {"native #1": slower, "ncnn #1": [3 * ms for ms in slower], "floor #1": slower}
    (one,) = standings(records_of("small", times), 100_000_000)
    assert (one.gain.low, one.gain.value, one.gain.high) == pytest.approx((3, 3, 3))
    assert one.over_floor == pytest.approx(1)


def test_rounds_that_one_lacks_are_left_out() -> None:
    times = {"native #1": [1.0] * 5 + [9.0], "eager #1": [2.0] * 5, "floor #1": [1.0] * 4}
    (one,) = standings(records_of("small", times), 100_000_000)
    assert one.gain.value == pytest.approx(2)
    assert one.gain.rounds == 5


def test_means_and_picture(tmp_path: Path) -> None:
    records = [
        *records_of("first", {"native #1": 1.0, "ncnn #1": 2.0, "eager #1": 8.0, "floor #1": 0.1}),
        *records_of("second", {"native #1": 1.0, "ncnn #1": 0.5, "eager #1": 9.0, "floor #1": 0.1}),
    ]
    found = standings(records, 10_000_000)
    assert [one.network for one in found] == ["first", "second"]
    assert geometric_mean_gain(found) == pytest.approx(math.sqrt(2.0 * 0.5))
    path = tmp_path / "peers.png"
    write_standings_png(found, ["somewhere"], path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert path.stat().st_size > 20_000
