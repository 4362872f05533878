"""A captured network as the steps that compute something, read through channel maps."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_leaves, tree_map

from flyweight.graph.maps import ChannelMap, Ids, whole


@dataclass(frozen=True, eq=False)
class Value:
    """A computed tensor of shape (batch, channels, *space).

    Attributes:
        first: the number of its first channel; the others follow.
        channels: how many.
        space: sizes of the further dimensions.
        dtype: of its elements.
    """

    first: int
    channels: int
    space: tuple[int, ...]
    dtype: torch.dtype

    @property
    def ids(self) -> Ids:
        """The numbers of its channels."""
        return np.arange(self.first, self.first + self.channels)

    def map(self) -> ChannelMap:
        """The value as it is."""
        return whole(self.first, self.channels, self.space)


@dataclass(frozen=True, eq=False)
class Raw:
    """A result without channels to follow: no batch in front, a number, or more."""

    name: str


@dataclass(frozen=True, eq=False)
class Operand:
    """Channels that a step reads, as a tensor (batch, len(ids), *space)."""

    ids: Ids
    space: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PerChannel:
    """A constant that has a value, or a slice, for each channel that a step puts out."""

    tensor: Tensor
    axis: int


Out: TypeAlias = Value | Raw


@dataclass(eq=False)
class Conv:
    """A convolution. Its weight's columns are in the order of `x.ids`, its rows in the output's."""

    x: Operand
    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    out: Value
    where: str = ""

    @property
    def depthwise(self) -> bool:
        """Whether every channel is filtered alone."""
        return self.groups == len(self.x.ids) == self.out.channels and self.groups > 1


@dataclass(eq=False)
class Linear:
    """A linear layer on (batch, channels x positions), the positions of a channel together."""

    x: Operand
    weight: Tensor
    bias: Tensor | None
    out: Value
    where: str = ""


@dataclass(eq=False)
class Affine:
    """Every channel times its scale plus its shift: batch norm in evaluation."""

    x: Operand
    scale: Tensor
    shift: Tensor
    out: Value
    where: str = ""


@dataclass(eq=False)
class Channelwise:
    """An operation whose output channel k depends on channel k of its operands alone.

    Attributes:
        target: the PyTorch operation.
        args: its arguments; `Operand` and `PerChannel` stand where tensors come.
        kwargs: likewise.
        out: what it puts out.
        where: the module that asked for it.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Value
    where: str = ""

    @property
    def operands(self) -> list[Operand]:
        """What it reads, in order."""
        return [leaf for leaf in tree_leaves((self.args, self.kwargs)) if isinstance(leaf, Operand)]


@dataclass(eq=False)
class Opaque:
    """Anything else: executed as it is, on tensors whose channels are in their own order.

    Attributes:
        target: the PyTorch operation.
        args: its arguments; `ChannelMap`, `Raw` and `Size` stand where values come.
        kwargs: likewise.
        outs: what it puts out; one entry for each tensor of a tuple.
        several: whether it puts out a tuple or list.
        where: the module that asked for it.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: list[Out | None]
    several: bool = False
    where: str = ""


Step: TypeAlias = Conv | Linear | Affine | Channelwise | Opaque


class Values:
    """Values whose channels are numbered one after another.

    Attributes:
        values: all of them, by the number of their first channel.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []

    def new_value(self, channels: int, space: Sequence[int], dtype: torch.dtype) -> Value:
        """A value with numbers of its own."""
        last = self.values[-1] if self.values else None
        first = last.first + last.channels if last else 0
        value = Value(first, channels, tuple(space), dtype)
        self.values.append(value)
        return value

    def value_of(self, channel: int) -> Value:
        """The value that a channel belongs to."""
        return self.values[bisect_right(self.values, channel, key=lambda v: v.first) - 1]

    def owners(self, ids: Ids) -> Ids:
        """For each channel, the number of the first channel of its value."""
        firsts = np.array([value.first for value in self.values])
        return firsts[np.searchsorted(firsts, ids, side="right") - 1]

    def sources(self, ids: Ids) -> list[Value]:
        """The values that some channels belong to, ascending."""
        return [self.value_of(int(first)) for first in np.unique(self.owners(ids))]

    def numbers(self) -> Ids:
        """The number of every channel; a start for `renumber`."""
        last = self.values[-1]
        return np.arange(last.first + last.channels)


@dataclass(eq=False)
class Program:
    """A network: an input, steps in an order in which they can run, and what it puts out.

    Attributes:
        input: the images.
        steps: what is computed.
        outputs: a `ChannelMap`, `Raw`, or constant for each output.
        structure: how the outputs are nested.
        values: the input, what steps put out, and what they once did.
        moves: the moves that became channel maps: the operation, and the module that asked.
    """

    input: Value
    steps: list[Step]
    outputs: list[Any]
    structure: TreeSpec
    values: Values
    moves: list[tuple[str, str]] = field(default_factory=list)


def reads(step: Step) -> list[Ids]:
    """The channels that a step reads, for each of its operands."""
    if isinstance(step, Channelwise):
        return [operand.ids for operand in step.operands]
    if isinstance(step, Opaque):
        leaves = tree_leaves((step.args, step.kwargs))
        return [leaf.ids.ravel() for leaf in leaves if isinstance(leaf, ChannelMap)]
    return [step.x.ids]


def outs(step: Step) -> list[Out]:
    """What a step puts out."""
    if isinstance(step, Opaque):
        return [out for out in step.outs if out is not None]
    return [step.out]


def raws(step: Step) -> list[Raw]:
    """The results without channels that a step reads."""
    if not isinstance(step, Opaque):
        return []
    return [leaf for leaf in tree_leaves((step.args, step.kwargs)) if isinstance(leaf, Raw)]


def read_as(step: Step, new: Ids) -> None:
    """Let a step that reads channel k read channel `new[k]`."""

    def replaced(leaf: Any) -> Any:
        return _renumbered(leaf, new)

    if isinstance(step, Channelwise | Opaque):
        step.args, step.kwargs = tree_map(replaced, (step.args, step.kwargs))
    else:
        step.x = replaced(step.x)


def _renumbered(leaf: Any, new: Ids) -> Any:
    if isinstance(leaf, Operand):
        return Operand(new[leaf.ids], leaf.space)
    if isinstance(leaf, ChannelMap):
        return ChannelMap(new[leaf.ids], leaf.dims)
    return leaf


def renumber(program: Program, new: Ids) -> None:
    """Let all steps and outputs that read channel k read channel `new[k]`."""
    for step in program.steps:
        read_as(step, new)
    program.outputs = [_renumbered(leaf, new) for leaf in program.outputs]


def makers(program: Program) -> dict[int, Step]:
    """The step that puts out each value, by the number of the value's first channel."""
    return {
        out.first: step for step in program.steps for out in outs(step) if isinstance(out, Value)
    }


def readers(program: Program, value: Value) -> list[Step]:
    """The steps that read any channel of a value."""
    mine = np.zeros(len(program.values.numbers()), dtype=bool)
    mine[value.ids] = True
    return [step for step in program.steps if any(mine[ids].any() for ids in reads(step))]


def times_read(program: Program) -> Ids:
    """How often every channel is read, by steps and as an output."""
    counts = np.zeros(len(program.values.numbers()), dtype=np.int64)
    for step in program.steps:
        for ids in reads(step):
            np.add.at(counts, ids, 1)
    for leaf in program.outputs:
        if isinstance(leaf, ChannelMap):
            np.add.at(counts, leaf.ids.ravel(), 1)
    return counts
