"""`flyweight bench`: how long networks take on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from flyweight.cli.arguments import Subject, forms, image, seconds, subjects
from flyweight.cli.keeping import INTERRUPTED, STDOUT, Keeper, measured
from flyweight.cli.options import (
    Batch,
    Both,
    Budget,
    Html,
    Input,
    Lowered,
    NoTune,
    Plain,
    Png,
    Precision,
    Records,
    Threads,
)
from flyweight.cli.output import Bar, millions, note, one_decimal, table
from flyweight.errors import FlyweightError, UsageError
from flyweight.files import check_writable
from flyweight.measuring import Measurements

LEVELS = (40, 140, 300, 500)

Engines = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        help="native, eager, compile, onnxruntime, openvino, or with an NVIDIA GPU cuda-eager,"
        " cuda-graph or cuda-compile; repeatable. Without it native, or onnxruntime for --lowered"
        " and --both, and where there is no C compiler.",
    ),
]


def bench_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME, 'PATTERN*', or package.module:factory, each [@SIZE][/ENGINE[+lowered]]."
        ),
    ] = None,
    engine: Engines = None,
    level: Annotated[
        list[int] | None,
        typer.Option(
            help="Networks of a level (MFLOPs: 40, 140, 300, 500) of the ShuffleNet V2 paper's"
            " Table 8, each at its own input size; repeatable."
        ),
    ] = None,
    plain: Plain = False,
    lowered: Lowered = False,
    both: Both = False,
    precision: Precision = "float32",
    no_tune: NoTune = False,
    threads: Threads = 1,
    batch: Batch = 1,
    input: Input = "224",
    budget: Budget = "60s",
    json: Records = None,
    html: Html = None,
    png: Png = None,
) -> int:
    """Measure networks against each other, interleaved, and explain what was measured.

    Networks by name get random weights, with norms and biases as training leaves them.

    Example: flyweight bench shufflenet_v2_x1_0 mobilenet_v2_x1_0 --budget 20s

    Example: flyweight bench shufflenet_v2_x1_0 --engine native --engine onnxruntime

    Example: flyweight bench shufflenet_v2_x1_0 --engine openvino --both
    """
    wanted = _wanted(names or [], level or [])
    in_forms = forms(plain, lowered, both)
    size, budget_s, keeper = image(input), seconds(budget), Keeper(json)
    for path in (html, png):
        if path is not None:
            check_writable(path)

    from flyweight.cli.preparing import jobs, prepare
    from flyweight.engines import Options

    options = Options(threads, precision, not no_tune)
    todo = jobs(wanted, engine or [], size, in_forms)
    with Bar() as bar:
        prepared = prepare(todo, options, batch, bar)
        for failure in prepared.failures:
            note(f"flyweight: left out: {failure}")
        if not prepared.runners:
            raise FlyweightError("nothing is left to measure")
        count = len(prepared.runners)
        what = f"{count} runners, interleaved," if count > 1 else "1 runner"
        note(f"measuring {what} for {budget_s:g} s")
        measurements, interrupted = measured(prepared.runners, budget_s, keeper, bar)
    if json != STDOUT:
        _print(measurements)
    keeper.finish(measurements.records)
    _report(measurements, html, png)
    if interrupted:
        note("flyweight: interrupted; what was measured until then is kept")
        return INTERRUPTED
    return 1 if prepared.failures else 0


def _wanted(names: list[str], levels: list[int]) -> list[Subject]:
    from flyweight.zoo import table8_entries

    for level in levels:
        if level not in LEVELS:
            raise UsageError(f"no level {level}: Table 8 has 40, 140, 300 and 500")
    found = subjects(names)
    found += [Subject(name, size) for name, size in table8_entries(levels)]
    if not found:
        raise UsageError("nothing to measure: name networks, or give --level 40")
    return list(dict.fromkeys(found))


def _report(measurements: Measurements, html: Path | None, png: Path | None) -> None:
    from flyweight import report

    if html is not None:
        report.write_html(measurements.records, html)
        note(f"wrote {html}")
    if png is not None:
        report.write_png(measurements.records, png)
        note(f"wrote {png}")


def _print(measurements: Measurements) -> None:
    """The table, the suspicions, and two sentences on what it shows."""
    from flyweight import report

    records = sorted(measurements.records, key=lambda record: record.median_s)
    fastest = records[0]
    rows = []
    for record in records:
        ratio = measurements.ratio(record.runner, fastest.runner)
        network = record.network
        rows.append(
            [
                record.runner,
                f"{record.median_s * 1e3:.2f}",
                f"{record.iqr_s / record.median_s:.1%}",
                "1 (fastest)"
                if record is fastest
                else f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})",
                millions(network.madds) if network else "",
                one_decimal(network.top1_error) if network else "",
            ]
        )
    about = fastest.environment
    title = (
        f"{about.cpu} with {about.cores} cores; threads {about.threads}, batch {about.batch},"
        f" {about.dtype}, {fastest.n} rounds\nratio of times with its 95% interval; FLOPs in"
        " millions of multiply-adds; error as published (%)"
    )
    table(["network/engine", "ms", "spread", "ratio", "FLOPs", "error"], rows, title)
    _print_forms(measurements)
    for sentence in dict.fromkeys(w for record in records for w in record.warnings):
        of = [record.runner for record in records if sentence in record.warnings]
        whose = "" if len(of) == len(records) else f"{', '.join(of)}: "
        print(f"Doubt: {whose}{sentence}")
    print(f"\n{report.summary(measurements.records)}")


def _print_forms(measurements: Measurements) -> None:
    """What lowering made of every network that was measured in both forms."""
    from flyweight.cli.preparing import lowered_key

    measured_keys = {record.runner for record in measurements.records}
    for record in measurements.records:
        if (key := lowered_key(record.runner)) in measured_keys:
            ratio = measurements.ratio(key, record.runner)
            interval = f"({ratio.low:.2f}-{ratio.high:.2f})"
            print(f"{record.runner}: lowered/plain {ratio.value:.2f} {interval}")
