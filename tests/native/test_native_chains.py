"""Steps done together a few rows at a time: the same result, in less memory."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from flyweight import create_model
from flyweight.native import chaining
from flyweight.native.building import host_isa
from flyweight.native.chaining import chains_of, row_window
from flyweight.native.compiling import program_of
from flyweight.native.draft import Draft
from flyweight.native.nodes import Convolution, Pool
from flyweight.native.plan import Plan
from flyweight.native.planning import plan_of
from tests.native.against import built, check, error, exact, needs_compiler


@pytest.fixture
def eager_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of any size are worth a chain, and there is room for a few rows only."""
    monkeypatch.setattr(chaining, "LARGE", 1)
    monkeypatch.setattr(chaining, "KEPT", 4000)


class Layers(nn.Module):
    """Layers in a row; the first of each pair of numbers says which kind."""

    def __init__(self, kinds: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        channels, layers = 3, []
        for kind, number in kinds:
            kernel, stride, dilation = number % 3 + 1, number // 3 % 3 + 1, number // 9 % 2 + 1
            window = {"stride": stride, "padding": number // 18 % 3, "dilation": dilation}
            if kind == "dense":
                layers.append(nn.Conv2d(channels, 5 + number % 7, kernel, **window))
                channels = 5 + number % 7
            elif kind == "depthwise":
                layers.append(nn.Conv2d(channels, channels, kernel, groups=channels, **window))
            elif kind == "grouped":
                layers.append(nn.Conv2d(channels, channels * 2, kernel, groups=channels, **window))
                channels *= 2
            else:
                pool = nn.MaxPool2d if kind == "largest" else nn.AvgPool2d
                layers.append(pool(kernel, stride, (kernel // 2) * (number // 18 % 2)))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(x)
            x = x.relu() if i % 2 else x
        return x


KINDS = ("dense", "depthwise", "grouped", "largest", "average")


@pytest.mark.slow
@needs_compiler
@pytest.mark.usefixtures("eager_chains")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("last", [36, 45, 51])
def test_rows_of_nothing_but_padding(last: int, threads: int) -> None:
    """A 1x1 kernel that pads two rows: some of its outputs read no row of the map at all."""
    torch.manual_seed(0)
    model, x = Layers([("dense", 1), ("dense", last)]).eval(), torch.randn(1, 3, 20, 23)
    (expected,) = exact(model, x)
    plan, network = built(program_of(model, x), threads=threads)
    assert plan.chains
    assert error(network(x.numpy())[0], expected) <= 1e-5


@pytest.mark.slow
@needs_compiler
@pytest.mark.usefixtures("eager_chains")
@settings(
    max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 53)), min_size=2, max_size=5),
    st.integers(20, 41),
    st.integers(1, 3),
)
def test_any_layers_in_a_row(kinds: list[tuple[str, int]], size: int, threads: int) -> None:
    torch.manual_seed(size)
    model, x = Layers(kinds).eval(), torch.randn(2, 3, size, size + 3)
    try:
        expected = exact(model, x)
    except RuntimeError:  # a window larger than what is left
        return
    plan, network = built(program_of(model, x[:1]), threads=threads)
    (found,), (true,) = network(x.numpy()), expected
    assert error(found, true) <= 1e-5
    assert all(chain.kept for chain in plan.chains)


@pytest.mark.slow
@needs_compiler
def test_the_same_bits_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sum has the same terms in the same order."""
    model = create_model("mobilenet_v2_x0_5", num_classes=7).eval()
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    results, memories = [], []
    for large, threads in ((10**9, 1), (3000, 1), (3000, 3)):
        monkeypatch.setattr(chaining, "LARGE", large)
        plan, network = built(program_of(model, x), threads=threads)
        assert bool(plan.chains) == (large == 3000)
        results.append(network(x.numpy())[0])
        memories.append(network.memory_bytes())
        assert network.memory_bytes() == plan.memory_bytes(threads)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert memories[1] < memories[0]


@needs_compiler
@pytest.mark.usefixtures("eager_chains")
def test_what_is_not_finite_goes_through() -> None:
    torch.manual_seed(0)
    model = Layers([("dense", 4), ("depthwise", 20), ("largest", 23), ("dense", 0)])
    x = torch.randn(1, 3, 24, 24)
    x[0, 0, 5, 5], x[0, 1, 20, 3] = float("nan"), float("inf")
    plan = check(model, x)
    assert plan.chains


def read_by(plan: Plan) -> dict[int, list[int]]:
    """For each value, by its first channel, the steps that read it; -1 for an output."""
    found: dict[int, list[int]] = {first: [] for first in plan.buffers}
    for i, step in enumerate(plan.steps):
        for operand in step.node.operands():
            for first in {plan.buffer_of(int(channel)).first for channel in operand.ids}:
                found[first].append(i)
    for output in plan.outputs:
        for first in {plan.buffer_of(int(channel)).first for channel in output.ids.ravel()}:
            found[first].append(-1)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2_x1_0", "shufflenet_v2_x1_0", "igcv2_x0_25"])
def test_chains_of_networks(name: str) -> None:
    with torch.no_grad():
        plan = plan_of(program_of(create_model(name).eval(), torch.zeros(1, 3, 224, 224)),
                       host_isa())  # fmt: skip
    assert plan.chains
    readers = read_by(plan)
    for chain in plan.chains:
        steps = plan.steps[chain.first : chain.last + 1]
        end = 0
        for i, (step, kept) in enumerate(zip(steps, chain.kept, strict=False), chain.first):
            buffer = step.out
            assert readers[buffer.first] == [i + 1]
            assert (buffer.kept, buffer.size) == (kept, kept * buffer.row)
            assert buffer.offset >= max(end, plan.memory)  # in a thread's own memory, one by one
            end = buffer.offset + buffer.size
            # Enough rows for what the next step does at once.
            node = plan.steps[i + 1].node
            assert isinstance(node, Convolution | Pool)
            window = row_window(node)
            at_once = plan.steps[i + 1].out.kept or chain.rows
            assert kept == (at_once - 1) * window.stride + window.extent
        assert end <= plan.memory + plan.own
        weights = sum(s.node.weight.numel() for s in steps if isinstance(s.node, Convolution))
        assert weights <= chaining.WEIGHTS
        assert sum(s.out.size for s in steps[:-1]) <= 1.1 * chaining.KEPT  # borders beside


def test_no_other_cut_saves_more(monkeypatch: pytest.MonkeyPatch) -> None:
    drafts: list[Draft] = []

    def spied(draft: Draft, lanes: int) -> list[object]:
        drafts.append(draft)
        return list(chains_of(draft, lanes))

    monkeypatch.setattr("flyweight.native.planning.chains_of", spied)
    monkeypatch.setattr(chaining, "LARGE", 2000)
    torch.manual_seed(0)
    model = Layers([("dense", 4), ("depthwise", 20), ("dense", 0), ("grouped", 2), ("dense", 1),
                    ("largest", 4), ("dense", 2)]).eval()  # fmt: skip
    with torch.no_grad():
        plan_of(program_of(model, torch.zeros(1, 3, 90, 90)), host_isa())
    draft, lanes = drafts[0], host_isa().lanes

    def saved(first: int, end: int) -> float:
        """By one chain; nothing by a step alone, less than that where there is no chain."""
        if end - first == 1:
            return 0.0
        reads = draft.times_read()
        pairs = itertools.pairwise(draft.nodes[first:end])
        found = chaining._chain(draft.nodes[first:end], first, lanes)
        if found is None or not all(chaining._belong(a, b, reads, lanes) for a, b in pairs):
            return float("-inf")
        return found[0]

    count = len(draft.nodes)
    totals = [
        sum(saved(a, b) for a, b in itertools.pairwise((0, *cuts, count)))
        for n in range(count)
        for cuts in itertools.combinations(range(1, count), n)
    ]
    mine = sum(saved(chain.first, chain.last + 1) for chain in chains_of(draft, lanes))
    assert mine == max(totals) > 0
