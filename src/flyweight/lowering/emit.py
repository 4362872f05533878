"""From a program back to a PyTorch module, in which channel moves are what is left of them."""

import operator
import re
from collections import defaultdict
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map, tree_unflatten

from flyweight.graph.maps import Atom, ChannelMap, Ids, Size
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
    Value,
)
from flyweight.lowering.orders import Orders, chosen_orders
from flyweight.lowering.rules import Rules

aten = torch.ops.aten


def emit(program: Program, rules: Rules) -> fx.GraphModule:
    """A module that computes the program: takes the images, returns what the network returned."""
    orders = chosen_orders(program)
    rehearsal = _Emitter(program, orders, rules, {})
    rehearsal.module()
    return _Emitter(program, orders, rules, rehearsal.wanted).module().eval()


Cuts: TypeAlias = dict[tuple[int, tuple[int, ...]], set[tuple[int, int]]]
"""For a value in a shape, the pieces that are read of it: first place, place after the last."""


class _Emitter:
    """Writes a graph; `values` holds each value's node, its channels in the chosen order.

    A value that is read in pieces is cut once into all of them, so what will be read must be known
    from a first writing: it is left in `wanted`, and given to the second as `cuts`.
    """

    def __init__(self, program: Program, orders: Orders, rules: Rules, cuts: Cuts) -> None:
        self.program = program
        self.cuts = cuts
        self.wanted: Cuts = defaultdict(set)
        self.rules = rules
        self.orders = orders
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.values: dict[int, fx.Node] = {}
        self.raws: dict[Raw, fx.Node] = {}
        self.made: dict[Any, fx.Node] = {}
        self.names: dict[str, int] = {}

    def module(self) -> fx.GraphModule:
        program = self.program
        self.images = self.graph.placeholder("x")
        self.values[program.input.first] = self.images
        for step in program.steps:
            self._step(step)
        leaves = [self._leaf(leaf) for leaf in program.outputs]
        self.graph.output(tree_unflatten(leaves, program.structure))
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph)

    def _call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        return self.graph.call_function(target, args, kwargs)

    def _once(self, key: Any, target: Any, *args: Any) -> fx.Node:
        """A node that several readers share."""
        if key not in self.made:
            self.made[key] = self._call(target, *args)
        return self.made[key]

    def _tensor(self, tensor: Tensor, name: str, where: str = "") -> fx.Node:
        """A constant of the module."""
        stem = re.sub(r"\W", "_", f"{where}.{name}" if where else name)
        stem = f"of_{stem}" if stem[0].isdigit() else stem
        self.names[stem] = count = self.names.get(stem, 0) + 1
        unique = stem if count == 1 else f"{stem}_again_{count}"
        self.root.register_buffer(unique, tensor.detach().clone().contiguous())
        return self.graph.get_attr(unique)

    def _step(self, step: Any) -> None:
        if isinstance(step, Conv):
            self.values[step.out.first] = self._conv(step)
        elif isinstance(step, Linear):
            self.values[step.out.first] = self._linear(step)
        elif isinstance(step, Affine):
            self.values[step.out.first] = self._affine(step)
        elif isinstance(step, Channelwise):
            self.values[step.out.first] = self._channelwise(step)
        else:
            self._opaque(step)

    def _conv(self, step: Conv) -> fx.Node:
        order = self.orders.of[step.out.first]
        if step.groups == 1:
            ids, weight = _columns(step.x.ids, step.weight, self.orders)
            weight = weight[torch.from_numpy(order)]
        elif step.depthwise:
            ids, weight = step.x.ids[order], step.weight[torch.from_numpy(order)]
        else:
            ids, weight = self._grouped(step)
        bias = None if step.bias is None else step.bias[torch.from_numpy(order)]
        target = {3: aten.conv1d.default, 4: aten.conv2d.default, 5: aten.conv3d.default}
        return self._call(
            target[step.weight.dim()],
            self._gather(ids, step.x.space),
            self._tensor(weight, "weight", step.where),
            None if bias is None else self._tensor(bias, "bias", step.where),
            list(step.stride),
            list(step.padding),
            list(step.dilation),
            step.groups,
        )

    def _grouped(self, step: Conv) -> tuple[Ids, Tensor]:
        """Within a group the order is free: the one in which the fewest pieces are read.

        A channel shuffle stays one, though: engines know it, and it is faster than its pieces.
        """
        if _shuffle_groups(self._places(step.x.ids)):
            return step.x.ids, step.weight
        columns = len(step.x.ids) // step.groups
        blocks = step.x.ids.reshape(step.groups, columns)
        picks = np.stack([self.orders.sorted(block) for block in blocks])
        weight = step.weight.reshape(step.groups, -1, *step.weight.shape[1:])
        sorted_weight = torch.cat(
            [block[:, torch.from_numpy(pick)] for block, pick in zip(weight, picks, strict=True)]
        )
        return np.take_along_axis(blocks, picks, 1).ravel(), sorted_weight

    def _linear(self, step: Linear) -> fx.Node:
        order = torch.from_numpy(self.orders.of[step.out.first])
        rows, channels = step.weight.shape[0], len(step.x.ids)
        ids, weight = _columns(step.x.ids, step.weight.reshape(rows, channels, -1), self.orders)
        x = self._gather(ids, step.x.space)
        if step.x.space:
            x = self._call(aten.flatten.using_ints, x, 1)
        return self._call(
            aten.linear.default,
            x,
            self._tensor(weight.reshape(rows, -1)[order], "weight", step.where),
            None if step.bias is None else self._tensor(step.bias[order], "bias", step.where),
        )

    def _affine(self, step: Affine) -> fx.Node:
        order = self.orders.of[step.out.first]
        dtype = step.out.dtype
        pick = torch.from_numpy(order)
        scale, shift = step.scale[pick].to(dtype), step.shift[pick].to(dtype)
        return self._call(
            aten.batch_norm.default,
            self._gather(step.x.ids[order], step.x.space),
            self._tensor(scale, "weight", step.where),
            self._tensor(shift, "bias", step.where),
            self._tensor(torch.zeros_like(shift), "mean", step.where),
            self._tensor(torch.ones_like(shift), "variance", step.where),
            False, 0.0, 0.0, False,
        )  # fmt: skip

    def _channelwise(self, step: Channelwise) -> fx.Node:
        order = self.orders.of[step.out.first]

        def argument(leaf: Any) -> Any:
            if isinstance(leaf, Operand):
                one = len(leaf.ids) == 1 and len(order) > 1
                return self._gather(leaf.ids if one else leaf.ids[order], leaf.space)
            if isinstance(leaf, PerChannel):
                picked = leaf.tensor.index_select(leaf.axis, torch.from_numpy(order))
                return self._tensor(picked, "constant", step.where)
            return self._tensor(leaf, "constant", step.where) if isinstance(leaf, Tensor) else leaf

        args, kwargs = tree_map(argument, (step.args, step.kwargs))
        return self._call(step.target, *args, **kwargs)

    def _opaque(self, step: Opaque) -> None:
        args, kwargs = tree_map(self._leaf, (step.args, step.kwargs))
        node = self._call(step.target, *args, **kwargs)
        for index, out in enumerate(step.outs):
            if out is None:
                continue
            result = self._call(operator.getitem, node, index) if step.several else node
            if isinstance(out, Value):
                self.values[out.first] = result
            else:
                self.raws[out] = result

    def _leaf(self, leaf: Any) -> Any:
        if isinstance(leaf, ChannelMap):
            return self._whole(leaf)
        if isinstance(leaf, Raw):
            return self.raws[leaf]
        if isinstance(leaf, Size):
            return self._size(leaf)
        return self._tensor(leaf, "constant") if isinstance(leaf, Tensor) else leaf

    def _size(self, size: Size) -> Any:
        if not size.batched:
            return size.count
        batch = self._once("batch", aten.sym_size.int, self.images, 0)
        if size.count == 1:
            return batch
        return self._once(("batch", size.count), operator.mul, batch, size.count)

    def _whole(self, x: ChannelMap) -> fx.Node:
        """A tensor as somebody reads it who knows nothing of channel maps."""
        ids = x.ids.ravel()
        if x.is_plain():
            return self._gather(ids, tuple(size.count for size in x.sizes()[2:]))
        space = self.program.values.value_of(int(ids[0])).space
        positions = sorted(x.space, key=lambda atom: atom.axis)
        runs = [atom for dim in x.dims for atom in dim if atom.kind == "channels"]
        atoms = [Atom("batch", -1), *runs, *positions]
        wanted: list[int] = []
        left = list(range(1, 1 + len(runs)))
        for atom in (atom for dim in x.dims for atom in dim):
            if atom.kind == "batch":
                wanted.append(0)
            elif atom.kind == "channels":
                wanted.append(left.pop(0))
            else:
                wanted.append(1 + len(runs) + positions.index(atom))
        node = self._gather(ids, space)
        if wanted != sorted(wanted):
            node = self._call(aten.reshape.default, node, [atom.size for atom in atoms])
            node = self._call(aten.permute.default, node, wanted)
        shape = [-1 if size.batched else size.count for size in x.sizes()]
        return self._call(aten.reshape.default, node, shape)

    def _places(self, ids: Ids) -> Ids | None:
        """Where channels lie that are one value's, each once; None for any other selection."""
        firsts = np.unique(self.orders.owner[ids])
        value = self.program.values.value_of(int(firsts[0]))
        places = self.orders.place[ids]
        if len(firsts) > 1 or len(ids) != value.channels:
            return None
        return places if len(np.unique(places)) == len(places) else None

    def _gather(self, ids: Ids, space: tuple[int, ...]) -> fx.Node:
        """A tensor (batch, len(ids), *space) of these channels, in this order."""
        pieces = self._pieces(ids)
        if len(pieces) == 1:
            return self._piece(*pieces[0], space)
        key = (tuple(pieces), space)
        if key in self.made:
            return self.made[key]
        groups = _shuffle_groups(self._places(ids))
        if groups > self.rules.index_groups:
            whole = self._piece(pieces[0][0], 0, len(ids), space)
            node = self._shuffled(whole, len(ids), groups, space)
        elif not groups and len(pieces) <= self.rules.max_pieces:
            node = self._call(aten.cat.default, [self._piece(*p, space) for p in pieces], 1)
        else:
            node = self._indexed(ids, space)
        self.made[key] = node
        return node

    def _indexed(self, ids: Ids, space: tuple[int, ...]) -> fx.Node:
        """Channels in many pieces: all of their values joined, and one index into that."""
        values = self.program.values.sources(ids)
        offsets = dict(zip(values, np.cumsum([0, *(v.channels for v in values)]), strict=False))
        index = self.orders.place[ids].copy()
        for value, offset in offsets.items():
            index[self.orders.owner[ids] == value.first] += offset
        wholes = [(value.first, 0, value.channels) for value in values]
        parts = [self._piece(*piece, space) for piece in wholes]
        joined = parts[0]
        if len(parts) > 1:
            joined = self._once((tuple(wholes), space), aten.cat.default, parts, 1)
        node = self._tensor(torch.from_numpy(index), "index")
        return self._call(aten.index_select.default, joined, 1, node)

    def _pieces(self, ids: Ids) -> list[tuple[int, int, int]]:
        """Runs of neighbours: (value, first place, place after the last)."""
        owner, place = self.orders.owner[ids], self.orders.place[ids]
        breaks = np.flatnonzero((np.diff(owner) != 0) | (np.diff(place) != 1)) + 1
        starts = [0, *breaks.tolist()]
        ends = [*breaks.tolist(), len(ids)]
        return [
            (int(owner[a]), int(place[a]), int(place[b - 1]) + 1)
            for a, b in zip(starts, ends, strict=True)
        ]

    def _piece(self, first: int, start: int, end: int, space: tuple[int, ...]) -> fx.Node:
        value, node = self.program.values.value_of(first), self.values[first]
        if value.space != space:
            shape = [-1, value.channels, *space]
            node = self._once((first, space), aten.reshape.default, node, shape)
        if (start, end) == (0, value.channels):
            return node
        self.wanted[first, space].add((start, end))
        edges = _edges(self.cuts.get((first, space), set()), value.channels)
        if not edges:
            return self._once((first, start, end, space), aten.slice.Tensor, node, 1, start, end)
        sizes = np.diff(edges).tolist()
        parts = self._once((first, space, "cut"), aten.split_with_sizes.default, node, sizes, 1)
        return self._once((first, start, end, space), operator.getitem, parts, edges.index(start))

    def _shuffled(
        self, node: fx.Node, channels: int, groups: int, space: tuple[int, ...]
    ) -> fx.Node:
        """The channel shuffle in the form that engines know."""
        shape = [-1, groups, channels // groups, *space]
        node = self._call(aten.reshape.default, node, shape)
        node = self._call(aten.transpose.int, node, 1, 2)
        return self._call(aten.reshape.default, node, [-1, channels, *space])


def _edges(pieces: set[tuple[int, int]], channels: int) -> list[int]:
    """Where to cut a value into all its pieces at once; nowhere for one, or if they overlap."""
    ordered = sorted(pieces)
    if len(ordered) < 2 or any(a[1] > b[0] for a, b in pairwise(ordered)):
        return []
    return sorted({0, channels, *(edge for piece in ordered for edge in piece)})


def _columns(ids: Ids, weight: Tensor, orders: Orders) -> tuple[Ids, Tensor]:
    """The channels that a dense layer reads, as they lie and each once, and its weight for them."""
    once, place = np.unique(ids, return_inverse=True)
    if len(once) < len(ids):
        summed = torch.zeros(weight.shape[0], len(once), *weight.shape[2:], dtype=weight.dtype)
        weight = summed.index_add_(1, torch.from_numpy(place), weight)
    else:
        weight = weight[:, torch.from_numpy(np.argsort(ids))]
    pick = orders.sorted(once)
    return once[pick], weight[:, torch.from_numpy(pick)]


def _shuffle_groups(places: Ids | None) -> int:
    """The groups of the channel shuffle that a selection is; 0 where it is none."""
    if places is None or len(places) < 4 or places[0] != 0 or places[1] < 2:
        return 0
    groups, rest = divmod(len(places), int(places[1]))
    if rest or groups < 2:
        return 0
    shuffled = np.arange(len(places)).reshape(groups, -1).T.ravel()
    return groups if (places == shuffled).all() else 0
