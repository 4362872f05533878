"""The picture of a decomposition, drawn from made-up ones."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from flyweight.decomposing import Bound, Decomposition, Operation, Part, Peaks
from flyweight.records import Environment, Ratio, Record
from flyweight.report import palette
from flyweight.report.decomposition import picture, write_decomposition_png

US = 10**6
ENVIRONMENT = Environment(
    cpu="Imaginary CPU", instruction_sets=(), gpu=None, cores=2, threads=1, governor=None,
    load_average=None, memory_bytes=0, os="Linux", python="3.11", libraries={}, commit=None,
    engine="eager", lowered=False, dtype="float32", layout="NCHW", batch=1, input=(1, 3, 16, 16),
)  # fmt: skip
PEAKS = Peaks(1, 50e9, (1 << 16, 1 << 24), (100e9, 20e9))


def part(kind: str, microseconds: int, madds: int, size: int | None) -> Part:
    operation = Operation("a.module", "op", kind, (1, 8, 4, 4), madds, size, size)
    bound = Bound("not known", None, madds / size if size else None)
    return Part(operation, microseconds * US, microseconds * 1e-6, bound)


def decomposition(engine: str, peaks: Peaks | None = PEAKS, lowered: bool = False) -> Decomposition:
    """100 microseconds: 60 of a convolution, 10 of a shuffle, 5 of who knows what."""
    environment = dataclasses.replace(ENVIRONMENT, engine=engine, lowered=lowered)
    parts = (
        part("convolution", 60, 2_000_000, 40_000),
        part("data movement", 10, 0, 20_000),
        part("other", 5, 0, None),
        part("elementwise", 0, 0, 400),
    )
    record = Record("network", (1e-4, 1.1e-4, 0.9e-4), 10, environment, "run", "now")
    ratio = Ratio(1.2, 1.1, 1.3, 0.95, 20)
    return Decomposition("network", record, "guessing", ratio, 9, parts, 25 * US, 100 * US, peaks)


def rows_of(drawn: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    """What a layer draws; Altair keeps it apart."""
    found: list[dict[str, Any]] = drawn["datasets"][layer["data"]["name"]]
    return found


def test_bars_are_shares() -> None:
    drawn = picture([decomposition("eager"), decomposition("openvino", lowered=True)]).to_dict()
    bars, _ = drawn["vconcat"]
    pieces = rows_of(drawn, bars["layer"][0])
    for engine in ("eager", "openvino+lowered"):
        own = [piece for piece in pieces if piece["engine"] == engine]
        assert [(piece["kind"], piece["said"]) for piece in own] == [
            ("convolution", "60%"), ("elementwise", ""), ("data movement", "10%"),
            ("other", "5%"), ("residual", "25%"),
        ]  # fmt: skip
        ends = [0.0, *(piece["to"] for piece in own)]
        assert [piece["from"] for piece in own] == ends[:-1]
        assert ends[-1] == pytest.approx(1)
    assert [row["said"] for row in rows_of(drawn, bars["layer"][2])] == ["0.100 ms"] * 2


def test_every_operation_is_below_the_machine_s_limits() -> None:
    """Those of which something is known, and that take any time."""
    drawn = picture([decomposition("eager")]).to_dict()
    with_madds, without = drawn["vconcat"][1]["hconcat"]
    (point,) = rows_of(drawn, with_madds["layer"][1])
    assert (point["x"], point["kind"]) == (50, "convolution")
    assert point["y"] == pytest.approx(2e6 / 60e-6 / 1e9)
    (point,) = rows_of(drawn, without["layer"][1])
    assert (point["x"], point["y"]) == (20, pytest.approx(20_000 / 10e-6 / 1e9))


def test_no_roofline_without_peaks() -> None:
    assert len(picture([decomposition("eager", None)]).to_dict()["vconcat"]) == 1


def test_every_class_has_a_colour() -> None:
    from flyweight.decomposing import KINDS, RESIDUAL

    assert list(palette.KINDS) == [*KINDS, RESIDUAL]
    assert len(set(palette.KINDS.values())) == len(palette.KINDS)


def test_written(tmp_path: Path) -> None:
    path = tmp_path / "where.png"
    write_decomposition_png([decomposition("eager"), decomposition("native")], path)
    assert path.read_bytes().startswith(b"\x89PNG")
