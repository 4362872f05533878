"""Narrow groups share vectors where channels lie so, or can be made to, and compute the same."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from flyweight.native.compiling import program_of
from flyweight.native.isa import ISAS
from flyweight.native.nodes import Abreast, Convolution
from flyweight.native.plan import Plan
from flyweight.nn import channel_shuffle
from tests.native.against import built, error, exact, needs_compiler
from tests.native.test_native_convolutions import every_tile

pytestmark = needs_compiler


def dense(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1)


def grouped(
    inputs: int, outputs: int, groups: int, kernel: int = 1, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups)


class Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(x, self.groups)


class Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + super().forward(x))


class Concatenated(nn.Module):
    """Two branches, concatenated, with channels of both in each group."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(torch.cat([branch(x) for branch in self.branches], 1), 2)


# How vectors of 4, 8 and 16 lanes are shared by each grouped convolution, in order.
# (groups in a vector, inputs of each in a vector, lanes from one to the next)
CASES: dict[str, tuple[nn.Module, dict[int, list[tuple[int, int, int] | None]]]] = {
    "of a dense convolution, which is asked for one input of each": (
        nn.Sequential(dense(3, 32), grouped(32, 16, 8, 3)),
        # 16 lanes are more than there are groups; with all 4 inputs there are too few outputs.
        {4: [(4, 1, 1)], 8: [(8, 1, 1)], 16: [None]},
    ),
    "odd numbers of inputs and outputs": (
        nn.Sequential(dense(3, 40), nn.ReLU(), grouped(40, 24, 8, 3, 2)),
        {4: [(4, 1, 1)], 8: [(8, 1, 1)], 16: [None]},
    ),
    "asked through a depthwise convolution; a shuffle; dilation": (
        nn.Sequential(
            dense(3, 16), grouped(16, 16, 16, 3), grouped(16, 16, 8), Shuffle(8),
            grouped(16, 32, 8, 3, dilation=2),
        ),
        {4: [(4, 1, 1), (2, 2, 1)], 8: [(8, 1, 1), (4, 2, 1)], 16: [(8, 2, 1), (8, 2, 2)]},
    ),
    "a wider one gives way to a narrower one after it": (
        nn.Sequential(dense(3, 48), grouped(48, 64, 8), Shuffle(8), grouped(64, 16, 8, 3)),
        {4: [None, (4, 1, 1)], 8: [None, (8, 1, 1)], 16: [None, (8, 2, 8)]},
    ),
    "as channels lie, with a sum and a limit": (
        nn.Sequential(dense(3, 32), Residual(grouped(32, 32, 16, 3))),
        {4: [(2, 2, 1)], 8: [(4, 2, 1)], 16: [(8, 2, 1)]},
    ),
    "learned slopes of outputs that lie in another order": (
        nn.Sequential(dense(3, 64), grouped(64, 48, 16), nn.PReLU(48, 0.3), dense(48, 9)),
        {4: [(4, 1, 1)], 8: [(8, 1, 1)], 16: [(16, 1, 1)]},
    ),
    "of an image": (grouped(3, 6, 3), {4: [None], 8: [None], 16: [None]}),
    "groups of three inputs that nobody can be asked for": (
        nn.Sequential(dense(3, 48), Residual(grouped(48, 48, 16))),
        {4: [None], 8: [None], 16: [None]},
    ),
    "of two values": (
        nn.Sequential(
            Concatenated(dense(3, 16), nn.Sequential(dense(3, 16), nn.Sigmoid())),
            grouped(32, 32, 8, 3),
        ),
        {4: [(2, 2, 1)], 8: [(4, 2, 1)], 16: [(8, 2, 1)]},
    ),
}  # fmt: skip
BY_LANES = {4: "neon", 8: "avx2", 16: "avx512"}


def shared(plan: Plan) -> list[Abreast | None]:
    """How each grouped convolution of a plan shares vectors."""
    nodes = [step.node for step in plan.steps if isinstance(step.node, Convolution)]
    return [node.abreast for node in nodes if node.groups > 1 and not node.depthwise]


@pytest.mark.parametrize(
    ("case", "lanes"),
    [
        pytest.param(case, lanes, marks=[pytest.mark.slow] if lanes != 8 else [])
        for case, lanes in itertools.product(CASES, BY_LANES)
    ],
)
@pytest.mark.parametrize("size", [(7, 9)])
def test_groups_share_vectors(case: str, lanes: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model, wanted = CASES[case]
    model.eval()
    x = torch.randn(2, 3, *size)
    isa = ISAS[BY_LANES[lanes]]
    (expected,) = exact(model, x)
    for threads in (1, 2):
        plan, network = built(program_of(model, x[:1]), isa, every_tile(isa), threads)
        assert shared(plan) == [None if one is None else Abreast(*one) for one in wanted[lanes]]
        (found,) = network(x.numpy())
        assert error(found, expected) < 5e-6


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_not_finite_stays_in_its_group(value: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(grouped(16, 16, 16), Shuffle(4), grouped(16, 16, 8)).eval()
    x = torch.randn(1, 16, 5, 5)
    x[0, 3, 2, 2] = value
    plan, network = built(program_of(model, x))
    assert shared(plan)[-1] is not None
    (found,), (expected,) = network(x.numpy()), exact(model, x)
    assert error(found, expected) < 5e-6
