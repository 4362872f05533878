"""`flyweight decompose`: where a network's time goes."""

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.arguments import Subject, engine_form, image, positive, seconds, subject
from flyweight.cli.keeping import INTERRUPTED, STDOUT
from flyweight.cli.options import Batch, Input, Lowered, NoTune, Threads
from flyweight.cli.output import Bar, millions, note, table
from flyweight.errors import CaptureError, FlyweightError, UsageError
from flyweight.files import check_writable, replaced

if TYPE_CHECKING:
    from flyweight.cli.preparing import Job
    from flyweight.decomposing import Decomposition, Part, Peaks
    from flyweight.decomposing import Subject as Prepared
    from flyweight.engines import Options

TOP = 15


def decompose_command(
    name: Annotated[str, typer.Argument(help="A network's name, or package.module:factory.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine",
            help="eager, onnxruntime, openvino or native, each [+lowered]; repeatable, or with"
            " commas. Without it native, or onnxruntime where there is no C compiler.",
        ),
    ] = None,
    lowered: Lowered = False,
    no_tune: NoTune = False,
    threads: Threads = 1,
    batch: Batch = 1,
    input: Input = "224",
    budget: Annotated[str, typer.Option(help="Time for each engine: 10s, 1m.")] = "10s",
    top: Annotated[int, typer.Option(help="Operations to show, the slowest first.", min=0)] = TOP,
    json: Annotated[
        str | None, typer.Option("--json", help="Write all of it; '-' is stdout.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="Draw the classes, engine by engine, and the roofline.")
    ] = None,
) -> int:
    """Say where a network's time goes: by class and operation, with what bounds each of them.

    Parts are timed by the engine's profiler and fitted to the time without it; the residual is
    what lies between them.

    Example: flyweight decompose shufflenet_v2_x1_0 --engine eager --engine native --png where.png

    Example: flyweight decompose my_package.my_module:my_network --engine openvino --json -
    """
    wanted, size, budget_s = _wanted(name, engine or []), image(input), seconds(budget)
    positive("the batch", batch)
    for path in (png, None if json in (None, STDOUT) else Path(json or "")):
        if path is not None:
            check_writable(path)

    from flyweight.cli.preparing import jobs
    from flyweight.decomposing import check, decompose_all
    from flyweight.engines import Options

    options = Options(threads, tune=not no_tune)
    todo = jobs(wanted, [], size, (lowered,))
    for job in todo:
        check(job.engine, options, job.lowered, budget_s)
    found: list[Decomposition] = []
    interrupted = False
    with Bar() as bar:
        prepared, failures = _prepare(todo, options, batch, bar)
        for failure in failures:
            note(f"flyweight: left out: {failure}")
        if not prepared:
            raise FlyweightError("nothing is left to decompose")
        try:
            for one in decompose_all(
                prepared, budget_s, bar.step, lambda text: bar.show(text, 0.0)
            ):
                found.append(one)
        except KeyboardInterrupt:
            if not found:
                raise
            interrupted = True
    if json != STDOUT:
        _print(found, top)
    _keep(found, json)
    if png is not None:
        from flyweight.report.decomposition import write_decomposition_png

        write_decomposition_png(found, png)
        note(f"wrote {png}")
    if interrupted:
        note("flyweight: interrupted; the engines that were done are shown")
        return INTERRUPTED
    return 1 if failures else 0


def _wanted(name: str, engines: list[str]) -> list[Subject]:
    """The network on each engine that is named, or on the usual one."""
    one = subject(name)
    names = [text.strip() for several in engines for text in several.split(",")]
    if one.engine and names:
        raise UsageError(f"{name!r} names an engine already: leave --engine out")
    if not names:
        return [one]
    forms = [engine_form(text) for text in names]
    return [Subject(one.model, one.size, engine, lowered) for engine, lowered in forms]


def _prepare(
    todo: "list[Job]", options: "Options", batch: int, bar: Bar
) -> "tuple[dict[str, Prepared], list[str]]":
    """What is to be decomposed, by key, and what couldn't be prepared."""
    from dataclasses import replace

    import numpy as np
    import torch

    from flyweight.api import to_decompose, to_time

    prepared: dict[str, Prepared] = {}
    failures = []
    torch.manual_seed(0)
    model = to_time(todo[0].model)
    for index, job in enumerate(todo):
        bar.show(f"preparing {job.key}", index / len(todo))
        example = np.random.default_rng(0).standard_normal((batch, *job.image), np.float32)
        try:
            made = to_decompose(model, example, job.engine, options, job.lowered)
        except CaptureError as error:
            failures.append(f"{job.key}: {error}")
            continue
        prepared[job.key] = replace(made, runner=replace(made.runner, network=job.model))
    return prepared, failures


def _print(found: "list[Decomposition]", top: int) -> None:
    about, network = found[0].record.environment, found[0].network
    print(
        f"{network} on {_dimensions(about.input or ())}: {about.cpu} with {about.cores} cores,"
        f" threads {about.threads}, {about.dtype}"
    )
    peaks = found[0].peaks
    print(_peaks(peaks) if peaks else f"No bounds are known: {found[0].why_no_peaks}")
    for one in found:
        print()
        _print_one(one, top)


def _peaks(peaks: "Peaks") -> str:
    sizes = ", ".join(
        f"{speed / 1e9:,.0f} ({_bytes(size)})"
        for size, speed in zip(peaks.sizes, peaks.bytes_per_s, strict=True)
    )
    return (
        f"this machine at its best: {peaks.madds_per_s / 1e9:.1f} G multiply-adds/s; GB/s in arrays"
        f" of so many bytes: {sizes}"
    )


def _print_one(one: "Decomposition", top: int) -> None:
    record, inflation = one.record, one.inflation
    print(
        f"{one.engine}: {record.median_s * 1e3:.3f} ms ({record.q1_s * 1e3:.3f} to"
        f" {record.q3_s * 1e3:.3f}, {record.n} rounds). Parts by {one.profiler}, {one.calls} calls;"
        f"\nprofiled it takes {inflation.value:.2f} times as long"
        f" ({inflation.low:.2f}-{inflation.high:.2f})"
    )
    rows = [
        [kind, str(group.operations), _ms(group.seconds), f"{group.share:.1%}",
         millions(group.madds) if group.madds else ""]
        for kind, group in one.by_kind().items()
    ]  # fmt: skip
    rows.append(["residual", "", _ms(one.residual_s), f"{one.residual_share:.1%}", ""])
    madds = sum(part.operation.madds for part in one.parts)
    rows.append(["total", str(len(one.parts)), _ms(one.total_s), "100.0%", millions(madds)])
    table(["class", "operations", "ms", "share", "M madds"], rows)
    for bound, group in one.by_bound().items():
        count = f"{group.operations} operation{'s' if group.operations != 1 else ''}"
        print(f"{bound}: {count}, {_ms(group.seconds)} ms ({group.share:.1%})")
    if top:
        print()
        table(
            ["operation:", "module:", "output:", "M madds", "kB", "us", "share", "G madds/s",
             "GB/s", "/ limit", "bound:"],
            [_row(part, one.total_s) for part in one.slowest(top)],
        )  # fmt: skip
    for sentence in record.warnings:
        print(f"Doubt: {sentence}")


def _row(part: "Part", total_s: float) -> list[str]:
    operation, bound, took = part.operation, part.bound, part.seconds
    return [
        operation.operation,
        operation.name,
        _dimensions(operation.output),
        millions(operation.madds) if operation.madds else "",
        "" if operation.bytes is None else f"{operation.bytes / 1e3:,.0f}",
        f"{took * 1e6:,.1f}",
        f"{took / total_s:.1%}",
        f"{operation.madds / took / 1e9:.1f}" if operation.madds and took else "",
        f"{operation.bytes / took / 1e9:.1f}" if operation.bytes and took else "",
        f"{took / bound.limit_s:,.1f}" if bound.limit_s else "",
        bound.verdict,
    ]


def _keep(found: "list[Decomposition]", target: str | None) -> None:
    if target is None:
        return
    content = {"network": found[0].network, "decompositions": [one.to_json() for one in found]}
    text = json_module.dumps(content, indent=2) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    with replaced(Path(target)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _ms(seconds_: float) -> str:
    return f"{seconds_ * 1e3:.3f}"


def _bytes(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def _dimensions(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
