"""`flyweight study`: a paper's experiment, run on this machine."""

import json as json_module
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.arguments import positive, seconds
from flyweight.cli.keeping import INTERRUPTED, STDOUT
from flyweight.cli.options import Batch, NoTune, Threads
from flyweight.cli.output import Bar, note, table
from flyweight.errors import UsageError
from flyweight.files import check_writable, replaced
from flyweight.records import read_records, write_records

if TYPE_CHECKING:
    from flyweight.studies import Series, Study, StudyResult, Table


class Joined(StrEnum):
    """What becomes of G3's parallel fragments."""

    add = "add"
    concat = "concat"


def study_command(
    name: Annotated[str, typer.Argument(help="A study's name, or 'list'.")],
    engine: Annotated[
        str | None,
        typer.Option(
            help="native, eager, compile, onnxruntime or openvino; native if not given, or"
            " onnxruntime where there is no C compiler."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Only columns whose name begins so: GPU, 'CPU x1', 40M, 320x320."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the first columns: the smallest networks.")
    ] = False,
    joined: Annotated[Joined, typer.Option(help="How G3 joins parallel fragments.")] = Joined.add,
    middle: Annotated[
        int, typer.Option(help="What G4's channels are divided by in the middle.", min=1, max=32)
    ] = 4,
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights for figure4, of --model.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="The network that the weights are for.")
    ] = "shufflenet_v2_x1_0",
    no_tune: NoTune = False,
    threads: Threads = 1,
    batch: Batch = 1,
    budget: Annotated[
        str, typer.Option(help="Time for each column of four networks: 10s, 1m.")
    ] = "10s",
    records: Annotated[
        Path | None,
        typer.Option(help="Keep samples in this file (JSON Lines), and time only what it lacks."),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write results and samples; '-' is stdout.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the paper's speeds and ours.")] = None,
) -> int:
    """Repeat a paper's experiment on this machine: its figures, ours, and whether its claim holds.

    Where the paper has other networks for its GPU than for CPUs, those for CPUs are timed without
    --columns. What isn't timed, but counted or computed, needs no engine.

    Example: flyweight study g2 --engine onnxruntime --quick

    Example: flyweight study list
    """
    from flyweight.studies import STUDIES, Telling, run_study, study_named

    if name == "list":
        _list(list(STUDIES.values()))
        return 0
    study = study_named(name, joined.value, middle, model, weights)
    wanted = _columns(study, columns, quick)
    positive("the batch", batch)
    budget_s = seconds(budget)
    for path in (png, records, None if json in (None, STDOUT) else Path(json or "")):
        if path is not None:
            check_writable(path)

    from flyweight.cli.preparing import usual_engine
    from flyweight.engines import Options

    known = read_records(records) if records is not None and records.exists() else []
    with Bar() as bar:
        telling = Telling(
            preparing=lambda text, share: bar.show(f"preparing {text}", share),
            progress=bar.step,
            failed=lambda case, error: note(f"flyweight: left out: {case}: {error}"),
            keep=lambda all_: None if records is None else write_records(records, all_),
        )
        result = run_study(
            study, engine or usual_engine(False), Options(threads, tune=not no_tune), batch,
            budget_s, wanted, known, telling,
        )  # fmt: skip
    if json != STDOUT:
        _print(result)
    _keep(result, json)
    if png is not None:
        from flyweight.report.studies import write_study_png

        write_study_png(result, png)
    if not result.complete:
        note("flyweight: interrupted; what was measured until then is shown")
        return INTERRUPTED
    return 0


def _columns(study: "Study", begin: str | None, quick: bool) -> list["Series"]:
    if begin is None:
        platforms = {one.name.split()[0] for one in study.series}
        begin = next((name for name in ("CPU", "ARM") if name in platforms), "")
    found = [one for one in study.series if one.name.lower().startswith(begin.lower())]
    if begin and not found:
        names = ", ".join(one.name for one in study.series) or "none"
        raise UsageError(f"{study.name} has no columns {begin!r}; it has {names}")
    return found[:1] if quick else found


def _list(studies: Sequence["Study"]) -> None:
    """All studies, under their papers."""
    by_paper: dict[str, list[Study]] = {}
    for study in studies:
        by_paper.setdefault(study.source.partition(", ")[0], []).append(study)
    for index, (paper, found) in enumerate(by_paper.items()):
        rows = [
            [one.name, one.source.partition(", ")[2], one.title,
             ", ".join(series.name for series in one.series) or "computed"]
            for one in found
        ]  # fmt: skip
        table([paper, "where:", "what is shown:", "columns:"], rows, "" if index == 0 else " ")


def _print(result: "StudyResult") -> None:
    print(
        f"{result.source}: {result.claim}?" if result.claim else f"{result.source}: {result.title}"
    )
    if result.setting is not None:
        print(result.setting.text)
    if result.reading:
        print(f"our reading: {result.reading}")
    for series in result.series:
        print()
        _print_table(series.table)
        for verdict in series.verdicts:
            print(verdict.sentence)
    for computed in result.computed:
        print()
        _print_table(computed)
    if result.together is not None:
        print(f"\n{result.together.sentence}")


def _print_table(shown: "Table") -> None:
    headings = [shown.name] + [
        column.heading + ":" * (column.kind == "note") for column in shown.columns[1:]
    ]
    table(headings, shown.texts())


def _keep(result: "StudyResult", target: str | None) -> None:
    if target is None:
        return
    text = json_module.dumps(result.to_json(), indent=2) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    with replaced(Path(target)) as temporary:
        temporary.write_text(text, encoding="utf-8")
