"""PyTorch's operations that move channels, as operations on channel maps."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from flyweight.graph import maps
from flyweight.graph.maps import ChannelMap, MoveError, Size

aten = torch.ops.aten

Shape: TypeAlias = Sequence[Size] | None
"""What the capture knows of a result's shape; None where that isn't one tensor of known sizes."""
Moved: TypeAlias = ChannelMap | list[ChannelMap]
Move: TypeAlias = Callable[..., Moved]


def _same(x: ChannelMap, shape: Shape, *_: Any, **__: Any) -> ChannelMap:
    return x


def _view(x: ChannelMap, shape: Shape, *_: Any, **__: Any) -> ChannelMap:
    if shape is None:
        raise MoveError("a shape that isn't known")
    return maps.reshape(x, shape)


def _permute(x: ChannelMap, shape: Shape, order: Sequence[int]) -> ChannelMap:
    return maps.permute(x, order)


def _transpose(x: ChannelMap, shape: Shape, a: int, b: int) -> ChannelMap:
    order = list(range(len(x.dims)))
    order[a], order[b] = order[b], order[a]
    return maps.permute(x, order)


def _t(x: ChannelMap, shape: Shape) -> ChannelMap:
    return maps.permute(x, range(len(x.dims))[::-1])


def _count(x: ChannelMap, dim: int) -> int:
    size = x.sizes()[dim]
    if size.batched:
        raise MoveError("the batch isn't channels")
    return size.count


def _slice(
    x: ChannelMap,
    shape: Shape,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> ChannelMap:
    if shape is not None and list(shape) == list(x.sizes()) and step == 1:
        return x
    return maps.take(x, dim, np.arange(_count(x, dim))[start:end:step])


def _select(x: ChannelMap, shape: Shape, dim: int, index: int) -> ChannelMap:
    return maps.select(x, dim, index % _count(x, dim))


def _index_select(x: ChannelMap, shape: Shape, dim: int, index: Tensor) -> ChannelMap:
    return maps.take(x, dim, index.tolist())


def _index(x: ChannelMap, shape: Shape, indices: Sequence[Tensor | None]) -> ChannelMap:
    given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(given) != 1 or not isinstance(given[0][1], Tensor) or given[0][1].dim() != 1:
        raise MoveError("an index that isn't a list for one dimension")
    dim, index = given[0]
    if index.dtype == torch.bool:
        index = index.nonzero()[:, 0]
    count = _count(x, dim)
    return maps.take(x, dim, [int(k) % count for k in index])


def _flip(x: ChannelMap, shape: Shape, dims: Sequence[int]) -> ChannelMap:
    for dim in dims:
        x = maps.take(x, dim, np.arange(_count(x, dim))[::-1])
    return x


def _roll(
    x: ChannelMap, shape: Shape, shifts: Sequence[int], dims: Sequence[int] = ()
) -> ChannelMap:
    if not dims:
        raise MoveError("a roll over all dimensions")
    for shift, dim in zip(shifts, dims, strict=True):
        x = maps.take(x, dim, np.roll(np.arange(_count(x, dim)), shift))
    return x


def _split(x: ChannelMap, shape: Shape, size: int, dim: int = 0) -> list[ChannelMap]:
    count = _count(x, dim)
    return [maps.take(x, dim, range(a, min(a + size, count))) for a in range(0, count, size)]


def _split_with_sizes(
    x: ChannelMap, shape: Shape, sizes: Sequence[int], dim: int = 0
) -> list[ChannelMap]:
    ends = np.cumsum(sizes)
    return [
        maps.take(x, dim, range(end - size, end)) for size, end in zip(sizes, ends, strict=True)
    ]


def _chunk(x: ChannelMap, shape: Shape, chunks: int, dim: int = 0) -> list[ChannelMap]:
    return _split(x, shape, -(-_count(x, dim) // chunks), dim)


def _unbind(x: ChannelMap, shape: Shape, dim: int = 0) -> list[ChannelMap]:
    return [maps.select(x, dim, index) for index in range(_count(x, dim))]


def _cat(xs: Sequence[ChannelMap], shape: Shape, dim: int = 0) -> ChannelMap:
    return maps.concat(_all_maps(xs), dim)


def _stack(xs: Sequence[ChannelMap], shape: Shape, dim: int = 0) -> ChannelMap:
    return maps.concat([maps.unsqueeze(x, dim) for x in _all_maps(xs)], dim)


def _all_maps(xs: Sequence[Any]) -> Sequence[ChannelMap]:
    if not all(isinstance(x, ChannelMap) for x in xs):
        raise MoveError("constants among the channels")
    return xs


def _repeat(x: ChannelMap, shape: Shape, times: Sequence[int]) -> ChannelMap:
    for _ in range(len(times) - len(x.dims)):
        x = maps.unsqueeze(x, 0)
    for dim, count in enumerate(times):
        if count != 1:
            x = maps.repeat(x, dim, count)
    return x


def _repeat_interleave(x: ChannelMap, shape: Shape, times: int, dim: int) -> ChannelMap:
    return maps.take(x, dim, np.repeat(np.arange(_count(x, dim)), times))


def _expand(x: ChannelMap, shape: Shape, *_: Any, **__: Any) -> ChannelMap:
    if shape is None or len(shape) < len(x.dims):
        raise MoveError("a shape that isn't known")
    while len(x.dims) < len(shape):
        x = maps.unsqueeze(x, 0)
    for dim, (now, then) in enumerate(zip(x.sizes(), shape, strict=True)):
        if now != then:
            if then.batched:
                raise MoveError("copies for every image")
            x = maps.repeat(x, dim, then.count)
    return x


def _squeeze(x: ChannelMap, shape: Shape, dims: int | Sequence[int]) -> ChannelMap:
    for dim in sorted((d % len(x.dims) for d in _several(dims)), reverse=True):
        x = maps.squeeze(x, dim) if not x.dims[dim] else x
    return x


def _several(dims: int | Sequence[int]) -> Sequence[int]:
    return [dims] if isinstance(dims, int) else dims


def _unsqueeze(x: ChannelMap, shape: Shape, dim: int) -> ChannelMap:
    return maps.unsqueeze(x, dim)


def _shuffle(x: ChannelMap, shape: Shape, groups: int) -> ChannelMap:
    return maps.shuffle(x, groups)


MOVES: dict[Any, Move] = {
    **dict.fromkeys(
        (
            aten.clone.default, aten.detach.default, aten.alias.default, aten.dropout.default,
            aten.contiguous.default, aten.lift_fresh_copy.default, aten.feature_dropout.default,
        ),
        _same,
    ),
    **dict.fromkeys(
        (
            aten.view.default, aten._unsafe_view.default, aten.reshape.default,
            aten.flatten.using_ints, aten.unflatten.int,
        ),
        _view,
    ),
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.t.default: _t,
    aten.slice.Tensor: _slice,
    aten.select.int: _select,
    aten.index_select.default: _index_select,
    aten.index.Tensor: _index,
    aten.flip.default: _flip,
    aten.roll.default: _roll,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split_with_sizes,
    aten.chunk.default: _chunk,
    aten.unbind.int: _unbind,
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.repeat.default: _repeat,
    aten.repeat_interleave.self_int: _repeat_interleave,
    aten.expand.default: _expand,
    aten.squeeze.dim: _squeeze,
    aten.squeeze.dims: _squeeze,
    aten.unsqueeze.default: _unsqueeze,
    aten.channel_shuffle.default: _shuffle,
    aten.native_channel_shuffle.default: _shuffle,
}  # fmt: skip
"""Each takes the map (or the list of maps), the result's shape, and the operation's arguments."""
