"""What the native engine can do, as nodes: a program's steps with what is fused into them."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from torch import Tensor

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand, Value, Values


@dataclass(frozen=True)
class Limits:
    """What values are cut off at; ReLU is (0, infinity)."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def none(self) -> bool:
        """Whether nothing is cut off."""
        return self.low == -math.inf and self.high == math.inf


@dataclass(frozen=True)
class Curve:
    """An activation that is more than limits.

    Attributes:
        name: as the C source has it.
        slope: its number, where it has one.
        slopes: one for each channel instead, by output channel.
    """

    name: str
    slope: float = 0.0
    slopes: Tensor | None = None


@dataclass(frozen=True)
class Finish:
    """What happens to results before they are stored, in this order.

    Attributes:
        before: limits of the result.
        residual: what is added then, by output channel.
        after: limits of that sum.
        curve: what comes last.
    """

    before: Limits = Limits()
    residual: Operand | None = None
    after: Limits = Limits()
    curve: Curve | None = None

    @property
    def none(self) -> bool:
        """Whether nothing happens."""
        plain = self.before.none and self.after.none
        return plain and self.residual is None and self.curve is None


@dataclass(eq=False)
class Node:
    """A step of the plan to be.

    Attributes:
        x: what it reads.
        out: what it puts out.
        where: the module that asked for it.
        finish: what is fused into it.
    """

    x: Operand
    out: Value
    where: str
    finish: Finish = field(default=Finish(), kw_only=True)

    def operands(self) -> list[Operand]:
        """All that it reads."""
        return [self.x] if self.finish.residual is None else [self.x, self.finish.residual]

    def change_operands(self, change: Callable[[Operand], Operand]) -> None:
        """Let it read something else instead of each operand."""
        self.x = change(self.x)
        if self.finish.residual is not None:
            self.finish = replace(self.finish, residual=change(self.finish.residual))


@dataclass(frozen=True)
class Abreast:
    """How the lanes of a vector are shared by narrow groups.

    Attributes:
        groups: in a vector.
        inputs: of each group in a vector; lane l changes places with l ^ i * step for i below it.
        step: between lanes of a group.
    """

    groups: int
    inputs: int
    step: int


@dataclass(eq=False)
class Convolution(Node):
    """A convolution with a kernel of any size, or a linear layer: one with the size of its input.

    Attributes:
        weight: (outputs, inputs of a group, height, width).
        bias: for each output, or none.
        stride: vertical, horizontal; likewise dilation.
        padding: how far above and left of the first pixel the first output reads, 0 or less where
            it doesn't; below and right it is what the size of the output asks for.
        abreast: how groups share vectors, where they do; outputs then lie as `abreast` has them,
            weights and biases are as they were.
        winograd: whether it is done by Winograd's algorithm.
    """

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    abreast: Abreast | None = None
    winograd: bool = False

    @property
    def depthwise(self) -> bool:
        """Whether every channel is filtered alone."""
        return self.groups == len(self.x.ids) == self.out.channels and self.groups > 1


@dataclass(eq=False)
class Pool(Node):
    """A pool; `adaptive` ones have windows of their own for each output.

    Attributes:
        kind: "LARGEST", "SMALLEST", "AVERAGE" or "TOTAL".
        counting: what an average divides by: "INSIDE", "WITH_PADDING", or "FIXED" (`divisor`).
    """

    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    adaptive: bool = False
    counting: str = "INSIDE"
    divisor: float = 1.0


@dataclass(eq=False)
class Elementwise(Node):
    """An operation on each channel of each pixel.

    Attributes:
        operation: "COPY", "SCALE", "ADD", "SUBTRACT", "MULTIPLY", "DIVIDE", "MAXIMUM", "MINIMUM".
        other: the second operand; one that has a single pixel is the same for all.
        scale: for each channel, of "SCALE".
        shift: likewise.
    """

    operation: str
    other: Operand | None = None
    scale: Tensor | None = None
    shift: Tensor | None = None

    def operands(self) -> list[Operand]:
        """All that it reads."""
        return [*super().operands(), *([] if self.other is None else [self.other])]

    def change_operands(self, change: Callable[[Operand], Operand]) -> None:
        """Let it read something else instead of each operand."""
        super().change_operands(change)
        self.other = None if self.other is None else change(self.other)


@dataclass(eq=False)
class Softmax(Node):
    """Softmax over channels."""

    logarithm: bool = False


@dataclass(eq=False)
class Pick(Node):
    """Pixels from elsewhere: padding, cutting, flipping, enlarging, one pixel of each window.

    Attributes:
        rows: for each row of the output, which one it is of the input; -1 for `fill`.
        columns: likewise.
        fill: what else there is.
    """

    rows: Ids
    columns: Ids
    fill: float = 0.0


@dataclass(eq=False)
class Neighbours(Node):
    """For each channel the sum of it and its neighbours, times a number, plus a number.

    Attributes:
        before: how many channels before it are in the sum.
        after: how many after it; those that aren't there count as zeros.
        scale: what sums are multiplied by.
        shift: what is added then.
    """

    before: int
    after: int
    scale: float
    shift: float = 0.0


@dataclass(eq=False)
class Gather(Node):
    """Channels put side by side, for a reader that can't read them from where they are.

    Attributes:
        by_runs: whether channels that lie side by side already are copied together, in vectors.
    """

    by_runs: bool = False


AnyNode: TypeAlias = Convolution | Pool | Elementwise | Softmax | Pick | Neighbours | Gather


def area(space: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a value: 1 where there are no positions, or one axis only."""
    height, width = (1, 1, *space)[-2:]
    return height, width


def pieces(values: Values, ids: Ids) -> list[tuple[int, int]]:
    """Channels as runs that lie side by side in one value: (the first one, how many)."""
    breaks = np.flatnonzero((np.diff(ids) != 1) | (np.diff(values.owners(ids)) != 0)) + 1
    starts = [0, *breaks.tolist(), len(ids)]
    return [(int(ids[a]), b - a) for a, b in itertools.pairwise(starts)]


def in_runs(values: Values, ids: Ids, least: int) -> bool:
    """Whether channels lie side by side in runs of `least` or more, in the mean."""
    return len(pieces(values, ids)) * least <= len(ids)
