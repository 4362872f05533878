"""Convolutions of any shape, on every instruction set and in every tile, against double precision.

Compiling takes longer than running, so that many convolutions are compiled as one network; it is
written down as steps, which takes no time to capture.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._pytree import tree_structure

from flyweight.graph.program import Channelwise, Conv, Operand, Program, Value, Values
from flyweight.native.blocks import Shape
from flyweight.native.isa import ISAS, Isa
from flyweight.native.plan import Block
from tests.native.against import Choose, built, error, needs_compiler

pytestmark = needs_compiler
aten = torch.ops.aten

CHANNELS = 70
SIZE = (9, 11)


@dataclass(frozen=True)
class Wanted:
    """A convolution; `first` is the first of the channels that it reads."""

    first: int
    inputs: int
    outputs: int
    groups: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    bias: bool
    images: bool
    follows: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Of the output, in pixels."""
        spans = (d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        height, width = (
            (size + 2 * pad - span) // step + 1
            for size, pad, span, step in zip(SIZE, self.padding, spans, self.stride, strict=True)
        )
        return height, width


def axes(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def wanted(draw: st.DrawFn) -> Wanted:
    if draw(st.booleans()):  # groups that may share vectors
        groups, of_each = draw(st.sampled_from([2, 4, 8, 16])), [1, 2, 3, 4, 8, 16]
        inputs, outputs = (
            groups * draw(st.sampled_from([n for n in of_each if n * groups <= CHANNELS]))
            for _ in range(2)
        )
    else:
        inputs = draw(st.integers(1, CHANNELS))
        divisors = [g for g in range(1, inputs + 1) if inputs % g == 0]
        groups = draw(st.sampled_from([1, 1, inputs, *divisors]))
        most = CHANNELS // groups
        # As many outputs as inputs make a convolution of as many groups depthwise.
        outputs = groups * draw(st.sampled_from([1, *range(1, most + 1)]))
    kernel, stride, dilation = draw(axes(1, 5)), draw(axes(1, 3)), draw(axes(1, 3))
    low, high = (
        max(0, -(-(d * (k - 1) + 1 - size) // 2))
        for k, d, size in zip(kernel, dilation, SIZE, strict=True)
    )
    more = draw(axes(0, 2))
    padding = (low + more[0], high + more[1])
    first = draw(st.integers(0, CHANNELS - inputs))
    follows = draw(st.sampled_from([(), (), ("relu6",), ("sigmoid",), ("add",), ("add", "relu")]))
    return Wanted(
        first, inputs, outputs, groups, kernel, stride, dilation, padding, draw(st.booleans()),
        draw(st.integers(0, 3)) == 0, follows,
    )  # fmt: skip


class SideBySide:
    """Convolutions that read some channels each, of the images or of what a first layer makes."""

    def __init__(self, all_wanted: Sequence[Wanted]) -> None:
        self.all_wanted = all_wanted
        shapes = [(one.outputs, one.inputs // one.groups, *one.kernel) for one in all_wanted]
        self.weights = [
            torch.randn(shape) / torch.tensor(shape[1:]).prod().sqrt() for shape in shapes
        ]
        self.biases = [torch.randn(one.outputs) if one.bias else None for one in all_wanted]

    def program(self) -> Program:
        values = Values()
        images = values.new_value(CHANNELS, SIZE, torch.float32)
        first = values.new_value(CHANNELS, SIZE, torch.float32)
        read = (Operand(images.ids, SIZE), 0.1)
        program = Program(
            images, [Channelwise(aten.leaky_relu.default, read, {}, first)], [],
            tree_structure(list(self.all_wanted)), values,
        )  # fmt: skip
        for one, weight, bias in zip(self.all_wanted, self.weights, self.biases, strict=True):
            out = values.new_value(one.outputs, one.size, torch.float32)
            ids = (images if one.images else first).ids[one.first : one.first + one.inputs]
            x = Operand(ids, SIZE)
            # What is added has to be there before.
            other = values.new_value(one.outputs, one.size, torch.float32)
            if "add" in one.follows:
                args = (Operand(first.ids[: one.outputs], SIZE), list(one.size))
                program.steps.append(Channelwise(aten.adaptive_avg_pool2d.default, args, {}, other))
            program.steps.append(
                Conv(x, weight, bias, one.stride, one.padding, one.dilation, one.groups, out)
            )
            for follows in one.follows:
                out = self._follow(program, follows, out, other)
            program.outputs.append(out.map())
        return program

    def _follow(self, program: Program, follows: str, x: Value, other: Value) -> Value:
        targets = {
            "relu": aten.relu.default, "relu6": aten.relu6.default,
            "sigmoid": aten.sigmoid.default, "add": aten.add.Tensor,
        }  # fmt: skip
        operands = [x, other] if follows == "add" else [x]
        out = program.values.new_value(x.channels, x.space, x.dtype)
        args = tuple(Operand(one.ids, one.space) for one in operands)
        program.steps.append(Channelwise(targets[follows], args, {}, out))
        return out

    def exact(self, x: Tensor) -> list[Tensor]:
        """What it computes, in double precision."""
        images = x.double()
        first = F.leaky_relu(images, 0.1)
        found = []
        for one, weight, bias in zip(self.all_wanted, self.weights, self.biases, strict=True):
            read = (images if one.images else first)[:, one.first : one.first + one.inputs]
            y = F.conv2d(
                read, weight.double(), None if bias is None else bias.double(), one.stride,
                one.padding, one.dilation, one.groups,
            )  # fmt: skip
            if "add" in one.follows:
                y = y + F.adaptive_avg_pool2d(first[:, : one.outputs], one.size)
            for name in ("relu", "relu6"):
                y = getattr(F, name)(y) if name in one.follows else y
            found.append(y.sigmoid() if "sigmoid" in one.follows else y)
        return found


def every_tile(isa: Isa) -> Choose:
    """Each convolution in another of the instruction set's tiles, in another order of loops."""
    blocks = itertools.cycle(
        Block(pixels, vectors, inputs, tiles_outside)
        for pixels, vectors in isa.tiles
        for inputs, tiles_outside in ((0, False), (0, True), (7, False), (40, True))
    )

    def choose(shape: Shape, _: Isa) -> Block:
        return next(blocks)

    return choose


def check(all_wanted: Sequence[Wanted], isas: Sequence[str], threads: int) -> None:
    torch.manual_seed(0)
    network = SideBySide(all_wanted)
    x = torch.randn(2, CHANNELS, *SIZE)
    expected = network.exact(x)
    for name in isas:
        isa = ISAS[name]
        _, compiled = built(network.program(), isa, every_tile(isa), threads)
        for one, mine, true in zip(all_wanted, compiled(x.numpy()), expected, strict=True):
            assert error(mine, true.numpy()) < 5e-6, (name, one)


def of_each_isa() -> list[str]:
    """One instruction set of each width of vectors: plans of two with the same are alike."""
    return list({isa.lanes: name for name, isa in ISAS.items()}.values())


# Shrinking would compile hundreds of networks: the message names the convolution.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.mark.parametrize("examples", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_any_convolution(examples: int) -> None:
    @settings(max_examples=examples, phases=PHASES, suppress_health_check=list(HealthCheck))
    @given(st.lists(wanted(), min_size=40, max_size=40), st.integers(1, 3))
    def run(all_wanted: list[Wanted], threads: int) -> None:
        check(all_wanted, of_each_isa(), threads)

    run()
