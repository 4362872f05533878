"""Averages over neighbouring channels (local response normalisation), found among the steps.

PyTorch has no such operation: it is written as a pool over one channel whose positions are the
channels, between two views. To channel maps these views are no moves, so all of it is opaque.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from flyweight.graph.maps import BATCH, ChannelMap, squeeze
from flyweight.graph.meaning import BINARY
from flyweight.graph.moves import MOVES
from flyweight.graph.program import (
    Channelwise,
    Opaque,
    Operand,
    Program,
    Step,
    Value,
    makers,
    readers,
    renumber,
    times_read,
)

aten = torch.ops.aten

_POOLS = {aten.avg_pool2d.default, aten.avg_pool3d.default}
_PADS = {aten.pad.default, aten.constant_pad_nd.default}


@dataclass(frozen=True)
class Averages:
    """The target of steps that average each channel and its neighbours, zeros beyond the ends.

    Attributes:
        before: how many channels before it count.
        after: likewise.
    """

    before: int
    after: int


def find_neighbours(program: Program) -> None:
    """Replace each such pool, and the views around it, by one step with the target `Averages`."""
    for step in list(program.steps):
        if step in program.steps and isinstance(step, Opaque | Channelwise):
            found = _averages(program, step)
            if found is not None:
                _replace(program, step, *found)


def _averages(program: Program, step: Opaque | Channelwise) -> tuple[ChannelMap, Averages] | None:
    """The channels that a step averages, and how; None for any other step."""
    if step.target not in _POOLS:
        return None
    x, kernel, *rest = step.args
    stride, padding = [*rest, [], []][:2]
    lengths, pads = list(kernel), list(padding) or [0] * len(kernel)
    usual = all(n == 1 for n in lengths[1:]) and not any(pads[1:])
    if not usual or any(n != 1 for n in stride or lengths) or rest[2:] or step.kwargs:
        return None
    before = after = pads[0]
    if isinstance(x, Operand):
        padded = makers(program).get(int(x.ids[0])) if len(x.ids) == 1 else None
        if not isinstance(padded, Opaque) or padded.target not in _PADS or before:
            return None
        x, sizes, *mode = padded.args
        if mode not in ([], ["constant"], ["constant", None], ["constant", 0.0], [0.0], [0]):
            return None
        before, after = sizes[-2:]
        if len(sizes) != 2 * len(lengths) or any(sizes[:-2]):
            return None
    if not _is_rows(x) or before + after + 1 != lengths[0] or min(before, after) < 0:
        return None
    return squeeze(x, 1), Averages(before, after)


def _is_rows(x: Any) -> bool:
    """Whether a tensor has one channel, whose first axis is the channels of whole feature maps."""
    if not isinstance(x, ChannelMap) or len(x.dims) < 4 or x.dims[:2] != ((BATCH,), ()):
        return False
    rest = [atom for dim in x.dims[3:] for atom in dim]
    axes = [atom.axis for atom in rest]
    channels = [atom.kind for atom in x.dims[2]] == ["channels"]
    return channels and all(atom.kind == "space" for atom in rest) and axes == sorted(axes)


def _replace(
    program: Program, pool: Opaque | Channelwise, x: ChannelMap, averages: Averages
) -> None:
    """Let all that reads the pool's result as feature maps read averages of them."""
    (pooled,) = [pool.out] if isinstance(pool, Channelwise) else pool.outs
    assert isinstance(pooled, Value)
    ids = x.ids.ravel()
    space = program.values.value_of(int(ids[0])).space
    read_by = readers(program, pooled)
    found = [_as_maps(step, pooled, len(ids), space) for step in read_by]
    reads = sum(int(times_read(program)[i]) for i in pooled.ids)
    if not found or None in found or reads != len(found):
        return
    out = program.values.new_value(len(ids), space, pooled.dtype)
    new = program.values.numbers()
    place = program.steps.index(pool)
    program.steps[place] = Opaque(averages, (x,), {}, [out], False, pool.where)
    for step, arguments in zip(read_by, found, strict=True):
        assert isinstance(step, Opaque)
        (result,) = step.outs
        assert isinstance(result, Value)
        if arguments == []:  # a view: the averages themselves
            new[result.ids] = out.ids
            program.steps.remove(step)
            continue
        mine = Operand(out.ids, space)
        args = tuple(mine if isinstance(arg, ChannelMap) else arg for arg in step.args)
        place = program.steps.index(step)
        program.steps[place] = Channelwise(step.target, args, step.kwargs, result, step.where)
    renumber(program, new)


def _as_maps(
    step: Step, pooled: Value, channels: int, space: Sequence[int]
) -> Sequence[Any] | None:
    """The further arguments of a step that reads a pool's result as feature maps.

    Empty for a view; None where the step does something else.
    """
    if not isinstance(step, Opaque) or len(step.outs) != 1 or not step.args:
        return None
    (out,), x = step.outs, step.args[0]
    if not isinstance(out, Value) or not isinstance(x, ChannelMap):
        return None
    atoms = [atom for dim in x.dims for atom in dim]
    axes = [atom.axis for atom in atoms[1:]]
    in_order = x.dims[0] == (BATCH,) and axes == sorted(axes)
    if (out.channels, tuple(out.space)) != (channels, tuple(space)) or not in_order:
        return None
    if step.target in MOVES:
        return []
    numbers = [isinstance(arg, int | float) for arg in step.args[1:]]
    return step.args[1:] if step.target in BINARY and numbers == [True] else None
