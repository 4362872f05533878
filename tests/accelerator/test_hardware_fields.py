"""The accelerator's fields: sources, what makes no sense, presets, and their page."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from flyweight.accelerator import PRESETS, Accelerator, Energy, changed, choices, preset
from flyweight.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "accelerator.md"
FIELDS = [*dataclasses.fields(Accelerator), *dataclasses.fields(Energy)]


def test_every_choice_has_a_source() -> None:
    for field in FIELDS:
        assert field.metadata["source"], field.name
    named = [one.name for one in choices(Accelerator())]
    assert named == [field.name for field in FIELDS if field.name != "energy"]
    assert all(one.source != "given" for machine in PRESETS.values() for one in choices(machine))


def test_the_page_has_every_choice() -> None:
    """A row for each, with its default."""
    rows = {
        cells[1].strip(" `"): cells[2].strip()
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if len(cells := line.split("|")) == 5
    }
    for field in FIELDS:
        if field.name == "energy":
            continue
        default = {None: "none", True: "yes", False: "no"}.get(field.default, field.default)
        shown = rows[field.name]
        if isinstance(field.default, float):
            assert float(shown) == field.default, field.name
        elif field.name in ("array", "buffer_bytes"):
            small, large = (getattr(PRESETS[name], field.name) for name in ("8x8", "16x16"))
            assert shown == f"{small} or {large}", field.name
        else:
            assert shown == str(default), field.name


def test_presets() -> None:
    """As the table's heads have them: 8x8, 32KB and 16x16, 128KB."""
    small, large = preset("8x8"), preset("16x16")
    assert (small.array, small.buffer_bytes, small.elements) == (8, 32768, 64)
    assert (large.array, large.buffer_bytes, large.elements) == (16, 131072, 256)
    assert (small.kept_words, large.kept_words) == (8192, 32768)
    assert (small.words_a_cycle, large.words_a_cycle) == (8, 16)
    assert dataclasses.replace(small, array=16, buffer_bytes=131072) == large
    assert large.name == "16x16, 128 KB"
    with pytest.raises(UsageError, match="did you mean 16x16"):
        preset("16x61")


def test_changed() -> None:
    machine = changed(preset("8x8"), {"sparsity": 0.0, "buffer": 3.0})
    assert (machine.array, machine.sparsity, machine.energy.buffer) == (8, 0.0, 3.0)
    sources = {one.name: one.source for one in choices(machine)}
    assert sources["sparsity"] == sources["buffer"] == "given"
    assert sources["array"] != "given"
    with pytest.raises(UsageError, match="did you mean latency"):
        changed(machine, {"latencies": 3})


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"array": 0}, "array must be 1 or more"),
        ({"port": 0}, "port must be 1 or more"),
        ({"partial_sums": -1}, "partial_sums must be 1 or more"),
        ({"bandwidth": 0.0}, "bandwidth must be more than 0"),
        ({"clock_hz": float("inf")}, "clock_hz must be more than 0"),
        ({"latency": -1}, "latency must be 0 or more"),
        ({"sparsity": 1.0}, "below 1"),
        ({"sparsity": float("nan")}, "below 1"),
        ({"kept_share": 0.0}, "above 0"),
        ({"buffer_bytes": 3}, "holds no word"),
        ({"preload": "never"}, "unknown preload"),
        ({"keeping": "nothing"}, "unknown keeping"),
        ({"picking": "slowest"}, "unknown picking"),
        ({"dram": -1.0}, "dram must be 0 or more"),
        ({"hop": float("nan")}, "hop must be 0 or more"),
    ],
)
def test_what_makes_no_sense(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        changed(Accelerator(), fields)


def test_only_what_is_above_knows_of_it() -> None:
    """The model is read by studies, the report and the commands alone."""
    packages = ROOT / "src" / "flyweight"
    above = {"accelerator", "studies", "advice", "report", "cli"}
    for path in packages.rglob("*.py"):
        if path.relative_to(packages).parts[0] not in above:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"flyweight\.accelerator|import accelerator", text), path
