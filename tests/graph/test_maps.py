"""Channel maps against PyTorch: whatever moves are composed, the map says where channels are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from flyweight.graph import maps
from flyweight.graph.maps import ChannelMap, MoveError, Size
from flyweight.graph.moves import MOVES

aten = torch.ops.aten
BATCH, SPACE = 3, (2, 5)


def read_off(x: Tensor, found: ChannelMap) -> Tensor:
    """The tensor that a map describes, by indexing the computed value."""
    channels = x[:, torch.from_numpy(found.ids.ravel().copy())]
    atoms = [atom for dim in found.dims for atom in dim]
    runs = [atom.size for atom in atoms if atom.kind == "channels"]
    axes = sorted(atom.axis for atom in atoms if atom.kind == "space")
    spread = channels.reshape(BATCH, *runs, *[x.shape[2 + axis] for axis in axes])
    order, run = [], 1
    for atom in atoms:
        if atom.kind == "batch":
            order.append(0)
        elif atom.kind == "channels":
            order.append(run)
            run += 1
        else:
            order.append(1 + len(runs) + axes.index(atom.axis))
    sizes = [s.count * (BATCH if s.batched else 1) for s in found.sizes()]
    return spread.permute(order).reshape(sizes)


@dataclass
class Pair:
    """A tensor and the map that should describe it."""

    tensor: Tensor
    map: ChannelMap


def apply(pair: Pair, target: Callable[..., Tensor], *args: object) -> Pair:
    moved = target(pair.tensor, *args)
    shape = [Size(size) for size in moved.shape]
    if moved.shape[0] == BATCH:  # every move below keeps the batch in front
        shape[0] = Size(1, True)
    found = MOVES[target](pair.map, shape, *args)
    assert isinstance(found, ChannelMap)
    return Pair(moved, found)


MOVES_DRAWN = (
    "shuffle", "native", "slice", "index", "flip", "roll", "double", "interleave", "halves", "odd",
    "flatten",
)  # fmt: skip


@st.composite
def compositions(draw: st.DrawFn) -> tuple[Tensor, Pair]:
    channels = draw(st.sampled_from([1, 2, 4, 6, 12]))
    x = torch.arange(BATCH * channels * 10.0).reshape(BATCH, channels, *SPACE)
    pair = Pair(x, maps.whole(0, channels, SPACE))
    for _ in range(draw(st.integers(0, 6))):
        count = pair.tensor.shape[1]
        move = draw(st.sampled_from(MOVES_DRAWN))
        divisors = [g for g in range(1, count + 1) if count % g == 0]
        groups = draw(st.sampled_from(divisors))
        if move == "shuffle":
            pair = apply(pair, aten.reshape.default, [BATCH, groups, count // groups, *SPACE])
            pair = apply(pair, aten.transpose.int, 1, 2)
            pair = apply(pair, aten.reshape.default, [BATCH, count, *SPACE])
        elif move == "native":
            pair = apply(pair, aten.channel_shuffle.default, groups)
        elif move == "slice":
            start = draw(st.integers(0, count - 1))
            step = draw(st.integers(1, 3))
            pair = apply(pair, aten.slice.Tensor, 1, start, 2**63 - 1, step)
        elif move == "index":
            index = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=8))
            pair = apply(pair, aten.index_select.default, 1, torch.tensor(index))
        elif move == "flip":
            pair = apply(pair, aten.flip.default, [1])
        elif move == "roll":
            pair = apply(pair, aten.roll.default, [draw(st.integers(-3, 3))], [1])
        elif move == "double" and count < 24:
            both = [pair.map, maps.take(pair.map, 1, range(count - 1, -1, -1))]
            pair = Pair(torch.cat([pair.tensor, pair.tensor.flip(1)], 1), maps.concat(both, 1))
        elif move == "interleave" and count < 24:
            pair = apply(pair, aten.repeat_interleave.self_int, 2, 1)
        elif move == "halves" and count > 1:
            parts = pair.tensor.split(count // 2 + 1, 1)
            found = MOVES[aten.split.Tensor](pair.map, None, count // 2 + 1, 1)
            assert isinstance(found, list)
            k = draw(st.integers(0, len(parts) - 1))
            pair = Pair(parts[k], found[k])
        elif move == "odd" and count % 2 == 0:
            pair = apply(pair, aten.reshape.default, [BATCH, count // 2, 2, *SPACE])
            pair = apply(pair, aten.select.int, 2, draw(st.integers(-2, 1)))
        elif move == "flatten":
            pair = apply(pair, aten.reshape.default, [BATCH, count, 10])
            pair = apply(pair, aten.permute.default, [0, 2, 1])
            pair = apply(pair, aten.permute.default, [0, 2, 1])
            pair = apply(pair, aten.reshape.default, [BATCH, count, *SPACE])
    return x, pair


@settings(max_examples=300, deadline=None)
@given(compositions())
def test_any_composition_of_moves_is_its_map(case: tuple[Tensor, Pair]) -> None:
    x, pair = case
    assert torch.equal(read_off(x, pair.map), pair.tensor)
    assert pair.map.is_plain()


def test_the_authors_shuffle_goes_through_the_batch() -> None:
    """Megvii's code merges the batch with the channels, and unpacks two halves."""
    x = torch.arange(BATCH * 12 * 10.0).reshape(BATCH, 12, *SPACE)
    y = x.reshape(BATCH * 6, 2, 10).permute(1, 0, 2).reshape(2, -1, 6, *SPACE)
    found = maps.reshape(maps.whole(0, 12, SPACE), [Size(6, True), Size(2), Size(10)])
    found = maps.permute(found, [1, 0, 2])
    found = maps.reshape(found, [Size(2), Size(1, True), Size(6), Size(2), Size(5)])
    for half in (0, 1):
        assert torch.equal(read_off(x, maps.select(found, 0, half)), y[half])


def test_other_orders_of_dimensions_are_kept() -> None:
    x = torch.arange(BATCH * 6 * 10.0).reshape(BATCH, 6, *SPACE)
    found = maps.permute(maps.whole(0, 6, SPACE), [0, 2, 3, 1])
    assert not found.is_plain()
    assert torch.equal(read_off(x, found), x.permute(0, 2, 3, 1))
    tokens = maps.reshape(found, [Size(1, True), Size(10), Size(6)])
    assert torch.equal(read_off(x, tokens), x.permute(0, 2, 3, 1).reshape(BATCH, 10, 6))


def test_one_channel_has_no_axis() -> None:
    x = torch.arange(BATCH * 10.0).reshape(BATCH, 1, *SPACE)
    found = maps.whole(0, 1, SPACE)
    assert found.ids.shape == ()
    squeezed = maps.squeeze(found, 1)
    assert torch.equal(read_off(x, squeezed), x.squeeze(1))
    joined = maps.concat([found, maps.unsqueeze(squeezed, 1)], 1)
    assert torch.equal(read_off(x, joined), torch.cat([x, x], 1))


@pytest.mark.parametrize(
    "move",
    [
        lambda x: maps.reshape(x, [Size(1, True), Size(12), Size(2), Size(5)]),
        lambda x: maps.reshape(x, [Size(1, True), Size(15), Size(4)]),
        lambda x: maps.reshape(x, [Size(1, True), Size(6), Size(5), Size(2)]),
        lambda x: maps.take(x, 2, [0]),
        lambda x: maps.take(x, 0, [0]),
        lambda x: maps.concat([x, maps.whole(6, 6, (2, 4))], 1),
        lambda x: maps.concat([x, x], 2),
        lambda x: maps.shuffle(x, 4),
        lambda x: maps.squeeze(x, 1),
    ],
)
def test_what_is_no_move_of_channels_is_refused(move: Callable[[ChannelMap], ChannelMap]) -> None:
    with pytest.raises(MoveError):
        move(maps.whole(0, 6, SPACE))


def test_flattened_maps_are_told_from_plain_ones() -> None:
    x = maps.whole(0, 6, SPACE)
    flat = maps.reshape(x, [Size(1, True), Size(60)])
    assert flat.is_flattened()
    assert not flat.is_plain()
    mixed = maps.reshape(maps.permute(x, [0, 2, 3, 1]), [Size(1, True), Size(60)])
    assert not mixed.is_flattened()
    assert np.array_equal(flat.ids, np.arange(6))
