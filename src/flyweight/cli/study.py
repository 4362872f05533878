"""`flyweight study`: a paper's experiment, run on this machine."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.arguments import positive, seconds
from flyweight.cli.keeping import INTERRUPTED
from flyweight.cli.options import Batch, Html, NoTune, Precision, Threads
from flyweight.cli.output import Bar, note, table
from flyweight.cli.studying import Outputs, kept_records, print_result, run_several
from flyweight.errors import UsageError
from flyweight.records import write_records

if TYPE_CHECKING:
    from flyweight.engines import Options
    from flyweight.studies import Series, Study


MOST_COLUMNS = 4
"""So many are listed by name."""
CPU, GPU = ("CPU", "ARM"), ("GPU",)
"""How columns begin that are for an engine's kind of machine; the first ones there are."""


class Joined(StrEnum):
    """What becomes of G3's parallel fragments."""

    add = "add"
    concat = "concat"


def study_command(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Studies' names, 'all', or 'list'.")
    ],
    engine: Annotated[
        str | None,
        typer.Option(
            help="native, eager, compile, onnxruntime, openvino, or with an NVIDIA GPU cuda-eager,"
            " cuda-graph or cuda-compile; native if not given, or onnxruntime where there is no C"
            " compiler."
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
    precision: Precision = "float32",
    budget: Annotated[
        str, typer.Option(help="Time for each column of four networks: 10s, 1m.")
    ] = "10s",
    within: Annotated[
        str | None,
        typer.Option(
            help="Time for several studies together, preparing included: 40m. Columns get less"
            " than --budget, or none, where that is needed."
        ),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            help="Keep samples in this file (JSON Lines; of several studies in a file each in this"
            " folder), and time only what it lacks."
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write results and samples; '-' is stdout.")
    ] = None,
    html: Html = None,
    png: Annotated[Path | None, typer.Option(help="Draw the paper's speeds and ours.")] = None,
) -> int:
    """Repeat papers' experiments on this machine: their figures, ours, and whether claims hold.

    Where the paper has other networks for its GPU than for CPUs, those of the engine's kind are
    timed without --columns. What isn't timed, but counted or computed, needs no engine.

    Example: flyweight study g2 --engine onnxruntime --quick

    Example: flyweight study all --records studies --within 40m --html studies.html

    Example: flyweight study list
    """
    from flyweight.engines import engine_named
    from flyweight.studies import STUDIES, Budget, study_named

    if names == ["list"]:
        _list(list(STUDIES.values()))
        return 0
    several = len(names) > 1 or names == ["all"]
    if within is not None and not several:
        raise UsageError("--within is for several studies; one has --budget")
    found = [
        study_named(name, joined.value, middle, model, weights)
        for name in (STUDIES if names == ["all"] else names)
    ]
    studies = list({study.name: study for study in found}.values())
    on_gpu = engine is not None and engine_named(engine).gpu
    wanted = _wanted(studies, columns, quick, GPU if on_gpu else CPU)
    positive("the batch", batch)
    time = Budget(seconds(budget), None if within is None else seconds(within))
    outputs = Outputs(several, records, json, html, png)
    outputs.check()

    from flyweight.cli.preparing import usual_engine
    from flyweight.engines import Options

    options = Options(threads, precision, tune=not no_tune)
    engine = engine or usual_engine(False)
    if several:
        return run_several(wanted, engine, options, batch, time, outputs)
    return _run_one(*wanted[0], engine, options, batch, time.series_s, outputs)


def _run_one(
    study: "Study",
    series: "Sequence[Series]",
    engine: str,
    options: "Options",
    batch: int,
    budget_s: float,
    outputs: Outputs,
) -> int:
    from flyweight.studies import Telling, run_study

    records = outputs.records
    known = [] if records is None else kept_records(records)
    with Bar() as bar:
        telling = Telling(
            preparing=lambda text, share: bar.show(f"preparing {text}", share),
            progress=bar.step,
            failed=lambda case, error: note(f"flyweight: left out: {case}: {error}"),
            keep=lambda all_: None if records is None else write_records(records, all_),
        )
        result = run_study(study, engine, options, batch, budget_s, series, known, telling)
    if not outputs.quiet:
        print_result(result)
    outputs.write([result])
    if not result.complete:
        note("flyweight: interrupted; what was measured until then is shown")
        return INTERRUPTED
    return 0


def _wanted(
    studies: "Sequence[Study]", begin: str | None, quick: bool, platforms: Sequence[str]
) -> list[tuple["Study", list["Series"]]]:
    """The studies with their columns; of several those that have no such columns are left out."""
    found: list[tuple[Study, list[Series]]] = []
    for study in studies:
        try:
            found.append((study, _columns(study, begin, quick, platforms)))
        except UsageError:
            if study is studies[-1] and not found:
                raise
    return found


def _columns(
    study: "Study", begin: str | None, quick: bool, platforms: Sequence[str]
) -> list["Series"]:
    if begin is None:
        there = {one.name.split()[0] for one in study.series}
        begin = next((name for name in platforms if name in there), "")
    found = [one for one in study.series if one.name.lower().startswith(begin.lower())]
    if begin and not found:
        names = ", ".join(one.name for one in study.series) or "none"
        raise UsageError(f"{study.name} has no columns {begin!r}; it has {names}")
    return found[:1] if quick else found


def _list(studies: Sequence["Study"]) -> None:
    """All studies, under their papers."""
    from flyweight.studies.catalogue import NOT_A_STUDY

    by_paper: dict[str, list[Study]] = {}
    for study in studies:
        by_paper.setdefault(study.source.partition(", ")[0], []).append(study)
    for index, (paper, found) in enumerate(by_paper.items()):
        rows = [
            [one.name, one.source.partition(", ")[2], one.title, _columns_said(one)]
            for one in found
        ]
        table([paper, "where:", "what is shown:", "columns:"], rows, "" if index == 0 else " ")
    print(f"\n{NOT_A_STUDY[:1].upper()}{NOT_A_STUDY[1:]}.")


def _columns_said(study: "Study") -> str:
    """A study's columns; of many the first and the last."""
    names = [series.name for series in study.series]
    if len(names) > MOST_COLUMNS:
        return f"{names[0]}, ... {names[-1]} ({len(names)})"
    return ", ".join(names) or "computed"
