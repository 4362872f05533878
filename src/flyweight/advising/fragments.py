"""G3 of ShuffleNet V2, looked for in any network: fragments beside and behind each other."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import fx

from flyweight.advising.findings import ARCHITECTURAL, Costs, Finding, found
from flyweight.advising.matching import LEAST_FLOPS, Wish, factors, fitted
from flyweight.advising.reading import ACTIVATION, NORM, SUM, Layer, Reading, args_of, value_of
from flyweight.advising.rebuilding import Edit, Path
from flyweight.advising.thresholds import FRAGMENTS, OVER_BOUND, SERIES
from flyweight.advising.widths import Widths
from flyweight.decomposing.kinds import POOLING

_TO_ONE = 4
"""Convolutions behind each other that become one: at the same FLOPs it is twice as wide."""


@dataclass(frozen=True)
class Join:
    """Several small operations whose results become one value.

    Attributes:
        node: that value.
        source: what most of them read.
        operations: convolutions and pools.
        branches: how many of them lie beside each other; 1 where they follow each other.
    """

    node: fx.Node
    source: fx.Node
    operations: tuple[Layer, ...]
    branches: int


def fragments(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G3: several small operations beside each other, or behind each other, in place of one."""
    for key, joins, what, alternative in (
        ("parallel fragments", parallel(reading), "beside", _one_each),
        ("serial fragments", serial(reading), "behind", _fewer),
    ):
        if not joins:
            continue
        layers = [one for join in joins for one in join.operations]
        most = max(joins, key=lambda join: len(join.operations))
        edit, why, units = alternative(reading, widths, joins)
        finding = found(
            key, "G3", layers, costs, ARCHITECTURAL,
            f"Several small operations {what} each other leave more of a core idle than one large"
            " one of the same FLOPs, and each has to be started.",
            f"{len(joins)} blocks of up to {len(most.operations)} convolutions and pools"
            f" {what} each other",
            "use one operation, or few large ones",
            edit, why,
        )  # fmt: skip
        yield replace(finding, units=units)


Alternative = tuple[Edit | None, str, tuple[frozenset[str], ...]]
"""What is to be different, or why nothing is; and the nodes of each part that changes as one."""


def _one_each(reading: Reading, widths: Widths, joins: list[Join]) -> Alternative:
    """One or two dense convolutions in place of what lies beside each other."""
    made = {
        join.node.name: (path, region(reading, join.source.name, join.node.name))
        for join in joins
        if (path := one_path(join, widths.block)) is not None
    }
    if not made:
        return None, "no dense convolution has as few FLOPs as the fragments together", ()
    paths = {name: path for name, (path, _) in made.items()}
    edit, why = fitted(reading, widths, Edit(paths=paths))
    if edit is None:  # then all widths have to make up for it
        free = set(widths.of.values()) - widths.fixed
        edit, why = fitted(reading, widths, Edit(dict.fromkeys(free, 1.0), paths=paths))
    return edit, why, tuple(nodes for _, nodes in made.values())


def _fewer(reading: Reading, widths: Widths, joins: list[Join]) -> Alternative:
    """A quarter of the convolutions that follow each other, the last of each four, and wider."""
    wishes: list[Wish] = []
    dropped: dict[str, str] = {}
    units = []
    for join in joins:
        chain = join.operations
        for start in range(0, len(chain), _TO_ONE):
            *before, last = chain[start : start + _TO_ONE]
            if not before:
                continue
            source = args_of(reading.nodes[before[0].node])[0].name
            inside = region(reading, source, last.node)
            left_out = inside - {last.node}
            dropped |= {name: str(args_of(reading.nodes[name])[0]) for name in left_out}
            units.append(inside)
            alone = last.positions * before[0].widths[0] * last.widths[1]
            madds = last.madds + sum(one.madds for one in before)
            wishes.append(Wish(last, 1, 1, math.log(madds / alone), source))
    edit, why = fitted(reading, widths, Edit(factors(reading, widths, wishes), dropped=dropped))
    if edit is None:  # widths that can't change: then two with more channels between them
        return _one_each(reading, widths, joins)
    return edit, why, tuple(units)


def region(reading: Reading, source: str, node: str) -> frozenset[str]:
    """The nodes between a value and one that is made of it, the second one among them."""
    nodes = list(reading.graph.graph.nodes)
    behind = {source}
    for one in nodes:
        if any(read.name in behind for read in one.all_input_nodes):
            behind.add(one.name)
    needed = {node}
    for one in reversed(nodes):
        if one.name in needed and one.name != source:
            needed.update(read.name for read in one.all_input_nodes)
    return frozenset(behind & needed) - {source}


def one_path(join: Join, block: int) -> Path | None:
    """One or two dense convolutions with a join's FLOPs; None if there are none."""
    source, out = value_of(join.source), value_of(join.node)
    if source.dim() != 4 or out.dim() != 4 or source.shape[2] % out.shape[2]:
        return None
    stride = int(source.shape[2] // out.shape[2])
    madds = sum(one.madds for one in join.operations)
    positions = int(out.shape[0] * out.shape[2] * out.shape[3])
    inputs, outputs = int(source.shape[1]), int(out.shape[1])
    spatial = any(math.prod(one.kernel) > 1 for one in join.operations)
    for kernel in (3, 1) if spatial else (1,):
        alone = positions * inputs * outputs * kernel**2
        if LEAST_FLOPS * madds <= alone <= madds / LEAST_FLOPS:
            return Path(join.source.name, 0, kernel, stride)
        middle = madds / (positions * (inputs * kernel**2 + outputs))
        if middle >= block:
            return Path(join.source.name, math.ceil(middle / block) * block, kernel, stride)
    return None


def parallel(reading: Reading) -> list[Join]:
    """Concatenations and sums of several branches that each compute something."""
    nodes = list(reading.graph.graph.nodes)
    joins: list[Join] = []
    inside: set[fx.Node] = set()
    for node in reversed(nodes):  # the outermost sum or concatenation of several comes first
        if node in inside or not _is_join(node, reading):
            continue
        leaves = _leaves(node, reading, inside)
        branches = [branch for leaf in leaves if (branch := _branch(leaf, reading))[1]]
        if len(branches) < FRAGMENTS:
            continue
        sources = [source for source, _ in branches]
        source = max(dict.fromkeys(sources), key=sources.count)
        operations = tuple(one for _, own in branches for one in own)
        joins.append(Join(node, source, operations, len(branches)))
    return joins[::-1]


def _is_join(node: fx.Node, reading: Reading) -> bool:
    layer = reading.layers.get(node.name)
    if layer is None or len(layer.output) != 4:
        return False
    return (
        layer.op == "cat" and (len(args_of(node)) > 1 and args_of(node)[1] == 1)
    ) or layer.role == SUM


def _leaves(node: fx.Node, reading: Reading, inside: set[fx.Node]) -> list[fx.Node]:
    """What a tree of sums and concatenations puts together."""
    found: list[fx.Node] = []
    for one in node.all_input_nodes:
        if _is_join(one, reading) and len(one.users) == 1:
            inside.add(one)
            found += _leaves(one, reading, inside)
        else:
            found.append(one)
    return found


def _branch(leaf: fx.Node, reading: Reading) -> tuple[fx.Node, list[Layer]]:
    """The operations from a value back to what others read too: that, and what computes."""
    computing: list[Layer] = []
    node = leaf
    while len(node.users) == 1 and node.op == "call_function":
        layer = reading.layers.get(node.name)
        if layer is not None and (layer.kernel or layer.kind == POOLING):
            computing.append(layer)
        before = [one for one in node.all_input_nodes if one.op != "get_attr"]
        if len(before) != 1 or _is_join(node, reading):
            break
        node = before[0]
    return node, computing


def serial(reading: Reading) -> list[Join]:
    """Chains of 1x1 convolutions, with nothing that mixes positions between them."""
    seen: set[fx.Node] = set()
    joins = []
    for node in reversed(list(reading.graph.graph.nodes)):
        layer = reading.layers.get(node.name)
        if node in seen or layer is None or not _dense(layer):
            continue
        chain, at = [layer], node
        source = args_of(node)[0]
        while isinstance(source, fx.Node):
            before = _dense_before(source, reading)
            if before is None:
                break
            at, source = before, args_of(before)[0]
            seen.add(at)
            chain.append(reading.layers[at.name])
        if len(chain) >= SERIES and isinstance(source, fx.Node):
            joins.append(Join(node, source, tuple(chain[::-1]), 1))
    return joins[::-1]


def _dense(layer: Layer) -> bool:
    """Whether it is a 1x1 convolution as it may stand in a chain.

    Where its widths differ much, that is G1: a bottleneck isn't there because a larger convolution
    was cut up.
    """
    plain = layer.pointwise and layer.groups == 1 and len(layer.output) == 4
    return plain and layer.input[2:] == layer.output[2:] and layer.over_bound < OVER_BOUND


def _dense_before(node: fx.Node, reading: Reading) -> fx.Node | None:
    """The 1x1 convolution whose result comes to a value through norms and activations alone."""
    while len(node.users) == 1 and node.op == "call_function":
        layer = reading.layers.get(node.name)
        if layer is not None and _dense(layer):
            return node
        plain = layer is None or layer.role in (NORM, ACTIVATION)
        before = [one for one in node.all_input_nodes if one.op != "get_attr"]
        if not plain or len(before) != 1:
            return None
        node = before[0]
    return None
