"""Which studies records hold, and what their verdicts say together; from made-up times."""

import pytest

from flyweight.report.studies.places import shortened
from flyweight.studies import (
    STUDIES,
    StudyResult,
    machine_of,
    not_run,
    results_of,
    study_records,
    verdicts_of,
    verdicts_said,
)
from tests.report.conftest import record, study_run

UNEQUAL = (1.0, 1.1, 1.2, 1.5)
EQUAL = (1.0, 1.0, 0.9, 1.0)


def test_a_result_for_each_machine_and_setting() -> None:
    records = [
        *study_run("g4", "CPU c=32", UNEQUAL),
        *study_run("g1", "ARM x1", UNEQUAL),
        *study_run("g1", "ARM x1", EQUAL, "eager"),
        *study_run("g1", "ARM x1", EQUAL, batch=8),
        *study_run("g1", "ARM x1", EQUAL, cpu="Other CPU", cores=8, gpu="A GPU"),
        *study_run("g1", "ARM x1", EQUAL, instruction_sets=("avx2",)),
        record(2.0, runner="mine.onnx"),
    ]
    assert study_records(records) == records[:-1]
    found = results_of(records)
    about = [
        (one.study, machine_of(one.records[0]), one.setting.engine, one.setting.batch)
        for one in found
        if one.setting is not None
    ]
    here, older = (f"Imaginary CPU @ 2.60GHz (2 cores, {one})" for one in ("avx512", "avx2"))
    there = "Other CPU (8 cores, avx512) and A GPU"
    assert about == [
        ("g1", here, "native", 1), ("g1", here, "eager", 1), ("g1", here, "native", 8),
        ("g1", there, "native", 1), ("g1", older, "native", 1), ("g4", here, "native", 1),
    ]  # fmt: skip
    assert [len(one.records) for one in found] == [4] * 6


def test_studies_without_results_are_named() -> None:
    found = not_run(results_of(study_run("g4", "CPU c=32", UNEQUAL)))
    assert found.startswith("Not timed here yet: figure1, g1, g2, g3, table5, figure4, ")
    assert " g4," not in found
    assert (
        not_run([StudyResult(name, *[""] * 4, None, (), (), (), None, ()) for name in STUDIES])
        == ""
    )


def test_headings_lose_what_they_share() -> None:
    """But for the machine: two may have the same name and other vectors."""
    shared = "threads 1, float32"
    found = shortened([f"A CPU (2 cores, {one}), batch 1, {shared}" for one in ("avx2", "avx512")])
    assert list(found.values()) == ["A CPU (2 cores, avx2)", "A CPU (2 cores, avx512)"]
    assert list(shortened([f"batch 1, {shared}", f"batch 8, {shared}"]).values()) == [
        "batch 1", "batch 8",
    ]  # fmt: skip


def test_verdicts() -> None:
    """G1's reference is its first row; equal times of the others, or shorter ones, refute it."""
    (holds,) = results_of(study_run("g1", "ARM x1", UNEQUAL))
    (fails,) = results_of(study_run("g1", "ARM x2", EQUAL))
    ((where, verdict),) = verdicts_of(holds)
    assert (where, verdict.answer) == ("ARM x1", "holds")
    assert verdict.value == pytest.approx(1.5, rel=0.02)
    said = verdicts_said([holds, fails, holds])
    assert said == "Of 3 tested claims 2 hold here, 1 don't, and 0 are not decided."
    assert verdicts_said([]) == "No claim was tested."
