"""`flyweight compare`: is one faster than the other, and can the difference be trusted?"""

from typing import Annotated

import typer

from flyweight.cli.arguments import Subject, engine_form, image, seconds, subject
from flyweight.cli.keeping import INTERRUPTED, STDOUT, Keeper, measured
from flyweight.cli.options import Batch, Budget, Input, NoTune, Precision, Records, Threads
from flyweight.cli.output import Bar, note
from flyweight.errors import FlyweightError, UsageError
from flyweight.measuring import Measurements


def compare_command(
    a: Annotated[
        str,
        typer.Argument(help="NAME[@SIZE][/ENGINE[+lowered]], or ENGINE[+lowered] with --model."),
    ],
    b: Annotated[str, typer.Argument(help="Likewise.")],
    model: Annotated[
        str | None, typer.Option(help="The network on which A and B, two engines, are compared.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="The engine of networks without one; as 'flyweight bench' if not given."),
    ] = None,
    precision: Precision = "float32",
    no_tune: NoTune = False,
    threads: Threads = 1,
    batch: Batch = 1,
    input: Input = "224",
    budget: Budget = "15s",
    json: Records = None,
) -> int:
    """Compare two networks, or two engines: the ratio of their times with its 95% interval.

    Example: flyweight compare shufflenet_v2_x1_0 mobilenet_v2_x1_0

    Example: flyweight compare native onnxruntime --model shufflenet_v2_x1_0

    Example: flyweight compare openvino openvino+lowered --model shufflenet_v2_x1_0
    """
    wanted = [_side(a, model), _side(b, model)]
    size, budget_s, keeper = image(input), seconds(budget), Keeper(json)

    from flyweight.cli.preparing import jobs, prepare
    from flyweight.engines import Options

    options = Options(threads, precision, not no_tune)
    todo = jobs(wanted, [engine] if engine else [], size)
    if len(todo) < 2:
        raise UsageError(f"both sides are {todo[0].key}: there is nothing to compare")
    with Bar() as bar:
        prepared = prepare(todo, options, batch, bar)
        if prepared.failures:
            raise FlyweightError("; ".join(prepared.failures))
        measurements, interrupted = measured(prepared.runners, budget_s, keeper, bar)
    if json != STDOUT:
        _print(measurements, *(job.key for job in todo))
    keeper.finish(measurements.records)
    if interrupted:
        note("flyweight: interrupted; what was measured until then is kept")
        return INTERRUPTED
    return 0


def _side(text: str, model: str | None) -> Subject:
    from flyweight.engines import ENGINES

    if text.partition("+")[0] not in ENGINES:
        return subject(text)
    engine, lowered = engine_form(text)
    if model is None:
        raise UsageError(f"{text!r} is an engine: say on which network, with --model NAME")
    on = subject(model)
    return Subject(on.model, on.size, engine, lowered)


def _print(measurements: Measurements, a: str, b: str) -> None:
    for key in (a, b):
        record = measurements.record(key)
        spread = record.iqr_s / record.median_s
        print(f"{key}: {record.median_s * 1e3:.2f} ms (spread {spread:.1%}, {record.n} rounds)")
    ratio = measurements.ratio(a, b)
    interval = f"95% interval {ratio.low:.3f} to {ratio.high:.3f}"
    if not ratio.differs:
        print(f"No difference measured: ratio {ratio.value:.3f}, {interval}.")
    elif ratio.value < 1:
        print(f"{a} is {1 / ratio.value:.2f} times faster: ratio {ratio.value:.3f}, {interval}.")
    else:
        print(f"{b} is {ratio.value:.2f} times faster: ratio {ratio.value:.3f}, {interval}.")
    for sentence in dict.fromkeys(w for r in measurements.records for w in r.warnings):
        print(f"Doubt: {sentence}")
