"""Decomposing: time without profiling, time with it, and what the profile says, put together."""

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from torch import nn

from flyweight.decomposing.fitting import fitted
from flyweight.decomposing.peaks import Peaks, measure_peaks
from flyweight.decomposing.profile import Profile, Profiler
from flyweight.decomposing.result import Decomposition, Part
from flyweight.decomposing.roofline import bound_of
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.errors import UsageError
from flyweight.measuring import Measurements, Progress, measure
from flyweight.native.building import has_compiler
from flyweight.records import Record

PROFILERS = {
    "eager": ("flyweight.decomposing.eager", "EagerProfiler"),
    "onnxruntime": ("flyweight.decomposing.onnx_runtime", "OnnxRuntimeProfiler"),
    "openvino": ("flyweight.decomposing.open_vino", "OpenVinoProfiler"),
    "native": ("flyweight.decomposing.native", "NativeProfiler"),
}
"""The engines that can be decomposed: module and class. A new one is an entry and its module."""

TOTAL_SHARE = 0.6
"""Of the budget, for the time without profiling; the rest is for the profile."""
PROFILE_S = 4.0
"""For the profile of one engine, at most: ONNX Runtime writes 150 kB for each call of a network of
150 nodes, and medians of some hundred calls are good enough."""
NO_COMPILER = (
    "there is no C compiler to measure this machine's peaks with: apt install gcc, or set CC"
)

NOT_ASKED = "this machine's peaks weren't asked for"

_PLAIN, _PROFILED = "plain", "profiled"

Told = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """A network on an engine, to be decomposed.

    Attributes:
        runner: that is timed without profiling.
        model: what it runs, lowered if it is.
        options: how.
    """

    runner: Runner
    model: nn.Module
    options: Options


def check(engine: str, options: Options, lowered: bool, budget_s: float) -> None:
    """Find out whether an engine can be decomposed, before any network is prepared.

    Raises:
        UsageError: there is no such engine, its operations can't be told apart, the options aren't
            for it, or the budget isn't positive.
        FlyweightError: it isn't installed.
    """
    if not (math.isfinite(budget_s) and budget_s > 0):
        raise UsageError(f"the time budget must be more than 0 seconds, not {budget_s:g}")
    engine_named(engine)
    if engine not in PROFILERS:
        raise UsageError(
            f"engine {engine!r} can't be decomposed: it fuses operations into code that nobody can"
            f" name; those that can are {', '.join(PROFILERS)}"
        )
    if options.precision != "float32":
        raise UsageError("only float32 can be decomposed: the roofline is float32's")
    engine_named(engine).check(options, lowered)


def decompose_all(
    subjects: Mapping[str, Subject],
    budget_s: float = 10.0,
    progress: Callable[[Progress], None] | None = None,
    told: Told | None = None,
    peaks: bool = True,
) -> Iterator[Decomposition]:
    """Say where the time goes, for one subject after the other.

    First all of them are timed without profiling, interleaved, so that their totals can be
    compared. Then each is profiled, its calls interleaved with calls without profiling.

    Args:
        subjects: by name.
        budget_s: seconds for each subject; the machine's peaks take 3 more.
        progress: called between rounds.
        told: called with what is being done.
        peaks: measure the machine's peaks, without which nothing is said of bounds.

    Raises:
        UsageError: subjects of different numbers of threads.
        CaptureError: a network that can't be captured.
        FlyweightError: a profile that can't be made sense of.
        KeyboardInterrupt: Ctrl-C; what was yielded before is complete.
    """
    threads = {subject.options.threads for subject in subjects.values()}
    if len(threads) != 1:
        raise UsageError("all networks must be run with the same number of threads")
    tell = told or _nothing
    tell("timing without profiling")
    runners = {name: subject.runner for name, subject in subjects.items()}
    totals = measure(runners, TOTAL_SHARE * budget_s * len(subjects), progress)
    found_peaks = None
    if peaks and has_compiler():
        tell("measuring this machine's peaks")
        found_peaks = measure_peaks(threads.pop(), progress)
    each_s = min((1 - TOTAL_SHARE) * budget_s, PROFILE_S)
    for name, subject in subjects.items():
        tell(f"profiling {name}")
        profiler = make_profiler(subject.model, subject.runner.example, subject.runner.engine,
                                 subject.options)  # fmt: skip
        try:
            found = measure({_PLAIN: subject.runner, _PROFILED: profiler}, each_s, progress)
            profile = profiler.finish(found.record(_PROFILED).samples_s)
        finally:
            profiler.close()
        yield composed(subject.runner.network, totals.record(name), found, profile, _how(subject),
                       found_peaks, NO_COMPILER if peaks else NOT_ASKED)  # fmt: skip


def _nothing(text: str) -> None:
    pass


def _how(subject: Subject) -> str:
    module, _ = PROFILERS[subject.runner.engine]
    return str(importlib.import_module(module).HOW)


def make_profiler(model: nn.Module, example: Array, engine: str, options: Options) -> Profiler:
    """The profiler of an engine, for a network. The network is not changed.

    Raises:
        CaptureError: a network that the engine can't run.
        FlyweightError: no compiler, for the native engine.
    """
    module, name = PROFILERS[engine]
    maker = getattr(importlib.import_module(module), name)
    return cast(Profiler, maker(model, example, options))


def composed(
    network: str,
    total: Record,
    found: Measurements,
    profile: Profile,
    profiler: str,
    peaks: Peaks | None,
    why_no_peaks: str = NO_COMPILER,
) -> Decomposition:
    """A profile and the times with and without it, as parts of the total.

    Args:
        network: its name.
        total: its time without profiling.
        found: its times with profiling and without, in the same rounds.
        profile: what the profiler said meanwhile.
        profiler: what it is.
        peaks: of the machine.
        why_no_peaks: where there are none.
    """
    inflation = found.ratio(_PROFILED, _PLAIN)
    picoseconds, residual, total_ps = fitted(profile, total.median_s, inflation)
    parts = tuple(
        Part(
            timing.operation, own, timing.seconds,
            bound_of(timing.operation, own * 1e-12, peaks),
        )
        for timing, own in zip(profile.timings, picoseconds, strict=True)
    )  # fmt: skip
    return Decomposition(
        network=network,
        record=total,
        profiler=profiler,
        inflation=inflation,
        calls=profile.calls,
        parts=parts,
        residual_ps=residual,
        total_ps=total_ps,
        peaks=peaks,
        why_no_peaks="" if peaks else why_no_peaks,
    )
