"""Channel maps: split, concat, shuffle and their like compute nothing, they say where a channel is.

Every value that is computed has channels, and each channel of it a number of its own. A tensor
that a network reads is then a `ChannelMap`: the numbers of its channels, and how its dimensions are
made of the batch, the channels and the positions. View, permute, slice and concatenation are exact
operations on maps; nothing is computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Atom:
    """A factor of a dimension: the batch, a run of channels, or one of the positions' axes.

    Attributes:
        kind: "batch", "channels" or "space".
        size: how many; 0 for the batch, which is open.
        axis: which axis of the positions, counted from 0; 0 for the others.
    """

    kind: str
    size: int
    axis: int = 0


BATCH = Atom("batch", 0)
Dims: TypeAlias = tuple[tuple[Atom, ...], ...]


@dataclass(frozen=True)
class Size:
    """The size of a dimension: `count`, times the batch where `batched`."""

    count: int
    batched: bool = False


class MoveError(Exception):
    """A move that is no operation on channel maps; it has to be executed."""


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """Where the channels of a tensor come from.

    Attributes:
        ids: numbers of channels, one axis for each run of channels in `dims`, in their order; a
            tensor of a single channel has no axis.
        dims: what each dimension is made of, outermost first; a dimension of size 1 is empty.
    """

    ids: Ids
    dims: Dims

    def __post_init__(self) -> None:
        runs = [atom.size for dim in self.dims for atom in dim if atom.kind == "channels"]
        if list(self.ids.shape) != runs:
            raise AssertionError(f"ids of shape {self.ids.shape} for runs of {runs}")

    @property
    def space(self) -> tuple[Atom, ...]:
        """The positions' axes that are larger than 1, in the order of the dimensions."""
        return tuple(atom for dim in self.dims for atom in dim if atom.kind == "space")

    def sizes(self) -> tuple[Size, ...]:
        """The size of every dimension."""
        return tuple(_size(dim) for dim in self.dims)

    def is_plain(self) -> bool:
        """Whether it is (batch, channels, positions...) in the order of whole feature maps."""
        if len(self.dims) < 2 or self.dims[0] != (BATCH,):
            return False
        kinds = [atom.kind for atom in self.dims[1]]
        axes = [atom.axis for atom in self.space]
        one_each = all(len(dim) <= 1 for dim in self.dims[2:])
        at_home = all(
            atom.kind == "space" for dim in self.dims[2:] for atom in dim
        ) and axes == sorted(axes)
        return kinds in ([], ["channels"]) and one_each and at_home

    def is_flattened(self) -> bool:
        """Whether it is (batch, channels x positions): what a linear layer after flatten reads."""
        if len(self.dims) != 2 or self.dims[0] != (BATCH,):
            return False
        kinds = [atom.kind for atom in self.dims[1]]
        axes = [atom.axis for atom in self.space]
        channels_first = "channels" not in kinds[1:] and kinds.count("channels") <= 1
        return channels_first and "batch" not in kinds and axes == sorted(axes)


def whole(first: int, channels: int, space: Sequence[int]) -> ChannelMap:
    """The map of a computed value: its channels are numbered from `first` on."""
    ids = np.arange(first, first + channels)
    dims: list[tuple[Atom, ...]] = [(BATCH,), (Atom("channels", channels),) if channels > 1 else ()]
    for axis, size in enumerate(space):
        dims.append((Atom("space", size, axis),) if size > 1 else ())
    return ChannelMap(ids if channels > 1 else ids.reshape(()), tuple(dims))


def _size(dim: tuple[Atom, ...]) -> Size:
    count = math.prod(atom.size for atom in dim if atom.kind != "batch")
    return Size(count, any(atom.kind == "batch" for atom in dim))


def _joined(ids: Ids, dims: Sequence[Sequence[Atom]]) -> ChannelMap:
    """Runs of channels that are neighbours in one dimension become one run."""
    shape: list[int] = []
    out: list[tuple[Atom, ...]] = []
    for dim in dims:
        merged: list[Atom] = []
        for atom in dim:
            if atom.kind != "channels":
                merged.append(atom)
            elif merged and merged[-1].kind == "channels":
                merged[-1] = Atom("channels", merged[-1].size * atom.size)
                shape[-1] *= atom.size
            else:
                merged.append(atom)
                shape.append(atom.size)
        out.append(tuple(merged))
    return ChannelMap(np.ascontiguousarray(ids).reshape(shape), tuple(out))


def reshape(x: ChannelMap, shape: Sequence[Size]) -> ChannelMap:
    """The map of a view with other dimensions, in the same row-major order.

    Raises:
        MoveError: positions would have to be split, or mixed with channels.
    """
    rest = [atom for dim in x.dims for atom in dim]
    dims: list[list[Atom]] = []
    runs: list[int] = []
    for size in shape:
        dim: list[Atom] = []
        left, batched = size.count, size.batched
        while left > 1 or batched:
            if not rest:
                raise MoveError("more elements than the tensor has")
            atom = rest[0]
            if atom.kind == "batch":
                if not batched:
                    raise MoveError("the batch becomes part of another dimension")
                batched = False
            elif left % atom.size == 0:
                left //= atom.size
            elif atom.kind == "channels" and atom.size % left == 0:
                rest[0] = Atom("channels", left)
                rest.insert(1, Atom("channels", atom.size // left))
                continue
            else:
                raise MoveError(f"{atom.size} {atom.kind} don't divide into {size.count}")
            if atom.kind == "channels":
                runs.append(atom.size)
            dim.append(rest.pop(0))
        dims.append(dim)
    if rest:
        raise MoveError("fewer elements than the tensor has")
    return _joined(x.ids.reshape(runs), dims)


def permute(x: ChannelMap, order: Sequence[int]) -> ChannelMap:
    """The map with its dimensions in another order."""
    order = [axis % len(x.dims) for axis in order]
    axes: list[list[int]] = []
    count = 0
    for dim in x.dims:
        runs = sum(atom.kind == "channels" for atom in dim)
        axes.append(list(range(count, count + runs)))
        count += runs
    ids = x.ids.transpose([axis for dim in order for axis in axes[dim]])
    return _joined(ids, [x.dims[dim] for dim in order])


def take(x: ChannelMap, dim: int, indices: Sequence[int] | Ids) -> ChannelMap:
    """The channels at `indices` of a dimension, in that order: slice, index_select, flip.

    Raises:
        MoveError: the dimension holds positions or the batch.
    """
    dim %= len(x.dims)
    axis = _channel_axis(x, dim)
    ids = np.expand_dims(x.ids, axis) if not x.dims[dim] else x.ids
    taken = np.take(ids, np.asarray(indices, dtype=np.int64), axis=axis)
    atoms = (Atom("channels", taken.shape[axis]),) if taken.shape[axis] != 1 else ()
    if not atoms:
        taken = taken.squeeze(axis)
    return ChannelMap(taken, (*x.dims[:dim], atoms, *x.dims[dim + 1 :]))


def select(x: ChannelMap, dim: int, index: int) -> ChannelMap:
    """One channel of a dimension, without the dimension.

    Raises:
        MoveError: the dimension holds positions or the batch.
    """
    return squeeze(take(x, dim, [index]), dim)


def squeeze(x: ChannelMap, dim: int) -> ChannelMap:
    """Without a dimension of size 1.

    Raises:
        MoveError: it is larger.
    """
    dim %= len(x.dims)
    if x.dims[dim]:
        raise MoveError("a dimension of more than one element can't be squeezed")
    return ChannelMap(x.ids, (*x.dims[:dim], *x.dims[dim + 1 :]))


def unsqueeze(x: ChannelMap, dim: int) -> ChannelMap:
    """With another dimension of size 1 before dimension `dim`."""
    dim %= len(x.dims) + 1
    return ChannelMap(x.ids, (*x.dims[:dim], (), *x.dims[dim:]))


def concat(maps: Sequence[ChannelMap], dim: int) -> ChannelMap:
    """Maps one after another along a dimension of channels.

    Raises:
        MoveError: the dimension holds positions or the batch, or the others differ.
    """
    first = maps[0]
    dim %= len(first.dims)
    parts = []
    for one in maps:
        if len(one.dims) != len(first.dims):
            raise MoveError("maps of different ranks")
        others = [(*m.dims[:dim], *m.dims[dim + 1 :]) for m in (one, first)]
        if others[0] != others[1]:
            raise MoveError("the other dimensions differ")
        axis = _channel_axis(one, dim)
        parts.append(one.ids if one.dims[dim] else np.expand_dims(one.ids, axis))
    ids = np.concatenate(parts, axis=_channel_axis(first, dim))
    total = ids.shape[_channel_axis(first, dim)]
    atoms = (Atom("channels", total),) if total != 1 else ()
    if not atoms:
        ids = ids.squeeze(_channel_axis(first, dim))
    return ChannelMap(ids, (*first.dims[:dim], atoms, *first.dims[dim + 1 :]))


def repeat(x: ChannelMap, dim: int, times: int) -> ChannelMap:
    """All channels of a dimension, several times over.

    Raises:
        MoveError: the dimension holds positions or the batch.
    """
    return concat([x] * times, dim)


def shuffle(x: ChannelMap, groups: int) -> ChannelMap:
    """The channel shuffle of (batch, channels, ...) (ShuffleNet V1, Figure 1).

    Raises:
        MoveError: dimension 1 isn't channels, or the groups don't divide them.
    """
    channels = x.sizes()[1]
    if channels.batched or channels.count % groups:
        raise MoveError(f"{channels.count} channels don't divide into {groups} groups")
    order = np.arange(channels.count).reshape(groups, -1).T.ravel()
    return take(x, 1, order)


def with_ids(x: ChannelMap, ids: Ids) -> ChannelMap:
    """The same dimensions over other channels, given in the order of `x.ids.ravel()`."""
    return ChannelMap(ids.reshape(x.ids.shape), x.dims)


def _channel_axis(x: ChannelMap, dim: int) -> int:
    """The axis of `ids` that a dimension has, or would have."""
    if any(atom.kind != "channels" for atom in x.dims[dim]):
        raise MoveError("the dimension holds more than channels")
    return sum(atom.kind == "channels" for before in x.dims[:dim] for atom in before)
