"""Several studies in one go: how time is shared out, what is kept, what is told."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from torch import nn

from flyweight.cli.app import run
from flyweight.cli.keeping import INTERRUPTED
from flyweight.cli.output import Bar
from flyweight.engines import Options
from flyweight.errors import FlyweightError, UsageError
from flyweight.measuring import Progress
from flyweight.records import Record, read_records
from flyweight.studies import (
    STUDIES,
    Budget,
    Case,
    Series,
    Study,
    StudyResult,
    Sweep,
    SweepTelling,
    run_studies,
)
from flyweight.studies import sweeping as sweeping_module
from flyweight.studies.sweeping import LEAST_S, Todo, next_budget_s

QUICK = ["study", "g1", "g4", "--quick", "--engine", "eager", "--budget", "300ms"]


def quick(*names: str) -> list[tuple[Study, Sequence[Series]]]:
    """The smallest series of some studies."""
    return [
        (STUDIES[name], [one for one in STUDIES[name].series if not one.name.startswith("GPU")][:1])
        for name in names
    ]


def swept(
    names: Sequence[str], known: Sequence[Record] = (), telling: SweepTelling | None = None,
    total_s: float | None = None,
) -> Sweep:  # fmt: skip
    budget = Budget(0.3, total_s)
    return run_studies(quick(*names), "eager", Options(1), 1, budget, known, telling)


def test_without_a_total_every_series_gets_what_was_asked_for() -> None:
    assert next_budget_s(Budget(10), 1e6, Todo(100, 25)) == 10


def test_what_is_left_is_shared_out() -> None:
    """100 s left, 20 networks at 2 s each: 60 s for 12 shares of time."""
    budget = Budget(10, 400)
    assert next_budget_s(budget, 300, Todo(20, 12), preparing_s=2) == pytest.approx(5)
    # No more than was asked for, where there is plenty.
    assert next_budget_s(budget, 0, Todo(20, 12), preparing_s=2) == 10
    # Something at least, where preparing takes all of it; nothing once the time is up.
    assert next_budget_s(budget, 390, Todo(20, 12), preparing_s=2) == LEAST_S
    assert next_budget_s(budget, 400, Todo(20, 12), preparing_s=2) is None


@pytest.mark.slow
def test_several_studies() -> None:
    kept: list[int] = []
    told: list[tuple[str, float]] = []
    finished: list[StudyResult] = []
    telling = SweepTelling(
        preparing=lambda text, share: told.append((text, share)),
        keep=lambda records: kept.append(len(records)),
        finished=finished.append,
    )
    sweep = swept(["g1", "g4"], telling=telling)
    assert [result.study for result in sweep.results] == ["g1", "g4"]
    assert finished == list(sweep.results)
    assert kept == [4, 8]
    assert [share for _, share in told] == [0] * 4 + [0.5] * 4
    assert told[4][0].startswith("g4 / CPU c=32 / ")
    assert (sweep.untimed, sweep.failed, sweep.interrupted) == ((), (), False)
    # What is known isn't timed again; a series that was cut short is.
    told.clear()
    records = [record for result in sweep.results for record in result.records]
    assert swept(["g1", "g4"], records, telling) == sweep
    assert told == []
    cut = [replace(record, complete="g1" not in record.runner) for record in records]
    assert swept(["g1", "g4"], cut, telling).results[1] == sweep.results[1]
    assert [text.partition(" / ")[0] for text, _ in told] == ["g1"] * 4


def test_when_the_time_is_up_the_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a minute here."""
    now = iter(range(0, 60 * 1000, 60))
    monkeypatch.setattr(sweeping_module, "monotonic", lambda: float(next(now)))
    timed: list[float] = []

    def run_study(study: Study, *args: object) -> object:
        timed.append(args[3])  # type: ignore[arg-type]
        return real(study, *args[:3], 0.3, *args[4:])  # type: ignore[arg-type]

    real = sweeping_module.run_study
    monkeypatch.setattr(sweeping_module, "run_study", run_study)
    sweep = swept(["g1", "g4"], total_s=200)
    assert timed == [0.3]
    assert [result.study for result in sweep.results] == ["g1"]
    assert sweep.untimed == ("g4 / CPU c=32",)


def test_interrupted_while_it_measures_or_prepares() -> None:
    def stop(text: str, step: Progress, share: float) -> None:
        if step.rounds == 2:
            raise KeyboardInterrupt

    sweep = swept(["g1", "g4"], telling=SweepTelling(progress=stop))
    assert sweep.interrupted
    assert [(one.study, one.complete) for one in sweep.results] == [("g1", False)]
    assert {record.n for record in sweep.results[0].records} == {2}

    def stop_preparing(text: str, share: float) -> None:
        if text.startswith("g4"):
            raise KeyboardInterrupt

    sweep = swept(["g1", "g4"], telling=SweepTelling(preparing=stop_preparing))
    assert sweep.interrupted
    assert [(one.study, one.complete) for one in sweep.results] == [("g1", True)]


def test_a_series_that_an_engine_cannot_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sweeping_module.run_study

    def run_study(study: Study, *args: object) -> object:
        if study.name == "g1":
            raise FlyweightError("no such operation")
        return real(study, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(sweeping_module, "run_study", run_study)
    said: list[str] = []
    telling = SweepTelling(failed=lambda what, error: said.append(f"{what}: {error}"))
    sweep = swept(["g1", "g4"], telling=telling)
    assert [result.study for result in sweep.results] == ["g4"]
    assert sweep.failed == ("g1 / ARM x1",)
    assert said == ["g1 / ARM x1: no such operation"]


def test_an_engine_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="nothing"):
        run_studies(quick("g1"), "nothing", Options(1))


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file for each study, a page, results as JSON, and all verdicts at the end."""
    folder, page, file = tmp_path / "studies", tmp_path / "all.html", tmp_path / "all.json"
    outputs = ["--html", str(page), "--json", str(file)]
    assert run([*QUICK, "--records", str(folder), "--within", "1m", *outputs]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[-1].startswith("Of 2 tested claims ")
    summary = lines[-4:-2]
    assert [line.split()[:3] for line in summary] == [["g1", "ARM", "x1"], ["g4", "CPU", "c=32"]]
    assert "g4: ShuffleNet V2, Table 4: without ReLU" in printed.out
    assert sorted(path.name for path in folder.iterdir()) == ["g1.jsonl", "g4.jsonl"]
    assert [record.runner.split(" / ")[0] for record in read_records(folder / "g4.jsonl")] == (
        ["g4"] * 4
    )
    assert [result["study"] for result in json.loads(file.read_text())] == ["g1", "g4"]
    assert "<html" in page.read_text()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run([*QUICK, "--records", str(folder)]) == 0
    assert capsys.readouterr().out == printed.out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # A damaged file is said before anything is timed, and stays as it is.
    (folder / "g4.jsonl").write_bytes(before["g4.jsonl"][:-40])
    assert run([*QUICK, "--records", str(folder)]) == 1
    assert "g4.jsonl, line 4: not JSON" in capsys.readouterr().err


def test_the_command_interrupted_or_out_of_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(self: Bar, text: str, share: float) -> None:
        if text.startswith("preparing g4"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Bar, "show", show)
    assert run([*QUICK, "--records", str(tmp_path)]) == INTERRUPTED
    said = capsys.readouterr()
    assert "interrupted; what was measured until then is kept" in said.err
    assert said.out.splitlines()[-1].startswith("Of 1 tested claim ")
    assert [path.name for path in tmp_path.iterdir()] == ["g1.jsonl"]
    assert run([*QUICK, "--records", str(tmp_path), "--within", "1ms"]) == 0
    said = capsys.readouterr()
    assert "no time was left for g4 / CPU c=32: the same command goes on" in said.err
    assert said.out.splitlines()[-1].startswith("Of 1 tested claim ")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["study", "g1", "--within", "1m"], 2, "--within is for several studies"),
        (["study", "g1", "g2", "--png", "x.png"], 2, "--png draws one study"),
        (["study", "g1", "g9"], 2, "unknown study 'g9'"),
        (["study", "g1", "g2", "--columns", "TPU"], 2, "g2 has no columns 'TPU'"),
        (["study", "all", "--within", "soon"], 2, "'soon' is no duration"),
        (["study", "g1", "g2", "--records", "/nowhere/at/all"], 1, "/nowhere"),
        (["study", "g1", "--html", "/nowhere/at/all.html"], 1, "/nowhere"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(args) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_of_several_studies_those_without_such_columns_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only G1 has columns of an ARM machine."""
    args = ["study", "g1", "g4", "--columns", "ARM x1", "--engine", "eager", "--budget", "300ms"]
    assert run(args) == 0
    assert "g4" not in capsys.readouterr().out


def test_records_of_several_studies_need_a_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["study", "g1", "g2", "--records", str(tmp_path / "file")]) == 1
    assert "it is no folder" in capsys.readouterr().err


def test_timings_that_two_studies_show_are_taken_once() -> None:
    """Under the name of the study whose they are, whichever comes first."""
    cases = tuple(
        Case(f"{width} channels", partial(nn.Conv2d, 3, width, 3), (3, 8, 8), ())
        for width in (4, 8)
    )
    owner = Study("owner", "widths", "A paper, Table 1", "", (Series("all", (), cases),))
    figure = Study("figure", "widths", "A paper, Figure 1", "", (Series("all", (), cases[:1]),),
                   timings=owner)  # fmt: skip
    told: list[str] = []
    telling = SweepTelling(preparing=lambda text, share: told.append(text))
    wanted = [(figure, figure.series), (owner, owner.series)]
    sweep = run_studies(wanted, "eager", Options(1), 1, Budget(0.3), telling=telling)
    assert told == ["owner / all / 4 channels", "owner / all / 8 channels"]
    assert [(one.study, len(one.records)) for one in sweep.results] == [("figure", 1), ("owner", 2)]
