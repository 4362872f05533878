"""From what was asked for to runners: shared by the commands that measure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from flyweight.api import make_runner, network_facts, to_time
from flyweight.cli.arguments import Subject, positive
from flyweight.cli.output import Bar, note
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.errors import CaptureError
from flyweight.lowering.rules import THEMSELVES
from flyweight.native.building import has_compiler
from flyweight.records import NetworkFacts

AGREEMENT = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest difference between runners of a network, relative to the largest output, that goes
unmentioned."""


@dataclass(frozen=True)
class Job:
    """A network on an engine."""

    key: str
    """What its runner is called: network, input size where it isn't the usual one, engine, form."""
    model: str
    engine: str
    image: tuple[int, int, int]
    """Channels, height, width."""
    lowered: bool = False


@dataclass(frozen=True)
class Prepared:
    """Runners by key, and what couldn't be prepared."""

    runners: dict[str, Runner]
    failures: list[str]


def jobs(
    wanted: Sequence[Subject],
    engines: Sequence[str],
    image: tuple[int, int, int],
    forms: Sequence[bool] = (False,),
) -> list[Job]:
    """Every network on every engine in every form; a subject's own size, engine and form go first.

    Args:
        wanted: the networks.
        engines: names of engines; none for the usual one.
        image: channels, height, width.
        forms: for each form, whether networks are lowered.

    Raises:
        UsageError: an unknown engine.
        FlyweightError: an engine that isn't installed.
    """
    found: dict[str, Job] = {}
    if not engines and not all(subject.engine for subject in wanted):
        engines = [usual_engine(any(forms))]
    named = [subject.engine for subject in wanted if subject.engine]
    forms_on = {engine: _forms_on(engine, forms) for engine in {*engines, *named}}
    for subject in wanted:
        own = (image[0], subject.size, subject.size) if subject.size else image
        name = subject.model if own == image else f"{subject.model}@{subject.size}"
        for engine in [subject.engine] if subject.engine else engines:
            engine_named(engine).load()
            own_form = [] if subject.lowered is None else [subject.lowered]
            for lowered in own_form or forms_on[engine]:
                key = lowered_key(f"{name}/{engine}") if lowered else f"{name}/{engine}"
                found[key] = Job(key, subject.model, engine, own, lowered)
    return list(found.values())


def _forms_on(engine: str, forms: Sequence[bool]) -> Sequence[bool]:
    """The forms of those asked for that an engine has."""
    if engine not in THEMSELVES or not any(forms):
        return forms
    note(f"flyweight: {engine} runs networks in one form: it lowers every network itself")
    return [False]


def usual_engine(lowered: bool) -> str:
    """The engine where none is named: the native one, if it can do what is asked for.

    Where it can't, a line says why.
    """
    if has_compiler() and not lowered:
        return "native"
    why = (
        "lowers every network itself"
        if lowered
        else "needs a C compiler: apt install gcc, or set CC"
    )
    note(f"flyweight: using engine onnxruntime, since the native one {why}")
    return "onnxruntime"


def lowered_key(plain: str) -> str:
    """What the lowered runner is called beside a plain one."""
    return f"{plain}+lowered"


def prepare(wanted: Sequence[Job], options: Options, batch: int, bar: Bar) -> Prepared:
    """Prepare every job; a network that an engine can't run is a failure, not the end.

    Networks of the zoo are made as training leaves them; a factory's network is taken as it is.

    Raises:
        UsageError: an unknown network, one that doesn't run on its input, a batch below 1, or a
            precision that an engine doesn't have on this CPU.
    """
    positive("the batch", batch)
    for engine, lowered in dict.fromkeys((job.engine, job.lowered) for job in wanted):
        engine_named(engine).check(options, lowered)
    torch.manual_seed(0)
    models = {name: to_time(name) for name in dict.fromkeys(job.model for job in wanted)}
    runners: dict[str, Runner] = {}
    failures: list[str] = []
    facts: dict[tuple[str, tuple[int, ...]], NetworkFacts | None] = {}
    outputs: dict[tuple[str, tuple[int, ...]], tuple[str, Array]] = {}
    for index, job in enumerate(wanted):
        bar.show(f"preparing {job.key}", index / len(wanted))
        example = np.random.default_rng(0).standard_normal((batch, *job.image), np.float32)
        try:
            runner = make_runner(models[job.model], example, job.engine, options, job.lowered)
        except CaptureError as error:
            failures.append(f"{job.key}: {error}")
            continue
        case = (job.model, job.image)
        if case not in facts:
            facts[case] = network_facts(models[job.model], example.shape, job.model)
        runners[job.key] = replace(runner, facts=facts[case])
        output = runner(example)
        if not isinstance(output, tuple):
            other, expected = outputs.setdefault(case, (job.key, output))
            _compare(job.key, output, other, expected, AGREEMENT[options.precision])
    return Prepared(runners, failures)


def _compare(key: str, output: Array, other: str, expected: Array, agreement: float) -> None:
    """Say it where two runners of a network don't compute the same."""
    largest = float(np.abs(expected).max())
    difference = float(np.abs(output - expected).max())
    if difference > agreement * largest:
        note(f"warning: {key} and {other} differ by {difference / largest:.1e} of the output")
