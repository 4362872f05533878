"""A study that is run: rows, records, what is asked for wrongly, an interruption."""

import json
from pathlib import Path

import pytest

from flyweight.cli.app import run
from flyweight.studies import STUDIES, run_study
from flyweight.studies import running as running_module
from flyweight.studies.study import Series

SMALL = ["study", "g1", "--quick", "--engine", "eager", "--budget", "1s"]


def smallest(study: str) -> list[Series]:
    return [next(one for one in STUDIES[study].series if not one.name.startswith("GPU"))]


def test_a_study() -> None:
    result = run_study(STUDIES["g4"], "eager", budget_s=1.0, series=smallest("g4"))
    assert result.complete
    (series,) = result.series
    assert [row.label for row in series.rows] == [
        "ReLU and shortcut", "ReLU", "shortcut", "neither"
    ]  # fmt: skip
    first = series.rows[0]
    assert (first.relative.value, first.published_relative, first.deviation) == (1, 1, 0)
    assert series.rows[3].published_relative == pytest.approx(66.3 / 56.7)
    assert len(result.records) == 4
    assert {record.environment.engine for record in result.records} == {"eager"}
    assert series.verdict.worst != "neither"  # the reference isn't judged
    medians = {record.runner: record.median_s for record in result.records}
    assert [row.seconds for row in series.rows] == list(medians.values())


def test_interrupted_between_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured until then is judged; the next series isn't begun."""
    prepared: list[str] = []

    def stop(step: running_module.Progress) -> None:
        if step.rounds == 3:
            raise KeyboardInterrupt

    series = [one for one in STUDIES["g2"].series if one.name in ("CPU x1", "CPU x2")]
    result = run_study(
        STUDIES["g2"], "eager", budget_s=20, series=series, told=prepared.append, progress=stop
    )
    assert not result.complete
    assert [one.name for one in result.series] == ["CPU x1"]
    assert len(prepared) == 4
    assert {record.n for record in result.records} == {3}


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(STUDIES)
    assert "ShuffleNet V2, Table 3" in lines[3]


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
    assert [row["label"] for row in series["rows"]] == ["1:1", "1:2", "1:6", "1:12"]
    assert len(found["records"]) == 4
    assert all(record["samples_s"] for record in found["records"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["study", "g9"], "unknown study 'g9'"),
        (["study", "g2", "--columns", "TPU"], "has no columns 'TPU'"),
        (["study", "g2", "--engine", "nothing"], "'nothing'"),
        (["study", "g2", "--batch", "0"], "batch"),
        (["study", "g2", "--joined", "times"], "times"),
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
