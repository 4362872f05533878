"""From a trained network to its int8 forms: lowered, quantised, judged, timed, then kept."""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from flyweight.engines import Options, Runner, engine_named
from flyweight.errors import UsageError
from flyweight.evaluating import Answered, Step, change, evaluate_together
from flyweight.exporting import Source
from flyweight.files import check_folder, replaced_together
from flyweight.measuring import MeasurementInterrupted, Measurements, Progress, measure
from flyweight.quantizing.photographs import Photographs
from flyweight.quantizing.preparing import Subject, lowered_onnx, prepared
from flyweight.quantizing.result import Form, Pair, Quantized
from flyweight.quantizing.settings import Settings
from flyweight.quantizing.tools import Tool, scores_of, tools_named
from flyweight.records import NetworkFacts

FLOAT, INT8 = "float32", "int8"


@dataclass(frozen=True)
class Timing:
    """How forms are timed against each other.

    Attributes:
        threads: CPU threads of each.
        budget_s: seconds for all together.
        beside: further engines that the network is timed on in float32, in the same rounds.
        facts: what is known of the network, for the records.
    """

    threads: int = 1
    budget_s: float = 20.0
    beside: tuple[str, ...] = ()
    facts: NetworkFacts | None = None


@dataclass(frozen=True)
class Watch:
    """What is told while it runs.

    Attributes:
        doing: a line and the share of the work that is done.
        timing: after each round.
    """

    doing: Callable[[str, float], None] = lambda text, share: None
    timing: Callable[[Progress], None] = lambda progress: None


def quantize(
    source: Source,
    photographs: Photographs,
    engines: Sequence[str] = ("onnxruntime",),
    settings: Settings | None = None,
    timing: Timing | None = None,
    out: Path | None = None,
    force: bool = False,
    watch: Watch | None = None,
) -> Quantized:
    """Quantise a trained network to int8 for some engines, and say what that costs and brings.

    The network is lowered for each engine, written as ONNX and quantised by the engine's own tool:
    static, after training, int8 weights per output channel, ranges from real images. Both forms
    then name the same labelled images, none of which was calibrated on, and are timed in the same
    rounds. The network is not changed.

    Args:
        source: `flyweight.exporting.from_zoo(name, weights)` or `from_module(...)`.
        photographs: the images.
        engines: "onnxruntime", "openvino" (which needs NNCF).
        settings: how to quantise.
        timing: how to time.
        out: a folder for the int8 files; None keeps none.
        force: overwrite files in it.
        watch: called on the way.

    Raises:
        UsageError: an unknown engine or layer, images in both sets, a network that doesn't take
            such images, or files that are there already.
        WeightsError: weights that are not finite.
        CaptureError: a network that can't be captured, lowered or run on an engine.
        FlyweightError: a tool isn't installed or fails, or files can't be read or written.
    """
    settings, timing, watch = settings or Settings(), timing or Timing(), watch or Watch()
    tools = tools_named(engines)
    if not tools:
        raise UsageError("name an engine to quantise for")
    Options(timing.threads)
    for engine in timing.beside:
        engine_named(engine).check(Options(timing.threads))
    stem = re.sub(r"[^\w.-]+", "_", source.network)
    kept = _kept(out, force, stem, tools)
    subject = prepared(source, photographs, settings)
    with tempfile.TemporaryDirectory(prefix="flyweight.") as folder:
        runners, files = _forms(tools, subject, settings, timing, Path(folder), watch)
        answered = _judged(runners, subject, photographs, timing.threads, watch)
        beside = _beside(subject, timing)
        measured, interrupted = _measured({**runners, **beside}, timing.budget_s, watch)
        pairs = tuple(
            _pair(tool, source, settings, answered, measured, files, kept) for tool in tools
        )
        for engine, targets in kept.items():
            _keep(files[_key(source, engine, INT8)], targets)
    first = next(iter(answered.values())).evaluation
    return Quantized(
        network=source.network,
        weights=source.weights,
        data=photographs.data,
        calibrated=len(subject.calibration),
        skipped=(*subject.calibration.skipped, *first.skipped),
        pairs=pairs,
        beside=tuple(measured.record(name) for name in beside),
        interrupted=interrupted,
    )


def _forms(
    tools: Sequence[Tool],
    subject: Subject,
    settings: Settings,
    timing: Timing,
    folder: Path,
    watch: Watch,
) -> tuple[dict[str, Runner], dict[str, tuple[Path, ...]]]:
    """Runners of both forms on each engine, and the files that they were made from."""
    runners: dict[str, Runner] = {}
    files: dict[str, tuple[Path, ...]] = {}
    network, example = subject.source.network, subject.example
    for number, tool in enumerate(tools):
        watch.doing(f"quantising for {tool.engine}", number / len(tools))
        for dtype, path in _written(tool, subject, settings, folder).items():
            name = _key(subject.source, tool.engine, dtype)
            runner = tool.load().load(path, network, example, timing.threads, dtype)
            runners[name] = replace(runner, facts=timing.facts)
            files[name] = tool.files(path)
    return runners, files


def _beside(subject: Subject, timing: Timing) -> dict[str, Runner]:
    """Runners of further engines, in float32."""
    options = Options(timing.threads)
    runners = {
        engine: engine_named(engine).load()(subject.source.model, subject.example, options)
        for engine in timing.beside
    }
    return {
        f"{subject.source.network}/{engine}": replace(runner, facts=timing.facts)
        for engine, runner in runners.items()
    }


def _written(tool: Tool, subject: Subject, settings: Settings, folder: Path) -> dict[str, Path]:
    """The network's files in both forms, by dtype."""
    quantizer = tool.load()
    proto, entries = lowered_onnx(subject, tool.engine)
    paths = {dtype: folder / f"{tool.engine}.{dtype}{tool.suffixes[0]}" for dtype in (FLOAT, INT8)}
    quantizer.write_float(proto, paths[FLOAT])
    about = {"images": len(subject.calibration), **quantizer.about(settings)}
    entries = {**entries, "quantized": about}
    quantizer.write_int8(proto, subject.calibration, settings, entries, paths[INT8])
    return paths


def _key(source: Source, engine: str, dtype: str) -> str:
    """What a form's runner is called."""
    form = f"{source.network}/{engine}+lowered"
    return form if dtype == FLOAT else f"{form} {dtype}"


def _judged(
    runners: Mapping[str, Runner],
    subject: Subject,
    photographs: Photographs,
    threads: int,
    watch: Watch,
) -> dict[str, Answered]:
    def step(done: Step) -> None:
        text = f"{done.done} of {done.total} images in {len(runners)} forms"
        watch.doing(text, done.done / done.total)

    scores = {name: partial(scores_of, runner) for name, runner in runners.items()}
    return evaluate_together(
        scores, subject.classes, subject.images, subject.preprocessing, photographs.squares,
        threads, step,
    )  # fmt: skip


def _measured(
    runners: Mapping[str, Runner], budget_s: float, watch: Watch
) -> tuple[Measurements, bool]:
    """The timings, and whether they were cut short."""
    try:
        return measure(runners, budget_s, watch.timing), False
    except MeasurementInterrupted as interruption:
        return interruption.measurements, True


def _pair(
    tool: Tool,
    source: Source,
    settings: Settings,
    answered: Mapping[str, Answered],
    measured: Measurements,
    files: Mapping[str, tuple[Path, ...]],
    kept: Mapping[str, tuple[Path, ...]],
) -> Pair:
    before, after = (_key(source, tool.engine, dtype) for dtype in (FLOAT, INT8))
    forms = [
        Form(
            dtype,
            answered[name].evaluation,
            sum(file.stat().st_size for file in files[name]),
            measured.record(name),
        )
        for dtype, name in ((FLOAT, before), (INT8, after))
    ]
    return Pair(
        engine=tool.engine,
        about=tool.load().about(settings),
        before=forms[0],
        after=forms[1],
        change=change(answered[before], answered[after]),
        ratio=measured.ratio(before, after),
        files=kept.get(tool.engine, ()),
    )


def _kept(
    out: Path | None, force: bool, stem: str, tools: Sequence[Tool]
) -> dict[str, tuple[Path, ...]]:
    """Where the int8 files are to be, by engine; nothing where none are kept.

    Raises:
        UsageError: one of them is there already.
        FlyweightError: the folder can't be written to.
    """
    if out is None:
        return {}
    check_folder(out)
    found = {tool.engine: tool.files(out / f"{stem}.int8{tool.suffixes[0]}") for tool in tools}
    for file in (file for files in found.values() for file in files):
        if file.exists() and not force:
            raise UsageError(f"{file} is there already: --force overwrites it")
    return found


def _keep(written: Sequence[Path], kept: Sequence[Path]) -> None:
    """Put a form's files where they are to be; the one to open comes last."""
    kept[0].parent.mkdir(exist_ok=True)
    with replaced_together(kept[::-1]) as folder:
        for file, target in zip(written, kept, strict=True):
            (folder / target.name).write_bytes(file.read_bytes())
