"""Advising from start to end: read, time, find, try, and say what held."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from flyweight.advising.bench import Bench, Told
from flyweight.advising.deciding import KEPT, NOT_TRIED
from flyweight.advising.finding_all import find
from flyweight.advising.findings import ARCHITECTURAL, Costs, Finding, Times
from flyweight.advising.predicting import sample_of
from flyweight.advising.preparing import candidates, has_siblings, simpler
from flyweight.advising.reading import Reading, read
from flyweight.advising.result import Advice, Setting, Trial
from flyweight.advising.trying import (
    LEAST_S,
    TIME_IS_UP,
    architectural_trial,
    combined_trial,
    exact_trials,
    together,
)
from flyweight.decomposing import PROFILERS, Decomposition, Subject, decompose_all
from flyweight.engines import Array, Options, engine_named
from flyweight.errors import CaptureError, FlyweightError, UsageError
from flyweight.graph import exported_once
from flyweight.measuring import Progress
from flyweight.nn import label

DECOMPOSING = 0.1
"""Of the budget, for finding out where the time goes."""
PEAKS_FROM_S = 60.0
"""Budgets from which the machine's peaks are measured, which takes 3 s: without them nobody knows
what is overhead."""
EXACT_SHARE = 0.15
"""For all exact advice side by side."""
EXACT_ALONE = 0.45
"""Likewise, where no alternative can be built: then nothing else needs the time."""
PREPARING = 0.4
"""After so much of the budget no more exact advice is prepared: the rest is for measuring it, and
for alternatives, of which each has to be built and prepared too."""
TOGETHER = 0.08
"""For what was kept of it, as one; and as much for kept architectural advice as one."""
ALTERNATIVE = 0.25
"""For one alternative, at most."""
_FORMS = 3
"""Networks that are prepared for an alternative, at most: itself, the original built once more, and
the block of each, which are far smaller."""


@dataclass
class _State:
    """What is known until now."""

    reading: Reading | None = None
    decomposition: Decomposition | None = None
    findings: list[Finding] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    exact: Trial | None = None
    architectural: Trial | None = None
    unread: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def buildable(self) -> list[Finding]:
        """Findings of which an alternative can be built."""
        return [one for one in self.findings if one.kind == ARCHITECTURAL and one.edit is not None]


def advise_model(
    model: nn.Module,
    example: Array,
    setting: Setting,
    budget_s: float = 120.0,
    threads_open: bool = True,
    network: str | None = None,
    told: Told | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Advice:
    """Say why a network is slow and what would help, with proof. The network is not changed.

    Args:
        model: any module of one tensor.
        example: its input, float32.
        setting: the engine on which it is run, and how.
        budget_s: seconds for all of it; what isn't tried in time is listed.
        threads_open: whether more threads may be advised.
        network: what to call it.
        told: called with what is being done.
        progress: called between rounds of measurements.

    Raises:
        UsageError: a network that doesn't run on the example, an engine of which nobody can say
            where the time goes, or a budget that isn't positive.
        CaptureError: a network that the engine can't run.
        FlyweightError: an engine that isn't installed.
        KeyboardInterrupt: Ctrl-C before anything was known; later, what is known is returned.
    """
    if not (math.isfinite(budget_s) and budget_s > 0):
        raise UsageError(f"the time budget must be more than 0 seconds, not {budget_s:g}")
    check_engine(setting)
    name = network or label(model)
    bench = Bench(model, name, example, setting, progress)
    if told is not None:
        bench.tell = told
    state = _State()
    try:
        with exported_once():
            _advise(bench, state, time.monotonic() + budget_s, budget_s, threads_open)
    except KeyboardInterrupt:
        if not state.findings and not state.trials and state.decomposition is None:
            raise
        state.complete = False
    total = state.decomposition.total_s if state.decomposition else None
    if total is None:
        total = next((one.before_s for one in state.trials if one.before_s), None)
    return Advice(
        name, setting, tuple(example.shape), total, tuple(state.findings), tuple(state.trials),
        state.exact, state.architectural, tuple(state.unread), state.decomposition,
        (*([state.decomposition.record] if state.decomposition else []), *bench.records),
        state.complete,
    )  # fmt: skip


def check_engine(setting: Setting) -> None:
    """Find out whether the engine can be advised on.

    Raises:
        UsageError: there is no such engine, or nobody can say where its time goes.
        FlyweightError: it isn't installed.
    """
    engine_named(setting.engine)
    if setting.engine not in PROFILERS:
        raise UsageError(
            f"engine {setting.engine!r} doesn't tell its operations apart, so there is nothing to"
            f" advise on; those that do are {', '.join(PROFILERS)}"
        )
    engine_named(setting.engine).check(Options(setting.threads), setting.lowered)


def _advise(bench: Bench, state: _State, end: float, budget_s: float, threads_open: bool) -> None:
    bench.tell(f"preparing {bench.network} on {bench.setting}")
    bench.original()
    _look(bench, state, budget_s)
    smaller, siblings, sample = None, False, None
    if state.reading is not None:
        state.findings = find(state.reading, _times(state))
        smaller, siblings = simpler(state.reading), has_siblings(state.reading)
        costs = Costs.of(state.reading, _times(state))
        sample = sample_of(state.reading, state.findings, costs)
    wanted = list(candidates(bench.setting, smaller is not None, threads_open, siblings))
    until = end - budget_s * (1 - PREPARING)
    seconds = (EXACT_SHARE if state.buildable else EXACT_ALONE) * budget_s
    state.trials += exact_trials(bench, wanted, smaller, seconds, until, sample)
    kept = [one for one in state.trials if one.verdict == KEPT]
    if kept:
        bench.tell("timing what was kept, together")
        found = together(bench, kept, smaller, TOGETHER * budget_s)
        state.exact = found if found is not None and found.verdict == KEPT else None
    if state.reading is not None:
        _alternatives(bench, state, state.reading, end, budget_s)


def _look(bench: Bench, state: _State, budget_s: float) -> None:
    """Capture the network, and find out where its time goes."""
    bench.tell("reading the network")
    try:
        state.reading = read(bench.model, torch.from_numpy(bench.example))
    except CaptureError as error:
        state.unread.append(f"its operations can't be read, so only exact advice is given: {error}")
    bench.tell("finding out where the time goes")
    options = Options(bench.setting.threads, tune=False)
    subject = Subject(bench.original(), bench.model, options)
    try:
        found = decompose_all(
            {bench.network: subject}, DECOMPOSING * budget_s, bench.progress,
            peaks=budget_s >= PEAKS_FROM_S,
        )  # fmt: skip
        state.decomposition = next(iter(found))
    except FlyweightError as error:
        state.unread.append(f"where its time goes can't be told: {error}")


def _times(state: _State) -> Times | None:
    return None if state.decomposition is None else Times.of(state.decomposition)


def _alternatives(
    bench: Bench, state: _State, reading: Reading, end: float, budget_s: float
) -> None:
    """Try architectural advice, the most expensive findings first, until the time is up.

    What an alternative takes to prepare is known from the network itself, and then from those that
    were tried.
    """
    costs = Costs.of(reading, _times(state))
    todo = [one for one in state.findings if one.kind == ARCHITECTURAL]
    buildable = state.buildable
    spare = TOGETHER * budget_s if len(buildable) > 1 else 0.0  # for what is kept, as one
    preparing_s, waiting = _FORMS * bench.preparing_s, len(buildable)
    for one in todo:
        left = end - spare - time.monotonic()
        if one.edit is not None and left < preparing_s + LEAST_S:
            late = Trial(one.remedy, ARCHITECTURAL, one.key, one.guideline, NOT_TRIED, TIME_IS_UP)
            state.trials.append(late)
            continue
        bench.tell(f"trying another form of: {one.key}")
        begun, measured_s = time.monotonic(), bench.measured_s
        seconds = left / max(waiting, 1) - preparing_s
        seconds = max(min(seconds, ALTERNATIVE * budget_s), LEAST_S)
        state.trials.append(architectural_trial(bench, reading, one, costs, seconds))
        if one.edit is not None:
            took = time.monotonic() - begun - (bench.measured_s - measured_s)
            preparing_s, waiting = max(took, bench.preparing_s), waiting - 1
    kept = {one.about for one in state.trials if one.verdict == KEPT and one.about}
    several = [one for one in buildable if one.key in kept]
    left = end - bench.preparing_s - time.monotonic()
    if len(several) > 1 and left > LEAST_S:
        bench.tell("trying kept alternatives together")
        state.architectural = combined_trial(bench, reading, several, min(spare, left))
