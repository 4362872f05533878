"""Gains from records of both forms."""

from pathlib import Path

import pytest

from flyweight.records import Record
from flyweight.report.lowering import gains, geometric_mean, write_gains_png
from tests.report.conftest import facts, record


def of(name: str, ms: tuple[float, ...], lowered: bool) -> Record:
    return record(ms, facts(), name, engine="openvino", lowered=lowered)


@pytest.fixture
def both() -> list[Record]:
    return [
        of("shufflenet_v2_x1_0@224/openvino #1", (4.0, 8.0, 4.0), False),
        of("shufflenet_v2_x1_0@224/openvino #2", (6.0, 12.0, 6.0), False),
        of("shufflenet_v2_x1_0@224/openvino+lowered #1", (4.0, 8.0, 4.0), True),
        of("shufflenet_v2_x1_0@224/openvino+lowered #2", (4.0, 8.0, 4.0), True),
        of("alexnet@224/openvino #1", (1.0, 1.0, 1.0), False),
    ]


def test_instances_count_by_their_mean(both: list[Record]) -> None:
    (gain,) = gains(both)
    assert gain.network == "shufflenet_v2_x1_0"
    assert gain.plain_s == pytest.approx(5e-3)
    assert gain.lowered_s == pytest.approx(4e-3)
    assert gain.ratio.value == pytest.approx(0.8)
    assert geometric_mean([gain, gain]) == pytest.approx(0.8)


def test_the_picture_is_written(both: list[Record], tmp_path: Path) -> None:
    write_gains_png(both, tmp_path / "gains.png")
    assert (tmp_path / "gains.png").read_bytes().startswith(b"\x89PNG")
