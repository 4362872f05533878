"""From what was asked for to runners: shared by the commands that measure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from flyweight.api import as_model, network_facts
from flyweight.cli.arguments import Subject, positive
from flyweight.cli.output import Bar, note
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.errors import CaptureError
from flyweight.records import NetworkFacts

AGREEMENT = 1e-3
"""Largest difference between engines, relative to the largest output, that goes unmentioned."""


@dataclass(frozen=True)
class Job:
    """A network on an engine."""

    key: str
    """What its runner is called: network, input size where it isn't the usual one, engine."""
    model: str
    engine: str
    image: tuple[int, int, int]
    """Channels, height, width."""


@dataclass(frozen=True)
class Prepared:
    """Runners by key, and what couldn't be prepared."""

    runners: dict[str, Runner]
    failures: list[str]


def jobs(
    wanted: Sequence[Subject], engines: Sequence[str], image: tuple[int, int, int]
) -> list[Job]:
    """Every network on every engine; a subject's own size and engine go first.

    Raises:
        UsageError: an unknown engine.
        FlyweightError: an engine that isn't installed.
    """
    found: dict[str, Job] = {}
    for subject in wanted:
        own = (image[0], subject.size, subject.size) if subject.size else image
        name = subject.model if own == image else f"{subject.model}@{subject.size}"
        for engine in [subject.engine] if subject.engine else engines:
            engine_named(engine).load()
            key = f"{name}/{engine}"
            found[key] = Job(key, subject.model, engine, own)
    return list(found.values())


def prepare(wanted: Sequence[Job], threads: int, batch: int, bar: Bar) -> Prepared:
    """Prepare every job; a network that an engine can't run is a failure, not the end.

    Raises:
        UsageError: an unknown network, one that doesn't run on its input, or numbers below 1.
    """
    options = Options(threads)
    positive("the batch", batch)
    torch.manual_seed(0)
    models = {job.model: as_model(job.model) for job in wanted}
    runners: dict[str, Runner] = {}
    failures: list[str] = []
    facts: dict[tuple[str, tuple[int, ...]], NetworkFacts | None] = {}
    outputs: dict[tuple[str, tuple[int, ...]], tuple[str, Array]] = {}
    for index, job in enumerate(wanted):
        bar.show(f"preparing {job.key}", index / len(wanted))
        example = np.random.default_rng(0).standard_normal((batch, *job.image), np.float32)
        try:
            runner = engine_named(job.engine).load()(models[job.model], example, options)
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
            _compare(job.key, output, other, expected)
    return Prepared(runners, failures)


def _compare(key: str, output: Array, other: str, expected: Array) -> None:
    """Say it where two engines don't compute the same."""
    largest = float(np.abs(expected).max())
    difference = float(np.abs(output - expected).max())
    if difference > AGREEMENT * largest:
        note(f"warning: {key} and {other} differ by {difference / largest:.1e} of the output")
