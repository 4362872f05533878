"""Advice put to the test: what is built, compared and timed, whatever the times are."""

import numpy as np
import pytest
import torch
from torch import nn

from flyweight.advising import (
    ARCHITECTURAL,
    EXACT,
    KEPT,
    NOT_TRIED,
    WITHDRAWN,
    Finding,
    Reading,
    Setting,
    Trial,
    find,
    read,
)
from flyweight.advising import bench as bench_module
from flyweight.advising.alone import alone, around, block_of
from flyweight.advising.bench import Bench
from flyweight.advising.findings import Costs
from flyweight.advising.predicting import predicted, sample_of
from flyweight.advising.preparing import Candidate, candidates, has_siblings, simpler
from flyweight.advising.rebuilding import Edit, rebuilt
from flyweight.advising.trying import (
    architectural_trial,
    combined_trial,
    exact_trials,
    together,
)
from flyweight.advising.widths import widths_of
from tests.advising.planted import PLANTED, SIZE
from tests.advising.synthetic import times

EAGER = Setting("eager", 1)
SECONDS = 0.5


def bench_of(key: str) -> tuple[Bench, Reading, Finding]:
    """A planted network, its reading, and the finding of what is planted."""
    torch.manual_seed(0)
    model = PLANTED[key]().eval()
    example = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE), np.float32)
    reading = read(model, torch.from_numpy(example))
    (finding,) = [one for one in find(reading, times(reading)) if one.key == key]
    return Bench(model, key, example, EAGER), reading, finding


def costs_of(reading: Reading) -> Costs:
    return Costs.of(reading, times(reading))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        # For each position: 27 x 128 in the stem and 4 x 128 x 128 / 8 in the blocks are 11648;
        # with 48 dense channels it would be 27 x 48 + 4 x 48 x 48 = 10512, and with 56 it is 14056.
        ("groups", ("128 -> 128 channels, 8 groups", "56 -> 56 channels")),
        ("unequal widths", ("16 -> 192 channels", "56 -> 56 channels")),
        ("activations", ("elu", "left out")),
        ("shortcuts", ("add", "left out")),
        ("channels that don't fit", ("58 -> 58 channels", "64 -> 56 channels")),
        ("parallel fragments", ("64 -> 16 channels", "merged")),
        ("serial fragments", ("32 -> 32 channels", "64 -> 64 channels")),
    ],
)
def test_alternatives_are_timed_alone_and_in_place(key: str, change: tuple[str, str]) -> None:
    bench, reading, finding = bench_of(key)
    trial = architectural_trial(bench, reading, finding, costs_of(reading), SECONDS)
    assert trial.kind == ARCHITECTURAL
    assert trial.about == key
    assert trial.verdict in (KEPT, WITHDRAWN)
    for ratio in (trial.ratio, trial.twin):
        assert ratio is not None
        assert ratio.rounds >= 3
    assert change in {(one.before, one.after) for one in trial.changes}
    assert trial.setting == EAGER
    assert len(bench.records) == 5
    assert trial.alone is not None
    assert trial.block.startswith("blocks")
    assert trial.predicted is not None


def test_fragments_become_one_path() -> None:
    bench, reading, finding = bench_of("parallel fragments")
    assert finding.edit is not None
    # Four convolutions of 64 to 16 channels have the FLOPs of one of 64 to 64.
    assert {path.middle for path in finding.edit.paths.values()} == {0}
    trial = architectural_trial(bench, reading, finding, costs_of(reading), SECONDS)
    assert trial.flops == pytest.approx(1.0)
    assert {one.after for one in trial.changes} == {"merged"}


def test_what_cannot_be_built_is_said() -> None:
    bench, reading, finding = bench_of("groups")
    bad = Finding(
        **{**vars(finding), "edit": Edit(scale={}, dropped={finding.layers[0]: "nothing"})}
    )
    trial = architectural_trial(bench, reading, bad, costs_of(reading), SECONDS)
    assert trial.verdict == NOT_TRIED
    assert "nothing" in trial.why
    none = Finding(**{**vars(finding), "edit": None, "why_no_edit": "a reason"})
    assert "a reason" in architectural_trial(bench, reading, none, costs_of(reading), SECONDS).why


def test_several_alternatives_make_one_network() -> None:
    bench, reading, _ = bench_of("shortcuts")
    found = find(reading, None)
    both = [one for one in found if one.key in ("shortcuts", "activations")]
    trial = combined_trial(bench, reading, both, SECONDS)
    assert trial.ratio is not None
    assert {"add", "relu"} <= {one.before for one in trial.changes}


def test_exact_advice_is_compared_and_timed() -> None:
    bench, reading, _ = bench_of("layout changes")
    smaller = simpler(reading)
    assert smaller is not None
    wanted = [
        Candidate("leave out", EAGER, True),
        Candidate("lower", Setting("eager", 1, True), True),
    ]
    trials = exact_trials(bench, wanted, smaller, SECONDS)
    assert [one.advice for one in trials] == ["leave out", "lower"]
    for one in trials:
        assert one.kind == EXACT
        assert one.error is not None
        assert one.error < 1e-5
        assert one.ratio is not None
    whole = together(bench, trials, smaller, SECONDS)
    assert whole is not None
    assert whole.ratio is not None


@pytest.mark.parametrize(
    ("key", "lowered"),
    [("layout changes", False), pytest.param("channel moves", True, marks=pytest.mark.slow)],
)
def test_exact_advice_is_timed_on_a_block_alone(key: str, lowered: bool) -> None:
    bench, reading, finding = bench_of(key)
    costs = costs_of(reading)
    sample = sample_of(reading, [finding], costs)
    assert sample is not None
    assert sample.name.startswith("blocks")
    assert sample.share == pytest.approx(costs.share(around(finding, reading)))
    wanted = [
        Candidate("rewrite", Setting("eager", 1, lowered), True),
        Candidate("elsewhere", Setting("eager", 2), True),
    ]
    rewritten, elsewhere = exact_trials(bench, wanted, simpler(reading), SECONDS, sample=sample)
    for one in (rewritten, elsewhere):
        assert one.alone is not None
        assert one.block == sample.name
    # Rewriting changes the blocks that there is something to rewrite in, threads change all.
    assert rewritten.alone is not None
    assert sample.share is not None
    assert rewritten.predicted == pytest.approx(1 - sample.share * (1 - rewritten.alone.value))
    assert elsewhere.alone is not None
    assert elsewhere.predicted == pytest.approx(elsewhere.alone.value)


def test_the_block_computes_the_same_in_both_forms() -> None:
    _, reading, finding = bench_of("layout changes")
    sample = sample_of(reading, [finding], costs_of(reading))
    assert sample is not None
    plain, simple = sample.modules
    x = torch.randn(sample.plain.input)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), simple(x))
    moves = {node.target for one in (plain, simple) for part in one for node in part.graph.nodes}
    assert torch.ops.aten.permute.default in moves
    assert not any(
        node.target is torch.ops.aten.permute.default
        for part in simple
        for node in part.graph.nodes
    )


class Wrong(nn.Module):
    """Another function of the same shape."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model(x) + 1
        return found


def test_what_computes_something_else_is_never_timed() -> None:
    bench, _, _ = bench_of("groups")
    (trial,) = exact_trials(
        bench, [Candidate("cheat", EAGER, True)], Wrong(bench.model).eval(), SECONDS
    )
    assert trial.verdict == WITHDRAWN
    assert "something else" in trial.why
    assert trial.ratio is None
    assert not bench.records


def test_late_candidates_are_not_prepared() -> None:
    bench, _, _ = bench_of("groups")
    wanted = [Candidate("first", EAGER), Candidate("late", EAGER)]
    first, late = exact_trials(bench, wanted, None, SECONDS, until=0.0)
    assert first.ratio is not None
    assert late.verdict == NOT_TRIED


def test_kept_forms_and_threads_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Candidate] = []

    def noted(bench: Bench, wanted: list[Candidate], *_: object) -> list[Trial]:
        tried.extend(wanted)
        return [Trial(wanted[0].advice, EXACT, "", "", KEPT, "")]

    monkeypatch.setattr("flyweight.advising.trying.exact_trials", noted)
    bench, _, _ = bench_of("groups")
    kept = [
        Trial("lower", EXACT, "", "", KEPT, "", setting=Setting("eager", 1, True)),
        Trial("use 2 threads", EXACT, "", "", KEPT, "", setting=Setting("eager", 2)),
    ]
    together(bench, kept, None, SECONDS)
    assert tried == [Candidate("lower, and use 2 threads", Setting("eager", 2, True))]


def test_what_is_tried() -> None:
    settings = [one.setting for one in candidates(Setting("native", 1), False, False)]
    assert Setting("onnxruntime", 1, True) in settings
    assert not any(one.engine == "native" for one in settings)
    plain = [one.advice for one in candidates(EAGER, True, False)]
    assert plain[0].startswith("leave out")
    assert not any("threads" in advice or "merged" in advice for advice in plain)
    whole = [one.setting for one in candidates(EAGER, False, False, siblings=True)]
    assert Setting("eager", 1, True, merged=True) in whole
    assert whole.index(Setting("eager", 1, True)) < whole.index(
        next(one for one in whole if one.engine != "eager")
    )


class Siblings(nn.Module):
    """Two 1x1 convolutions that read the same, of which one may read it with another stride."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1, stride)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.a(x), self.b(x)


def test_siblings_are_noticed() -> None:
    x = torch.randn(1, 3, 8, 8)
    assert has_siblings(read(Siblings().eval(), x))
    assert not has_siblings(read(Siblings(2).eval(), x))
    assert not has_siblings(read(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)).eval(), x))


def test_merged_siblings_are_tried() -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)
    bench = Bench(Siblings().eval(), "siblings", x, EAGER)
    merged = Candidate("merge", Setting("eager", 1, True, merged=True))
    (trial,) = exact_trials(bench, [merged], None, SECONDS)
    assert trial.ratio is not None
    assert trial.error is not None
    assert trial.error < 1e-5


def test_forms_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Setting] = []
    real = bench_module.lowered_for

    def counted(model: nn.Module, example: np.ndarray, setting: Setting) -> nn.Module:
        made.append(setting)
        return real(model, example, setting)

    monkeypatch.setattr(bench_module, "lowered_for", counted)
    bench, reading, _ = bench_of("groups")
    lowered = Setting("eager", 1, True)
    first, second = (bench.runner(bench.model, lowered) for _ in range(2))
    assert first is not second
    assert made == [lowered]
    assert bench.rebuilt(reading) is bench.rebuilt(reading)
    assert bench.original() is bench.original()
    assert bench.preparing_s > 0


def test_a_block_alone_computes_what_it_does_in_the_network() -> None:
    bench, reading, finding = bench_of("groups")
    network = rebuilt(reading, widths_of(reading.graph.graph), Edit())
    name, nodes = block_of(finding, reading)
    part = alone(network, nodes)
    assert part is not None
    x = torch.randn(part.input)
    assert part.output == part.input
    with torch.no_grad():
        torch.testing.assert_close(part.module(x), bench.model.get_submodule(name)(x))


@pytest.mark.parametrize("key", ["groups", "unequal widths"])
def test_what_the_block_alone_predicts(key: str) -> None:
    _, reading, finding = bench_of(key)
    assert finding.edit is not None
    costs = costs_of(reading)
    changed = rebuilt(reading, widths_of(reading.graph.graph), finding.edit)
    stem, head = next(iter(reading.layers.values())), list(reading.layers.values())[-1]
    inside = around(finding, reading)
    assert {one.place.path.split(".")[0] for one in inside} == {"blocks"}
    # The stem and the features of the head have other widths, as the blocks next to them. What that
    # costs or saves there is no more than the multiply-adds take on average.
    dense = [one for one in inside if one.madds]
    first, last = changed.shapes[stem.node][1], changed.shapes[dense[-1].node][1]
    assert {first, last} <= {48, 56}
    # The block that was timed halves; all of them do for the same multiply-adds.
    timed = [one for one in dense if one.node in block_of(finding, reading)[1]]
    grown, own = (
        sum(changed.madds_of[one.node] for one in some) / sum(one.madds for one in some)
        for some in (dense, timed)
    )
    saved = (1 - 0.5 * grown / own) * (costs.share(inside) or 0)
    computing = [one for one in reading.layers.values() if one.madds]
    usual = (costs.share(computing) or 0) / reading.madds
    for layer, left in ((stem, first / stem.widths[1]), (head, last / head.input[1])):
        rate = min(usual, (costs.share([layer]) or 0) / layer.madds)
        saved += rate * layer.madds * (1 - left)
    found = predicted(finding, reading, costs, changed, 0.5)
    assert found == pytest.approx(1 - saved)
    assert predicted(finding, reading, Costs.of(reading, None), changed, 0.5) is None
