"""A study that is run: rows, records, what is asked for wrongly, an interruption."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from flyweight.cli.app import run
from flyweight.engines import Options, Runner
from flyweight.engines.protocol import Array
from flyweight.errors import FlyweightError
from flyweight.measuring import Progress
from flyweight.records import Ratio, Record, read_records, write_records
from flyweight.studies import (
    STUDIES,
    StudyResult,
    Telling,
    run_study,
    settings_of,
    study_result,
)
from flyweight.studies import running as running_module
from flyweight.studies.catalogue import AS_PRINTED, study_named
from flyweight.studies.study import Series
from flyweight.studies.verdicts import LEAST_ROUNDS

SMALL = ["study", "g1", "--quick", "--engine", "eager", "--budget", "200ms"]


def smallest(study: str) -> list[Series]:
    return [next(one for one in STUDIES[study].series if not one.name.startswith("GPU"))]


def test_a_study() -> None:
    result = run_study(STUDIES["g4"], "eager", budget_s=0.2, series=smallest("g4"))
    assert result.complete
    (series,) = result.series
    table = series.table
    assert table.column("") == ("ReLU and shortcut", "ReLU", "shortcut", "neither")
    assert [column.kind for column in table.columns] == (
        ["label"] + 2 * ["published"] + 4 * ["computed"] + 2 * ["measured"]
    )
    published, here = (
        [row[i] for row in table.rows]
        for i, column in enumerate(table.columns)
        if column.name == "to first"
    )
    assert published[3] == pytest.approx(66.3 / 56.7)
    assert isinstance(here[0], Ratio)
    assert here[0].value == 1
    assert table.column("over first") == (0, 0, 0, 0)
    assert len(result.records) == 4
    assert min(record.n for record in result.records) >= LEAST_ROUNDS
    assert {record.environment.engine for record in result.records} == {"eager"}
    (verdict,) = series.verdicts
    assert "neither" not in verdict.reason  # the reference isn't judged
    assert list(table.column("here")) == [1 / record.median_s for record in result.records]
    assert result.records[0].network is not None
    assert result.records[0].network.madds / 1e6 == table.column("M madds")[0]


def test_interrupted_between_rounds() -> None:
    """What was measured until then is judged; the next series isn't begun."""
    prepared: list[str] = []
    kept: list[int] = []

    def stop(step: Progress) -> None:
        if step.rounds == 3:
            raise KeyboardInterrupt

    series = [one for one in STUDIES["g2"].series if one.name in ("CPU x1", "CPU x2")]
    telling = Telling(
        lambda text, _: prepared.append(text), stop, keep=lambda records: kept.append(len(records))
    )
    result = run_study(STUDIES["g2"], "eager", budget_s=20, series=series, telling=telling)
    assert not result.complete
    assert [one.name for one in result.series] == ["CPU x1"]
    assert (len(prepared), kept) == (4, [4])
    assert {record.n for record in result.records} == {3}


@pytest.mark.slow
def test_going_on() -> None:
    """Series that the records hold whole aren't timed again; one that was cut short is."""
    prepared: list[str] = []
    series = [one for one in STUDIES["g1"].series if one.name in ("ARM x1", "ARM x2")]

    def again(known: Sequence[Record], batch: int = 1) -> StudyResult:
        prepared.clear()
        return run_study(
            STUDIES["g1"], "eager", batch=batch, budget_s=0.5, series=series, known=known,
            telling=Telling(lambda text, _: prepared.append(text)),
        )  # fmt: skip

    whole = again([])
    assert len(prepared) == 8
    assert again(whole.records) == whole
    assert not prepared
    cut = [replace(record, complete="x2" not in record.runner) for record in whole.records]
    repaired = again(cut)
    assert len(prepared) == 4
    assert repaired.records[:4] == whole.records[:4]
    assert repaired.complete
    again(whole.records, batch=2)
    assert len(prepared) == 8


def test_from_records_alone() -> None:
    """In each setting its own times; parts that weren't timed are left out."""
    study = STUDIES["g4"]
    first = run_study(study, "eager", budget_s=0.2, series=smallest("g4"))
    both = [
        *first.records,
        *(replace(r, run="other", environment=replace(r.environment, batch=8))
          for r in first.records),
    ]  # fmt: skip
    settings = settings_of(study, both)
    assert [setting.batch for setting in settings] == [1, 8]
    assert study_result(study, both, settings[0]).series == first.series
    speeds = study_result(study, both, settings[1]).series[0].table.column("here")
    assert speeds == tuple(8 * one for one in first.series[0].table.column("here"))  # type: ignore[operator]
    computed = study_result(study)
    assert len(computed.series) == len(study.series)
    assert computed.setting is None
    assert not any(one.verdicts for one in computed.series)


def test_a_case_that_cannot_run_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = running_module.engine_named("eager").load()

    def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
        if example.shape[1] == 22:
            raise FlyweightError("22 channels are too many")
        return whole(model, example, options)

    monkeypatch.setattr(running_module.engine_named("eager").__class__, "load", lambda _: prepare)
    failed: list[str] = []
    telling = Telling(failed=lambda case, error: failed.append(f"{case}: {error}"))
    result = run_study(STUDIES["g4"], "eager", budget_s=0.2, series=smallest("g4"), telling=telling)
    assert not failed
    result = run_study(STUDIES["g1"], "eager", budget_s=0.2, series=smallest("g1"), telling=telling)
    assert failed == ["g1 / ARM x1 / 1:2: 22 channels are too many"]
    table = result.series[0].table
    assert [value is None for value in table.column("here")] == [False, True, False, False]


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    papers = {study.source.partition(", ")[0] for study in STUDIES.values()}
    rows = [
        line.split() for line in lines[:-1] if line.strip() and not line.startswith(tuple(papers))
    ]
    assert max(map(len, lines)) < 180
    assert [row[0] for row in rows] == list(STUDIES)
    assert sum(line.startswith(tuple(papers)) for line in lines) == len(papers)
    assert lines[0].split("  ")[0] == "ShuffleNet V2"
    assert rows[3][:3] == ["g3", "Table", "3"]
    assert (
        lines[-1] == "Figure 2, where the time goes, is 'flyweight decompose NAME', of any network."
    )


@pytest.mark.parametrize(("table", "name"), AS_PRINTED.items())
def test_studies_by_the_names_of_their_tables(table: str, name: str) -> None:
    source = study_named(table).source
    assert (study_named(table).name, source.endswith(f"Table {table[5:]}")) == (name, True)


def test_for_people(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture, file = tmp_path / "g1.png", tmp_path / "g1.json"
    assert run([*SMALL, "--png", str(picture), "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "equal channel widths are the fastest?" in printed
    assert "1:12" in printed
    assert any(word in printed for word in ("holds:", "does not hold:", "not decided:"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(file.read_text())["study"] == "g1"


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    (series,) = found["series"]
    assert [row[0] for row in series["table"]["rows"]] == ["1:1", "1:2", "1:6", "1:12"]
    assert len(found["records"]) == 4
    assert all(record["samples_s"] for record in found["records"])


def test_records_are_kept_and_not_timed_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "g1.jsonl"
    assert run([*SMALL, "--records", str(file)]) == 0
    first = capsys.readouterr().out
    before, whole = file.read_bytes(), read_records(file)
    assert len(whole) == 4
    assert run([*SMALL, "--records", str(file)]) == 0
    assert capsys.readouterr().out == first
    assert file.read_bytes() == before
    file.write_bytes(before[:-40])
    assert run([*SMALL, "--records", str(file)]) == 1
    assert "line 4: not JSON" in capsys.readouterr().err
    assert file.read_bytes() == before[:-40]
    # Another machine's times are nothing to go on from, whatever its processor is called.
    others = [replace(one, environment=replace(one.environment, instruction_sets=()))
              for one in whole]  # fmt: skip
    write_records(file, others)
    before = file.read_bytes()
    assert run([*SMALL, "--records", str(file)]) == 2
    assert "holds records of another machine" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["study", "g9"], "unknown study 'g9'"),
        (["study", "figure2"], "is 'flyweight decompose NAME'"),
        (["study", "g2", "--columns", "TPU"], "has no columns 'TPU'"),
        (["study", "g2", "--engine", "nothing"], "'nothing'"),
        (["study", "g2", "--batch", "0"], "batch"),
        (["study", "g2", "--joined", "times"], "times"),
        (["study", "table5", "--columns", "GPU"], "it has none"),
        (["study", "table8", "--weights", "a.pth"], "figure4 does"),
        (["study", "figure4", "--weights", "a.pth", "--model", "nothing"], "'nothing'"),
    ],
)
def test_wrong_usage(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_file_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is timed."""
    assert run(["study", "g2", "--json", "/nowhere/at/all.json"]) == 1
    assert "/nowhere" in capsys.readouterr().err
