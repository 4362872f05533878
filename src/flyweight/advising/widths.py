"""Which channels must be as many as which: classes of widths, for networks of other widths."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from flyweight.advising.reading import args_of, reads_of, value_of
from flyweight.advising.thresholds import channel_block
from flyweight.graph.meaning import BINARY, CONVS, NORMS, REDUCTIONS, SPATIAL_RANK, UNARY
from flyweight.graph.moves import MOVES

aten = torch.ops.aten

_FOLLOWED = {*UNARY, *NORMS, *SPATIAL_RANK, *REDUCTIONS, *MOVES, aten.split.Tensor}
BLOCK_OF_UNITS = 2
"""In place of a block, for the greatest common divisor of widths that are put together."""
_POOLS = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d")


@dataclass(frozen=True)
class Widths:
    """Classes of tensors whose numbers of channels can only change together, by the same factor.

    Attributes:
        of: the class of each node's channels, by the node's name.
        fixed: classes that can't change: those of the input and the outputs, and of operations of
            which nobody knows what they do with channels.
        step: what a class's numbers of channels must be multiples of; 1 for those not in it.
        counts: of the channels that a class's convolutions put out.
        block: channels that engines compute together here.
    """

    of: dict[str, int]
    fixed: frozenset[int]
    step: dict[int, int]
    counts: dict[int, frozenset[int]]
    block: int

    def free(self, *nodes: str) -> bool:
        """Whether all of these nodes' channels may become others."""
        return all(self.of.get(node) not in self.fixed and node in self.of for node in nodes)

    def unit_and_step(
        self, own: int, channels: int, groups: int = 1, shuffled: bool = True
    ) -> tuple[int, int]:
        """What of a number of channels changes, and by how much at least.

        Where some are put together, the sum's channels must stay the sum of theirs: then that is
        the greatest common divisor of all of them.

        Args:
            own: their class.
            channels: their number.
            groups: of the convolution that makes them.
            shuffled: whether the shuffles are still there that ask for multiples.
        """
        step = math.lcm(self.block, groups)
        if shuffled:
            step = math.lcm(step, self.step.get(own, 1))
        counts = self.counts.get(own, frozenset()) | {channels}
        if len(counts) == 1:
            return channels, step
        return math.gcd(*counts), max(1, step // self.block * BLOCK_OF_UNITS)


class _Classes:
    """A union-find structure."""

    def __init__(self) -> None:
        self.parent: list[int] = []

    def new(self) -> int:
        self.parent.append(len(self.parent))
        return self.parent[-1]

    def root(self, one: int) -> int:
        while self.parent[one] != one:
            self.parent[one] = self.parent[self.parent[one]]
            one = self.parent[one]
        return one

    def join(self, ones: list[int]) -> int:
        roots = [self.root(one) for one in ones]
        for other in roots[1:]:
            self.parent[self.root(other)] = self.root(roots[0])
        return roots[0] if roots else self.new()


def widths_of(graph: fx.Graph) -> Widths:
    """The classes of a captured network's widths."""
    classes = _Classes()
    own: dict[fx.Node, int] = {}
    fixed: list[int] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            own[node] = classes.new()
            fixed.append(own[node])
        elif node.op == "call_function":
            own[node] = _of_call(node, own, classes, fixed)
        elif node.op == "output":
            read = [leaf for leaf in tree_leaves(args_of(node)) if isinstance(leaf, fx.Node)]
            fixed += [own[leaf] for leaf in read if leaf in own]
    of = {node.name: classes.root(one) for node, one in own.items()}
    counts: dict[int, frozenset[int]] = {}
    for node in graph.nodes:
        if node.op == "call_function" and node.target in CONVS:
            one = of[node.name]
            counts[one] = counts.get(one, frozenset()) | {int(node.meta["val"].shape[1])}
    unchanged = frozenset(classes.root(one) for one in fixed)
    return Widths(of, unchanged, _steps(graph, of), counts, channel_block())


def _steps(graph: fx.Graph, of: dict[str, int]) -> dict[int, int]:
    """What channel counts must divide by: the groups that a shuffle or a convolution makes."""
    found: dict[int, int] = {}
    for node in graph.nodes:
        source = reads_of(node) if node.op == "call_function" else None
        if source is None or source.name not in of:
            continue
        read, out = value_of(source), node.meta.get("val")
        if not isinstance(read, Tensor):
            continue
        by = 1
        if node.target in CONVS and len(args_of(node)) > 6:
            by = args_of(node)[6] if args_of(node)[6] != read.shape[1] else 1
        elif node.target is aten.view.default and read.dim() > 1 and out.dim() == read.dim() + 1:
            split = out.shape[1] * out.shape[2] == read.shape[1]
            by = min(int(out.shape[1]), int(out.shape[2])) if split else 1
        one = of[source.name]
        found[one] = math.lcm(found.get(one, 1), int(by))
    return found


def _of_call(node: fx.Node, own: dict[fx.Node, int], classes: _Classes, fixed: list[int]) -> int:
    target: Any = node.target
    read = [one for one in node.all_input_nodes if one in own]
    if target in (*CONVS, aten.linear.default) and args_of(node)[1].op != "get_attr":
        fixed += [own[one] for one in read]  # weights that are computed have the sizes they have
        fixed.append(classes.new())
        return fixed[-1]
    if target in CONVS:
        groups = args_of(node)[6] if len(args_of(node)) > 6 else 1
        if groups != 1 and groups == value_of(args_of(node)[0]).shape[1]:
            return own[read[0]]  # depthwise
        return classes.new()
    if target is aten.linear.default:
        return classes.new()
    if not read:
        return classes.new()
    if target in BINARY:
        return _of_binary(node, read, own, classes, fixed)
    known = target in _FOLLOWED or getattr(target, "__name__", "") == "getitem"
    joined = classes.join([own[one] for one in read])
    if not known and not any(pool in str(target) for pool in _POOLS):
        fixed.append(joined)
    return joined


def _of_binary(
    node: fx.Node, read: list[fx.Node], own: dict[fx.Node, int], classes: _Classes, fixed: list[int]
) -> int:
    """Of a sum or product: its operands' channels are as many, or one of them has a single one."""
    counts = [_channels(value_of(one)) for one in read]
    several = [one for one, count in zip(read, counts, strict=True) if count != 1]
    joined = classes.join([own[one] for one in several or read])
    if len({count for count in counts if count != 1}) > 1:
        fixed.append(joined)
    return joined


def _channels(value: Any) -> int:
    if not isinstance(value, Tensor) or value.dim() < 2:
        return 0
    return int(value.shape[1])


def reshaped(old_in: list[int], new_in: list[int], old_out: list[int]) -> list[int]:
    """The shape that a view puts out when its input has other sizes.

    Dimensions that hold the same elements are found by their products; within such a run the
    largest one takes up the change, as channels within groups do.

    Args:
        old_in: sizes of the input as captured.
        new_in: sizes now.
        old_out: the view's sizes as captured.

    Raises:
        ValueError: the new number of channels can't be divided so.
    """
    found: list[int] = []
    i = j = 0
    while i < len(old_in) or j < len(old_out):
        start_i, start_j = i, j
        before, after = 1, 1
        if i < len(old_in):
            before, i = old_in[i], i + 1
        if j < len(old_out):
            after, j = old_out[j], j + 1
        while before != after:
            if before < after and i < len(old_in):
                before, i = before * old_in[i], i + 1
            elif j < len(old_out):
                after, j = after * old_out[j], j + 1
            else:
                raise ValueError("a view that doesn't fit")
        found += _run(old_in[start_i:i], new_in[start_i:i], old_out[start_j:j])
    return found


def _run(old: list[int], new: list[int], out: list[int]) -> list[int]:
    if old == new or not out:
        return list(out)
    if len(old) == len(out) and old == out:
        return list(new)
    sizes = list(out)
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    others = math.prod(sizes) // sizes[largest]
    if math.prod(new) % others:
        raise ValueError(f"{math.prod(new)} channels don't divide by {others}")
    sizes[largest] = math.prod(new) // others
    return sizes
