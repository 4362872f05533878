"""The thresholds are what was measured, and what the published tables say."""

from pathlib import Path

import pytest

from flyweight.advising.thresholds import (
    BLOCK,
    BLOCK_AVX512,
    ENGINES_TIMED,
    FRAGMENTS,
    GROUPS,
    OVER_BOUND,
    SERIES,
    SERIES_TIMED,
)
from flyweight.records import paired_ratio, read_records
from flyweight.studies import STUDIES, Case
from flyweight.studies.verdicts import MARGIN

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {BLOCK: "amd-epyc-2-cores", BLOCK_AVX512: "amd-epyc-avx512-2-cores"}
POSITIONS = 56 * 56


def samples_of(block: int) -> dict[str, tuple[float, ...]]:
    """Of the machine whose engines compute so many channels together."""
    records = read_records(ROOT / "results" / MACHINES[block] / "advice_thresholds.jsonl")
    return {record.runner: record.samples_s for record in records}


def slower_levels(samples: dict[str, tuple[float, ...]], series: str) -> set[int]:
    """The levels of a series at which an engine took longer by more than the margin."""
    reference, *levels = SERIES_TIMED[series]
    return {
        level
        for engine in ENGINES_TIMED
        for level in levels
        if (name := f"{engine} {series} {level}") in samples
        and paired_ratio(samples[name], samples[f"{engine} {series} {reference}"]).low > 1 + MARGIN
    }


def first_slower(series: str) -> int:
    """The first level of a series that was slower on any machine."""
    return min(min(slower_levels(samples_of(b), series), default=99) for b in (BLOCK, BLOCK_AVX512))


def test_widths() -> None:
    assert first_slower("widths") == 2
    # Eq. 1, for 45 and 90 channels: 64 / sqrt(2), and twice that.
    narrow, wide = 45, 90
    access = POSITIONS * (narrow + wide) + narrow * wide
    bound = 2 * POSITIONS * (narrow * wide) ** 0.5 + narrow * wide
    assert access / bound == pytest.approx(OVER_BOUND, abs=0.005)


def test_groups() -> None:
    assert first_slower("groups") == GROUPS


def test_fragments() -> None:
    assert first_slower("parallel") == FRAGMENTS
    assert first_slower("serial") == SERIES


def test_channels() -> None:
    # Whole blocks of 8: more channels in them take less time than fewer that don't fill them.
    samples = samples_of(BLOCK)
    for fits, misfit in ((56, 58), (64, 62)):
        ratio = paired_ratio(
            samples[f"onnxruntime channels {misfit}"], samples[f"onnxruntime channels {fits}"]
        )
        assert ratio.low > 1 + MARGIN


def test_blocks_of_sixteen() -> None:
    # A block of 16 less saves far more than its multiply-adds: 56 channels take the time of 64,
    # 48 have 0.73 of the multiply-adds of 56.
    samples = samples_of(BLOCK_AVX512)
    ratio = paired_ratio(samples["onnxruntime channels 48"], samples["onnxruntime channels 56"])
    assert ratio.high < (48 / 56) ** 2
    for misfit in (56, 58, 60, 62):
        ratio = paired_ratio(
            samples[f"onnxruntime channels {misfit}"], samples["onnxruntime channels 64"]
        )
        assert ratio.high > 1 - MARGIN


def speed(case: Case) -> float:
    """What the paper prints."""
    (found,) = case.published
    assert found is not None
    return found


def slower(study: str, platform: str) -> list[str]:
    """The cases that are slower than the first one in all of a platform's columns."""
    columns = [one for one in STUDIES[study].series if one.name.startswith(platform)]
    assert len(columns) == 3
    speeds = [[speed(case) for case in one.cases] for one in columns]
    return [
        case.label
        for index, case in enumerate(columns[0].cases)
        if all(column[index] < (1 - MARGIN) * column[0] for column in speeds)
    ]


def test_the_published_tables_say_the_same() -> None:
    assert slower("g1", "ARM")[0] == "1:2"
    assert slower("g2", "CPU")[0] == f"g={GROUPS}"
    assert slower("g3", "CPU")[0] == f"{FRAGMENTS}-fragment-parallel"
