"""A network with a clock in it: the same results, and a time for every step."""

import numpy as np
import pytest
import torch
from against import needs_compiler
from torch import nn

from flyweight.native.building import host_isa
from flyweight.native.clocking import ClockedNetwork, clocked
from flyweight.native.compiling import compile_network, plan_network

pytestmark = needs_compiler


def network() -> nn.Module:
    """Its first maps are large enough for a chain; two outputs."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
            self.dw = nn.Conv2d(24, 24, 3, padding=1, groups=24)
            self.last = nn.Linear(24, 5)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.stem(x)
            y = self.dw(x) * x
            return self.last(y.mean((2, 3))), y

    torch.manual_seed(0)
    return Two().eval()


X = torch.zeros(1, 3, 224, 224)


@pytest.mark.parametrize("threads", [1, 2])
def test_results_and_times(threads: int) -> None:
    model = network()
    with torch.no_grad():
        plan, emitted = plan_network(model, X, "two", host_isa())
    assert plan.chains  # or the test says nothing of them
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), np.float32)
    timed = ClockedNetwork(emitted, plan, threads)
    expected = compile_network(model, X, "two", threads).network(images)
    timed.spent()
    found = timed(images)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    spent = timed.spent()
    assert spent.shape == (len(plan.steps) + 2,)
    assert (spent >= 0).all()
    # Convolutions of 112 x 112 pixels can't be done between two ticks of the clock.
    for i, step in enumerate(plan.steps):
        assert spent[1 + i] > 0 or not step.madds
    assert not timed.spent().any()


def test_nobody_else_gets_the_clock() -> None:
    """The source is emitted as ever, and the one with notes is it with notes."""
    with torch.no_grad():
        plan, emitted = plan_network(network(), X, "two", host_isa())
    made = clocked(emitted, plan)
    assert "clock_note" not in emitted.source
    assert (made.header, made.weights, made.name) == (
        emitted.header, emitted.weights, emitted.name
    )  # fmt: skip
    groups = len(plan.steps) - sum(len(chain.kept) for chain in plan.chains)
    # The function, its start, one for images, the steps, the links of chains, and putting out.
    assert made.source.count("clock_note(") == 1 + 1 + 1 + groups + 1 + 1
