"""Runners of a network in the forms that exact advice may give it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from flyweight.advising.elements import simplified
from flyweight.advising.reading import Reading, args_of
from flyweight.advising.rebuilding import rebuilt
from flyweight.advising.result import Setting
from flyweight.advising.widths import widths_of
from flyweight.engines import ENGINES, Array, Options, Runner, engine_named
from flyweight.errors import FlyweightError
from flyweight.lowering import lower
from flyweight.lowering.rules import THEMSELVES
from flyweight.native.building import has_compiler

AGREEMENT = 1e-3
"""Largest difference from the original's outputs, relative to the largest, that counts as the same:
rounding alone."""
_TRIED = ("openvino", "onnxruntime", "native")
"""Engines that are tried where another one was asked for. The native one has to compile first."""


@dataclass(frozen=True)
class Candidate:
    """An exact way of running the network.

    Attributes:
        advice: what to do.
        setting: how it is run.
        simplified: leave out what is repeated or undone first.
    """

    advice: str
    setting: Setting
    simplified: bool = False


def candidates(
    base: Setting, simpler: bool, threads_open: bool, siblings: bool = False
) -> Iterator[Candidate]:
    """The exact ways of running a network that are tried, what is quickly prepared first.

    Args:
        base: as it is run.
        simpler: whether anything can be left out.
        threads_open: whether more threads may be used.
        siblings: whether there are 1x1 convolutions that read the same.
    """
    if simpler:
        yield Candidate("leave out what is repeated or undone", base, True)
    if base.engine not in THEMSELVES and base.engine != "compile" and not base.lowered:
        lowered = replace(base, lowered=True)
        yield Candidate("lower the network (flyweight lower)", lowered, simpler)
        if siblings:
            merged = replace(lowered, merged=True)
            yield Candidate("lower it, with 1x1 convolutions of one input merged", merged, simpler)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if threads_open and cores and cores > base.threads:
        yield Candidate(f"use {cores} threads", replace(base, threads=cores))
    for engine in _TRIED:
        if engine == base.engine or not _runs(engine):
            continue
        yield Candidate(f"use engine {engine}", Setting(engine, base.threads), simpler)
        if engine not in THEMSELVES:
            yield Candidate(
                f"use engine {engine} with the network lowered",
                Setting(engine, base.threads, True), simpler,
            )  # fmt: skip


def _runs(engine: str) -> bool:
    return ENGINES[engine].installed and (engine != "native" or has_compiler())


def has_siblings(reading: Reading) -> bool:
    """Whether there are 1x1 convolutions that read the same, and could be one."""
    seen: set[tuple[object, ...]] = set()
    for layer in reading.convolutions():
        args = args_of(reading.nodes[layer.node])
        plain = layer.pointwise and layer.groups == 1 and not any(args[4] if len(args) > 4 else [])
        key = (args[0], tuple(args[3]) if len(args) > 3 else (1, 1))
        if plain and key in seen:
            return True
        if plain:
            seen.add(key)
    return False


def simpler(reading: Reading) -> nn.Module | None:
    """The network without what is repeated or undone; None if there is nothing of the kind."""
    edit = simplified(reading)
    if not edit.dropped:
        return None
    return rebuilt(reading, widths_of(reading.graph.graph), edit).module


def lowered_for(model: nn.Module, example: Array, setting: Setting) -> nn.Module:
    """A network lowered for an engine.

    Raises:
        CaptureError: it can't be lowered.
    """
    images = torch.from_numpy(example)
    return lower(model, images, engine=setting.engine, merge_siblings=setting.merged)


def prepared(module: nn.Module, example: Array, setting: Setting, network: str) -> Runner:
    """A runner of a network that is lowered already, if it is to be.

    The native engine cuts up convolutions by its fixed rule here: tuning takes longer than advice.

    Raises:
        CaptureError: the engine can't run it.
        FlyweightError: the engine isn't installed, or has no compiler.
    """
    run = engine_named(setting.engine).load()
    options = Options(setting.threads, tune=False)
    return replace(run(module, example, options), network=network, lowered=setting.lowered)


def outputs_of(runner: Runner) -> tuple[Array, ...]:
    """What a runner puts out for its example."""
    found = runner(runner.example)
    return found if isinstance(found, tuple) else (found,)


def error_of(expected: tuple[Array, ...], found: tuple[Array, ...]) -> float:
    """The largest difference over all outputs, each relative to its own largest value.

    Raises:
        FlyweightError: the outputs have other shapes.
    """
    if [one.shape for one in expected] != [one.shape for one in found]:
        raise FlyweightError("it puts out other shapes")
    worst = 0.0
    for a, b in zip(expected, found, strict=True):
        if not a.size or np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            continue
        difference = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
        largest = float(np.abs(a).max())
        worst = max(worst, difference / largest if largest else float("inf"))
    return worst
