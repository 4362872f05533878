"""Zero channels where an engine's fast kernels want channels in multiples of something.

ONNX Runtime computes convolutions in blocks of 8 or 16 channels, but only those whose input
channels are a multiple of 4, and depthwise ones only in whole blocks; all others take a slower way.
Channels of zero weight, read with zero weight, change nothing.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from flyweight.graph.maps import Ids
from flyweight.graph.program import (
    Affine,
    Channelwise,
    Conv,
    Operand,
    PerChannel,
    Program,
    Step,
    Value,
    outs,
    reads,
    renumber,
    times_read,
)
from flyweight.lowering.orders import is_dense, is_whole, keeps_order

aten = torch.ops.aten
Chain = list[Any]

_AT_ZERO_INFINITE = {
    aten.log.default, aten.rsqrt.default, aten.reciprocal.default, aten.div.Tensor,
    aten.pow.Tensor_Scalar,
}  # fmt: skip
"""Zero channels may not go through these: infinity times a weight of zero is not a number."""


def align(program: Program, read: int, block: int) -> list[str]:
    """Widen depthwise convolutions to blocks and what dense ones read to multiples; where.

    Args:
        program: it is changed.
        read: dense convolutions read a multiple of so many channels.
        block: depthwise convolutions between dense ones have a multiple of so many.
    """
    widened = [step.where for step in _depthwise(program) if _to_block(program, step, block)]
    widened += [step.where for step in _dense(program) if _to_multiple(program, step, read)]
    return widened


def _depthwise(program: Program) -> list[Conv]:
    return [step for step in program.steps if isinstance(step, Conv) and step.depthwise]


def _dense(program: Program) -> list[Conv]:
    return [step for step in program.steps if isinstance(step, Conv) and step.groups == 1]


def _to_block(program: Program, step: Conv, block: int) -> bool:
    """Widen a depthwise convolution between two dense ones, and what is between them."""
    missing = -step.out.channels % block
    chain = _chain(program, step.out)
    if not missing or chain is None:
        return False
    readers = _readers(program, step.out)
    while len(readers) == 1 and _takes_zeros(program, readers[0]):
        chain.append(readers[0])
        readers = _readers(program, chain[-1].out)
    last = chain[-1].out
    whole = all(
        isinstance(reader, Conv) and is_dense(reader) and is_whole(program, reader.x.ids)
        for reader in readers
    )
    if not readers or not whole or (times_read(program)[last.ids] != len(readers)).any():
        return False
    zeros = _widen(program, chain, missing)
    for reader in readers:
        _read_zeros(reader, zeros)
    return True


def _to_multiple(program: Program, step: Conv, multiple: int) -> bool:
    """Let a dense convolution read zeros too, of the value that it reads most of."""
    missing = -len(step.x.ids) % multiple
    if not missing or len(step.x.ids) < 2 * multiple:
        return False
    sources = program.values.sources(step.x.ids)
    owners = program.values.owners(step.x.ids)
    for source in sorted(sources, key=lambda s: -int((owners == s.first).sum())):
        chain = _chain(program, source)
        if chain is not None:
            _read_zeros(step, _widen(program, chain, missing))
            return True
    return False


def _chain(program: Program, value: Value) -> Chain | None:
    """The steps from a dense convolution to a value that keep its channels for themselves."""
    makers = {id(out): step for step in program.steps for out in outs(step)}
    counts = times_read(program)
    chain: Chain = []
    while True:
        step = makers.get(id(value))
        if step is None:
            return None
        chain.insert(0, step)
        if isinstance(step, Conv) and is_dense(step):
            return chain
        if not _takes_zeros(program, step):
            return None
        value = program.values.value_of(int(reads(step)[0][0]))
        if (counts[value.ids] != 1).any():
            return None


def _takes_zeros(program: Program, step: Step) -> bool:
    """Whether a step works on each channel of one value alone, and keeps zeros finite."""
    if isinstance(step, Channelwise) and step.target in _AT_ZERO_INFINITE:
        return False
    return keeps_order(step) and len(reads(step)) == 1 and is_whole(program, reads(step)[0])


def _readers(program: Program, value: Value) -> list[Any]:
    """The steps that read any channel of a value."""
    mine = np.zeros(len(program.values.numbers()), dtype=bool)
    mine[value.ids] = True
    return [step for step in program.steps if any(mine[ids].any() for ids in reads(step))]


def _widen(program: Program, chain: Chain, extra: int) -> Ids:
    """Add channels to all values of a chain; the numbers of those at its end."""
    zeros = np.array([], dtype=np.int64)
    for step in chain:
        old: Value = step.out
        if len(zeros):
            _add_channels(step, zeros)
        else:
            step.weight = _padded(step.weight, 0, extra)
            step.bias = None if step.bias is None else _padded(step.bias, 0, extra)
        step.out = program.values.new_value(old.channels + extra, old.space, old.dtype)
        new = program.values.numbers()
        new[old.ids] = step.out.ids[: old.channels]
        renumber(program, new)
        zeros = step.out.ids[old.channels :]
    return zeros


def _add_channels(step: Step, zeros: Ids) -> None:
    """Let a step that keeps the order read channels of zeros behind its own."""
    extra = len(zeros)

    def longer(leaf: Any) -> Any:
        if isinstance(leaf, Operand):
            return Operand(np.concatenate([leaf.ids, zeros]), leaf.space)
        if isinstance(leaf, PerChannel):
            return PerChannel(_padded(leaf.tensor, leaf.axis, extra), leaf.axis)
        return leaf

    if isinstance(step, Channelwise):
        step.args, step.kwargs = tree_map(longer, (step.args, step.kwargs))
    elif isinstance(step, Affine):
        step.x = longer(step.x)
        step.scale, step.shift = _padded(step.scale, 0, extra), _padded(step.shift, 0, extra)
    elif isinstance(step, Conv):
        step.x = longer(step.x)
        step.weight = _padded(step.weight, 0, extra)
        step.bias = None if step.bias is None else _padded(step.bias, 0, extra)
        step.groups += extra


def _read_zeros(step: Conv, zeros: Ids) -> None:
    step.x = Operand(np.concatenate([step.x.ids, zeros]), step.x.space)
    step.weight = _padded(step.weight, 1, len(zeros))


def _padded(tensor: Tensor, axis: int, extra: int) -> Tensor:
    shape = [*tensor.shape]
    shape[axis] = extra
    return torch.cat([tensor, torch.zeros(shape, dtype=tensor.dtype)], axis)
