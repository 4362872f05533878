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
    makers,
    readers,
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
    read_by = readers(program, step.out)
    while len(read_by) == 1 and _takes_zeros(program, read_by[0]):
        chain.append(read_by[0])
        read_by = readers(program, chain[-1].out)
    last = chain[-1].out
    convs = [reader for reader in read_by if isinstance(reader, Conv) and is_dense(reader)]
    whole = len(convs) == len(read_by) and all(is_whole(program, c.x.ids) for c in convs)
    if not convs or not whole or (times_read(program)[last.ids] != len(convs)).any():
        return False
    zeros = _widen(program, chain, missing)
    for conv in convs:
        _read_zeros(conv, zeros)
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
    made_by = makers(program)
    counts = times_read(program)
    chain: Chain = []
    while True:
        step = made_by.get(value.first)
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


def _widen(program: Program, chain: Chain, extra: int) -> Ids:
    """Add channels to all values of a chain; the numbers of those at its end."""
    zeros = np.array([], dtype=np.int64)
    for step in chain:
        old: Value = step.out
        if len(zeros):
            _add_channels(step, zeros)
        else:
            _add_rows(step, extra)
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
        _add_rows(step, extra)
        step.groups += extra


def _add_rows(step: Conv, extra: int) -> None:
    """Let a convolution put out zeros behind its own channels."""
    step.weight = _padded(step.weight, 0, extra)
    step.bias = None if step.bias is None else _padded(step.bias, 0, extra)


def _read_zeros(step: Conv, zeros: Ids) -> None:
    step.x = Operand(np.concatenate([step.x.ids, zeros]), step.x.space)
    step.weight = _padded(step.weight, 1, len(zeros))


def _padded(tensor: Tensor, axis: int, extra: int) -> Tensor:
    shape = [*tensor.shape]
    shape[axis] = extra
    return torch.cat([tensor, torch.zeros(shape, dtype=tensor.dtype)], axis)
