"""Advice put to the test: built, checked, and timed beside the network as it is."""

import math
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
from torch import nn

from flyweight.advising.alone import alone, block_of
from flyweight.advising.bench import Bench
from flyweight.advising.deciding import NOT_TRIED, WITHDRAWN, decide
from flyweight.advising.findings import ARCHITECTURAL, EXACT, Change, Costs, Finding
from flyweight.advising.predicting import Sample, predicted
from flyweight.advising.preparing import AGREEMENT, Candidate, error_of, outputs_of
from flyweight.advising.reading import Reading, args_of
from flyweight.advising.rebuilding import Edit, Rebuilt, rebuilt
from flyweight.advising.result import Setting, Trial
from flyweight.advising.widths import widths_of
from flyweight.engines import Array, Runner
from flyweight.errors import FlyweightError
from flyweight.measuring import Measurements
from flyweight.records import Record

_ORIGINAL, _AGAIN, _CHANGED = "as it is", "as it is, again", "changed"
_BLOCK, _CHANGED_BLOCK = "block as it is", "block changed"
_LOWERING = 2
"""Lowering a network takes about as long as writing it for an engine; both have to be done."""
_ALONE = 0.25
"""Of the time to measure exact advice, for a block alone."""
LEAST_S = 3.0
"""To measure one alternative; if less is left, it isn't tried."""
TIME_IS_UP = "the time was up; give it a longer budget"


def exact_trials(
    bench: Bench,
    tried: list[Candidate],
    simpler: nn.Module | None,
    budget_s: float,
    until: float = math.inf,
    sample: Sample | None = None,
) -> list[Trial]:
    """Try exact advice, all of it in the same rounds; and a block alone, in rounds of its own.

    Args:
        bench: the network.
        tried: what to do.
        simpler: the network without what can be left out.
        budget_s: seconds to measure.
        until: when all have to be prepared, on `time.monotonic`: only the first one is tried
            however long it takes, and what is late is measured for less long.
        sample: the block; None where none is timed alone.
    """
    original = bench.original()
    again = bench.runner(bench.model, bench.setting)
    runners = {_ORIGINAL: original, _AGAIN: again}
    expected = outputs_of(original)
    made: list[Trial] = []
    blocks: dict[str, Runner] = {}
    for one in tried:
        expected_s = bench.preparing_s * (_LOWERING if one.setting.lowered else 1)
        if made and time.monotonic() + expected_s > until:
            made.append(Trial(one.advice, EXACT, "", "", NOT_TRIED, TIME_IS_UP))
            continue
        bench.tell(f"preparing: {one.advice}")
        trial, runner = _prepared_exact(bench, one, simpler, expected)
        made.append(trial)
        if runner is not None:
            runners[one.advice] = runner
            if sample is not None and one.setting.engine == bench.setting.engine:
                _prepare_block(bench, sample, one, blocks, until)
    if len(runners) == 2:
        return made
    for one in tried:
        if sample is not None and one.advice in runners and one.advice not in blocks:
            _prepare_block(bench, sample, one, blocks, until)
    bench.tell(f"timing {', '.join(name for name in runners if name not in (_ORIGINAL, _AGAIN))}")
    late = max(time.monotonic() - until, 0.0)
    seconds = max(budget_s - late, min(budget_s, LEAST_S))
    foretold = _BLOCK in blocks and len(blocks) > 1
    found = bench.timed(runners, seconds * (1 - _ALONE if foretold else 1))
    trials = [
        _judged(trial, found, trial.advice) if trial.advice in runners else trial for trial in made
    ]
    if sample is None or not foretold:
        return trials
    bench.tell(f"timing {sample.name} alone")
    alone_found = bench.timed(blocks, seconds * _ALONE)
    return [_foretold(one, sample, alone_found, bench.setting) if one.advice in blocks else one
            for one in trials]  # fmt: skip


def _prepare_block(
    bench: Bench, sample: Sample, one: Candidate, blocks: dict[str, Runner], until: float
) -> None:
    """Add runners of a block, as it is and in a form of the network, while there is time."""
    example = np.random.default_rng(0).standard_normal(sample.plain.input, np.float32)
    plain, simpler = sample.modules
    forms = [(one.advice, simpler if one.simplified else plain, one.setting)]
    if _BLOCK not in blocks:
        forms.insert(0, (_BLOCK, plain, bench.setting))
    for name, module, setting in forms:
        if time.monotonic() > until:
            break
        bench.tell(f"preparing {sample.name} alone: {name}")
        with suppress(FlyweightError):  # a block may need what the engine only has for networks
            blocks[name] = bench.runner(module, setting, example)


def _foretold(trial: Trial, sample: Sample, found: Measurements, base: Setting) -> Trial:
    """A trial with what the block alone says of it."""
    ratio = found.ratio(trial.advice, _BLOCK)
    assert trial.setting is not None
    same = (trial.setting.engine, trial.setting.threads) == (base.engine, base.threads)
    share = sample.share if same else 1.0  # another engine runs all of the network otherwise
    whole = None if share is None else 1 - share * (1 - ratio.value)
    return replace(trial, alone=ratio, block=sample.name, predicted=whole)


def _prepared_exact(
    bench: Bench, one: Candidate, simpler: nn.Module | None, expected: tuple[Array, ...]
) -> tuple[Trial, Runner | None]:
    trial = Trial(one.advice, EXACT, "", "", NOT_TRIED, "", setting=one.setting,
                  simplified=one.simplified)  # fmt: skip
    model = simpler if one.simplified and simpler is not None else bench.model
    try:
        runner = bench.runner(model, one.setting)
        error = error_of(expected, outputs_of(runner))
    except FlyweightError as problem:
        return replace(trial, why=str(problem)), None
    if not error <= AGREEMENT:
        why = f"it computes something else: its outputs differ by {error:.1e} of the largest"
        return replace(trial, verdict=WITHDRAWN, why=why, error=error), None
    return replace(trial, error=error), runner


def _judged(trial: Trial, found: Measurements, name: str) -> Trial:
    """A trial with its times and what they say."""
    ratio, twin = found.ratio(name, _ORIGINAL), found.ratio(_AGAIN, _ORIGINAL)
    decision = decide(ratio, twin)
    return replace(
        trial, verdict=decision.verdict, why=decision.why, ratio=ratio, twin=twin,
        before_s=found.record(_ORIGINAL).median_s, after_s=found.record(name).median_s,
    )  # fmt: skip


def together(
    bench: Bench, kept: list[Trial], simpler: nn.Module | None, budget_s: float
) -> Trial | None:
    """All exact advice that was kept, as one, on fresh instances and in fresh rounds.

    The best of several is best by chance in part, so it has to stand once more.
    """
    if not kept:
        return None
    forms = [one for one in kept if one.setting and one.setting.threads == bench.setting.threads]
    more = [one for one in kept if one not in forms]
    best = min(forms, key=_value, default=None)
    chosen = best or more[0]
    assert chosen.setting is not None
    setting, advice = chosen.setting, chosen.advice
    if best is not None and more and more[0].setting is not None:
        setting = replace(setting, threads=more[0].setting.threads)
        advice = f"{best.advice}, and {more[0].advice}"
    one = Candidate(advice, setting, chosen.simplified)
    (trial,) = exact_trials(bench, [one], simpler, budget_s)
    return trial


def _value(trial: Trial) -> float:
    return trial.ratio.value if trial.ratio is not None else 1.0


def architectural_trial(
    bench: Bench, reading: Reading, finding: Finding, costs: Costs, budget_s: float
) -> Trial:
    """Build an alternative, and time it in place of the original: a block alone, and the whole."""
    trial = Trial(finding.remedy, ARCHITECTURAL, finding.key, finding.guideline, NOT_TRIED, "")
    if finding.edit is None:
        return replace(trial, why=f"no alternative could be built: {finding.why_no_edit}")
    block, nodes = block_of(finding, reading)
    trial, changed, found = _tried(bench, reading, finding.edit, trial, budget_s, nodes)
    if changed is None or not any(one.runner == _BLOCK for one in found):
        return trial
    ratio = Measurements(found).ratio(_CHANGED_BLOCK, _BLOCK)
    whole = predicted(finding, reading, costs, changed, ratio.value)
    return replace(trial, alone=ratio, block=block, predicted=whole)


def combined_trial(
    bench: Bench, reading: Reading, findings: list[Finding], budget_s: float
) -> Trial:
    """Several alternatives in one network."""
    edit = Edit()
    for one in findings:
        assert one.edit is not None
        edit |= one.edit
    names = " and ".join(one.key for one in findings)
    trial = Trial(f"change {names}", ARCHITECTURAL, names, "", NOT_TRIED, "")
    return _tried(bench, reading, edit, trial, budget_s, frozenset())[0]


def _tried(
    bench: Bench,
    reading: Reading,
    edit: Edit,
    trial: Trial,
    budget_s: float,
    block: frozenset[str],
) -> tuple[Trial, Rebuilt | None, list[Record]]:
    """The trial, the changed network and what was measured; nothing where it can't be built."""
    widths = widths_of(reading.graph.graph)
    try:
        original, changed = bench.rebuilt(reading), rebuilt(reading, widths, edit)
        runners = {
            _ORIGINAL: _runner(bench, original), _AGAIN: _runner(bench, original),
            _CHANGED: _runner(bench, changed),
        }  # fmt: skip
        if block:
            runners |= _blocks(bench, original, changed, block)
    except FlyweightError as problem:
        return replace(trial, why=str(problem)), None, []
    found = bench.timed(runners, budget_s)
    trial = replace(
        _judged(trial, found, _CHANGED), flops=changed.madds / max(reading.madds, 1),
        changes=tuple(_changes(reading, changed, edit)), setting=bench.setting,
    )  # fmt: skip
    return trial, changed, found.records


def _runner(bench: Bench, network: Rebuilt) -> Runner:
    assert network.module is not None
    return bench.runner(network.module, bench.setting)


def _blocks(
    bench: Bench, original: Rebuilt, changed: Rebuilt, nodes: frozenset[str]
) -> dict[str, Runner]:
    """Runners of a block as it is and changed; none where it isn't a network of one input."""
    before, after = alone(original, nodes), alone(changed, nodes)
    if before is None or after is None:
        return {}
    found = {}
    for name, block, other in ((_BLOCK, before, after), (_CHANGED_BLOCK, after, before)):
        example = np.random.default_rng(0).standard_normal(block.input, np.float32)
        try:
            found[name] = bench.runner(block.to_time([other]), bench.setting, example)
        except FlyweightError:
            return {}
    return found


def _changes(reading: Reading, changed: Rebuilt, edit: Edit) -> list[Change]:
    """The layers that became others."""
    found = []
    assert changed.module is not None
    made = {node.name: node for node in changed.module.graph.nodes}
    for layer in reading.layers.values():
        where = layer.place.path or layer.node
        if layer.node in edit.dropped and layer.kind != "data movement":
            found.append(Change(where, layer.op, "left out"))
        elif layer.kernel and layer.node in made:
            before = _described(layer.widths, layer.groups)
            shape = changed.shapes[layer.node]
            read = changed.shapes[args_of(made[layer.node])[0].name]
            after = _described((read[1], shape[1]), args_of(made[layer.node])[6])
            if before != after:
                found.append(Change(where, before, after))
        elif layer.kernel:
            found.append(Change(where, _described(layer.widths, layer.groups), "merged"))
    return found


def _described(widths: tuple[int, int], groups: int) -> str:
    grouped = "" if groups == 1 else ", depthwise" if groups == widths[0] else f", {groups} groups"
    return f"{widths[0]} -> {widths[1]} channels{grouped}"
