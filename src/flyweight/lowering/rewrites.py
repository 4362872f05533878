"""Exact rewrites of programs. Each takes a program, changes it, and says in which modules."""

import math
from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from flyweight.graph.maps import ChannelMap
from flyweight.graph.program import (
    Affine,
    Channelwise,
    Conv,
    Linear,
    Opaque,
    Operand,
    PerChannel,
    Program,
    Raw,
    Step,
    Value,
    makers,
    outs,
    raws,
    read_as,
    readers,
    reads,
    renumber,
    times_read,
)


def drop_unread(program: Program) -> list[str]:
    """Remove steps whose results nothing reads."""
    wanted = np.zeros(len(program.values.numbers()), dtype=bool)
    wanted_raws = {leaf for leaf in program.outputs if isinstance(leaf, Raw)}
    for leaf in program.outputs:
        if isinstance(leaf, ChannelMap):
            wanted[leaf.ids.ravel()] = True
    kept: list[Step] = []
    for step in reversed(program.steps):
        results = outs(step)
        if any(
            wanted[out.ids].any() if isinstance(out, Value) else out in wanted_raws
            for out in results
        ):
            kept.append(step)
            wanted_raws.update(raws(step))
            for ids in reads(step):
                wanted[ids] = True
    dropped = [step.where for step in program.steps if step not in kept]
    program.steps[:] = kept[::-1]
    return dropped


def merge_equal(program: Program) -> list[str]:
    """Compute once what several steps compute alike (NASNet's ReLUs)."""
    new = program.values.numbers()
    known: dict[Hashable, Value] = {}
    kept: list[Step] = []
    merged: list[str] = []
    for step in program.steps:
        read_as(step, new)
        key = _key(step)
        if key is None or isinstance(step, Opaque):
            kept.append(step)
        elif key in known:
            new[step.out.ids] = known[key].ids
            merged.append(step.where)
        else:
            known[key] = step.out
            kept.append(step)
    program.steps[:] = kept
    renumber(program, new)
    return merged


def _key(step: Step) -> Hashable | None:
    """Equal for steps that compute the same."""
    if isinstance(step, Channelwise):
        leaves, structure = tree_flatten((step.args, step.kwargs))
        return (step.target, str(structure), *(_leaf_key(leaf) for leaf in leaves))
    if isinstance(step, Conv):
        settings = (step.stride, step.padding, step.dilation, step.groups)
        return (_leaf_key(step.x), id(step.weight), id(step.bias), settings)
    return None


def _leaf_key(leaf: Any) -> Hashable:
    if isinstance(leaf, Operand):
        return (leaf.ids.tobytes(), leaf.space)
    if isinstance(leaf, PerChannel):
        return (id(leaf.tensor), leaf.axis)
    return id(leaf) if isinstance(leaf, Tensor) else (type(leaf), leaf)


def fold_norms_back(program: Program) -> list[str]:
    """Fold batch norms into the convolutions and linear layers whose outputs they alone read.

    The norm may read them through any channel moves.
    """
    folded: list[str] = []
    made_by = makers(program)
    for step in [step for step in program.steps if isinstance(step, Affine)]:
        counts = times_read(program)
        ids = step.x.ids
        sources = [made_by.get(value.first) for value in program.values.sources(ids)]
        if (counts[ids] != 1).any() or not all(isinstance(s, Conv | Linear) for s in sources):
            continue
        scale, shift = _spread(program, ids, step.scale, step.shift)
        for source in sources:
            if isinstance(source, Conv | Linear):
                _scale_rows(source, scale[source.out.ids], shift[source.out.ids])
        _remove(program, step)
        folded.append(step.where)
    return folded


def fold_norms_ahead(program: Program) -> list[str]:
    """Fold batch norms into the convolutions and linear layers that alone read them.

    Exact only where those read no padding: a padded zero would have been shifted too. (Where the
    norm shifts nothing, padding doesn't matter.)
    """
    folded: list[str] = []
    for step in [step for step in program.steps if isinstance(step, Affine)]:
        read_by = readers(program, step.out)
        is_output = any(
            np.isin(leaf.ids, step.out.ids).any()
            for leaf in program.outputs
            if isinstance(leaf, ChannelMap)
        )
        shifts = bool(step.shift.any())
        if is_output or not all(_takes_affine(reader, shifts) for reader in read_by):
            continue
        scale, shift = _spread(program, step.out.ids, step.scale, step.shift)
        for reader in read_by:
            if isinstance(reader, Conv | Linear):
                _scale_columns(reader, scale[reader.x.ids], shift[reader.x.ids])
        _remove(program, step)
        folded.append(step.where)
    return folded


def _takes_affine(step: Step, shifts: bool) -> bool:
    if isinstance(step, Conv):
        return not shifts or not any(step.padding)
    return isinstance(step, Linear)


def _spread(
    program: Program, ids: np.ndarray[Any, Any], scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """Scale and shift by number of channel, 1 and 0 elsewhere; in double precision."""
    count = len(program.values.numbers())
    all_scales = torch.ones(count, dtype=torch.float64)
    all_shifts = torch.zeros(count, dtype=torch.float64)
    all_scales[torch.from_numpy(ids)] = scale.double()
    all_shifts[torch.from_numpy(ids)] = shift.double()
    return all_scales, all_shifts


def _remove(program: Program, step: Affine) -> None:
    program.steps.remove(step)
    new = program.values.numbers()
    new[step.out.ids] = step.x.ids
    renumber(program, new)


def _scale_rows(step: Conv | Linear, scale: Tensor, shift: Tensor) -> None:
    """Let a step put out `scale * y + shift`."""
    per_row = scale.reshape(-1, *[1] * (step.weight.dim() - 1))
    bias = 0.0 if step.bias is None else step.bias.double()
    step.bias = (bias * scale + shift).to(step.weight.dtype)
    step.weight = (step.weight.double() * per_row).to(step.weight.dtype)


def _scale_columns(step: Conv | Linear, scale: Tensor, shift: Tensor) -> None:
    """Let a step that would read `scale * x + shift` read x."""
    weight = step.weight.double()
    groups = step.groups if isinstance(step, Conv) else 1
    # (groups, rows, columns, positions or kernel)
    columns = len(step.x.ids) // groups
    split = weight.reshape(groups, weight.shape[0] // groups, columns, -1)
    added = (split * shift.reshape(groups, 1, columns, 1)).sum((2, 3)).reshape(-1)
    scaled = (split * scale.reshape(groups, 1, columns, 1)).reshape(weight.shape)
    if shift.any():
        bias = 0.0 if step.bias is None else step.bias.double()
        step.bias = (bias + added).to(step.weight.dtype)
    step.weight = scaled.to(step.weight.dtype)


def merge_siblings(program: Program) -> list[str]:
    """Make one convolution of 1x1 convolutions that read the same channels.

    What reads one of them then reads some channels of the whole: free where channels are read
    through a table, a copy elsewhere.
    """
    families: dict[Hashable, list[Conv]] = defaultdict(list)
    for step in program.steps:
        if isinstance(step, Conv) and _is_pointwise(step):
            key = (np.sort(step.x.ids).tobytes(), step.x.space, step.stride, step.weight.dtype)
            families[key].append(step)
    spared: list[str] = []
    new = program.values.numbers()
    for family in families.values():
        if len(family) > 1:
            _merge(program, family, new)
            spared += [step.where for step in family]
    if spared:
        renumber(program, np.concatenate([new, program.values.numbers()[len(new) :]]))
    return spared


def _is_pointwise(step: Conv) -> bool:
    return step.groups == 1 and not any(step.padding) and math.prod(step.weight.shape[2:]) == 1


def _merge(program: Program, family: list[Conv], new: np.ndarray[Any, Any]) -> None:
    first = family[0]
    order = np.argsort(first.x.ids)
    weights, biases = [], []
    for step in family:
        columns = np.empty(len(order), dtype=np.int64)
        columns[order] = np.argsort(step.x.ids)
        weights.append(step.weight[:, torch.from_numpy(columns)])
        rows = step.weight.shape[0]
        none = torch.zeros(rows, dtype=step.weight.dtype)
        biases.append(none if step.bias is None else step.bias)
    total = sum(step.out.channels for step in family)
    out = program.values.new_value(total, first.out.space, first.out.dtype)
    merged = Conv(
        first.x, torch.cat(weights), torch.cat(biases), first.stride, first.padding,
        first.dilation, 1, out, first.where,
    )  # fmt: skip
    start = out.first
    for step in family:
        new[step.out.ids] = np.arange(start, start + step.out.channels)
        start += step.out.channels
    program.steps[program.steps.index(first)] = merged
    for step in family[1:]:
        program.steps.remove(step)
