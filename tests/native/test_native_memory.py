"""Where everything lies in memory: what is needed at the same time lies apart."""

import copy
import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flyweight import create_model
from flyweight.native.blocks import fixed_block
from flyweight.native.compiling import program_of
from flyweight.native.isa import ISAS
from flyweight.native.memory import ALIGNED, Lifetime, first_fit
from flyweight.native.plan import Buffer, Plan
from flyweight.native.planning import plan_of
from flyweight.nn.shuffle import channel_shuffle

STEPS = 12


@st.composite
def lifetimes(draw: st.DrawFn) -> Lifetime:
    first = draw(st.integers(0, STEPS))
    return Lifetime(draw(st.integers(1, 400)), first, draw(st.integers(first, STEPS)))


def apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether (start, size) of two don't overlap."""
    return one[0] + one[1] <= other[0] or other[0] + other[1] <= one[0]


@given(st.lists(lifetimes(), max_size=25))
def test_what_lives_together_lies_apart(needs: list[Lifetime]) -> None:
    offsets, total = first_fit(needs)
    assert all(offset % ALIGNED == 0 and offset >= 0 for offset in offsets)
    for (i, a), (j, b) in itertools.combinations(enumerate(needs), 2):
        if a.first <= b.last and b.first <= a.last:
            assert apart((offsets[i], a.size), (offsets[j], b.size))
    assert all(offset + need.size <= total for offset, need in zip(offsets, needs, strict=True))
    # No plan takes less than what is needed at some step, nor more than all of it side by side.
    rounded = [-(-need.size // ALIGNED) * ALIGNED for need in needs]
    at_once = (
        sum(size for size, n in zip(rounded, needs, strict=True) if n.first <= step <= n.last)
        for step in range(STEPS + 1)
    )
    assert max(at_once) <= total <= sum(rounded)


def test_a_chain_takes_two_places() -> None:
    _, total = first_fit([Lifetime(160, step, step + 1) for step in range(30)])
    assert total == 2 * 160


def buffers_at_once(plan: Plan) -> list[list[Buffer]]:
    """For each step, and when the outputs are copied, the buffers that hold something needed.

    The steps of a chain take place at the same time.
    """
    times = [plan.chain_at(i) for i in range(len(plan.steps))]
    time = [chain.first if chain else i for i, chain in enumerate(times)]
    made = {plan.input.first: -1}
    made |= {step.out.first: i for i, step in zip(time, plan.steps, strict=True)}
    last = dict(made)
    for i, step in zip(time, plan.steps, strict=True):
        for operand in step.node.operands():
            for channel in operand.ids:
                last[plan.buffer_of(int(channel)).first] = i
    for output in plan.outputs:
        for channel in output.ids.ravel():
            last[plan.buffer_of(int(channel)).first] = len(plan.steps)
    return [
        [one for one in plan.buffers.values() if made[one.first] <= i <= last[one.first]]
        for i in range(-1, len(plan.steps) + 1)
    ]


class Branches(nn.Module):
    """Values that live long, borders, groups whose last vectors reach over their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(12, 12, 3, padding=1, groups=g) for g in (1, 2, 12))
        self.first = nn.Conv2d(3, 12, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.first(x)
        found = [layer(x) for layer in self.layers]
        y = channel_shuffle(torch.cat(found, 1), 3)
        return y[:, :12] * x, found[1], y.mean((2, 3))


def test_buffers_of_networks() -> None:
    network = create_model("shufflenet_v2_x0_5", num_classes=5, repeats=(1, 1, 1))
    for model in (Branches().eval(), network.eval()):
        program = program_of(model, torch.zeros(1, 3, 32, 32))
        for isa in ISAS.values():
            plan = plan_of(copy.deepcopy(program), isa, None, fixed_block)
            for together in buffers_at_once(plan):
                for one, other in itertools.combinations(together, 2):
                    assert apart((one.offset, one.size), (other.offset, other.size))
            for one in plan.buffers.values():
                inside = 0 if one.kept == 0 else plan.own
                assert one.offset + one.size <= plan.memory + inside
