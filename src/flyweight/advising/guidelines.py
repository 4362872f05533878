"""G1 to G3 of ShuffleNet V2, looked for in any network: widths, groups, fragments."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx

from flyweight.advising.findings import ARCHITECTURAL, Costs, Finding, found
from flyweight.advising.matching import LEAST_FLOPS, Wish, factors, matched
from flyweight.advising.reading import ACTIVATION, NORM, SUM, Layer, Reading, args_of, value_of
from flyweight.advising.rebuilding import BLOCK, CannotBuildError, Edit, Path
from flyweight.advising.shuffles import shuffles
from flyweight.advising.thresholds import FRAGMENTS, GROUPS, OVER_BOUND, SERIES
from flyweight.advising.widths import Widths
from flyweight.decomposing.kinds import POOLING

_ONLY_COLOURS = 4
"""Channels of an input that are no feature maps."""


def unequal_widths(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G1: 1x1 convolutions whose memory access is far above its bound, since widths differ.

    Fragments beside each other are narrow because there are several: that is G3.
    """
    parts = {one.node for join in parallel(reading) for one in join.operations}
    layers = [
        layer
        for layer in reading.convolutions()
        if layer.pointwise
        and layer.node not in parts
        and layer.groups < layer.widths[0]
        and layer.widths[0] > _ONLY_COLOURS
        and layer.over_bound >= OVER_BOUND
        and layer.positions > 1
    ]
    if not layers:
        return
    worst = max(layers, key=lambda layer: layer.over_bound)
    over = sum(one.elements for one in layers) / sum(one.access_bound for one in layers)
    narrow, wide = sorted(worst.widths)
    wishes = [Wish(one, 1, -1, math.log(one.widths[1] / one.widths[0])) for one in layers]
    edit, why = _matched(reading, widths, Edit(factors(reading, widths, wishes)))
    yield found(
        "unequal widths", "G1", layers, costs, ARCHITECTURAL,
        "At equal FLOPs a 1x1 convolution reads and writes least where its input and output have"
        " the same number of channels.",
        f"{_counted(layers)} access {over:.2f} times the least memory for their FLOPs;"
        f" the worst goes between {narrow} and {wide} channels ({worst.over_bound:.2f} times)",
        "bring the widths closer together: fewer channels where there are most, more where there"
        " are few",
        edit, why,
    )  # fmt: skip


def groups(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G2: group convolutions that aren't depthwise."""
    layers = [
        one for one in reading.convolutions() if GROUPS <= one.groups < min(one.widths)
    ]  # fmt: skip
    if not layers:
        return
    most = max(one.groups for one in layers)
    wishes = [Wish(one, 1, 1, -math.log(one.groups)) for one in layers]
    wanted = Edit(
        factors(reading, widths, wishes), dict.fromkeys((one.node for one in layers), 1),
        {move.node: move.source for move in shuffles(reading)},
    )  # fmt: skip
    edit, why = _matched(reading, widths, wanted)
    yield found(
        "groups", "G2", layers, costs, ARCHITECTURAL,
        "At equal FLOPs a group convolution has more channels than a dense one, so it reads and"
        " writes more.",
        f"{_counted(layers)} in up to {most} groups hold"
        f" {sum(one.madds for one in layers) / max(reading.madds, 1):.0%} of the FLOPs",
        "use dense convolutions with fewer channels; then there is no need for a shuffle",
        edit, why,
    )  # fmt: skip


def _matched(reading: Reading, widths: Widths, edit: Edit) -> tuple[Edit | None, str]:
    if not edit.scale:
        return None, "the widths are those of the input or of the output"
    try:
        return matched(reading, widths, edit), ""
    except CannotBuildError as error:
        return None, str(error)


def _counted(layers: list[Layer]) -> str:
    return f"{len(layers)} convolution{'s' if len(layers) != 1 else ''}"


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
    for key, joins, what in (
        ("parallel fragments", parallel(reading), "beside"),
        ("serial fragments", serial(reading), "behind"),
    ):
        if not joins:
            continue
        layers = [one for join in joins for one in join.operations]
        most = max(joins, key=lambda join: len(join.operations))
        paths = {join.node.name: path for join in joins if (path := one_path(join)) is not None}
        edit, why = _fixed(reading, widths, Edit(paths=paths))
        if not paths:
            edit, why = None, "no dense convolution has as few FLOPs as the fragments together"
        yield found(
            key, "G3", layers, costs, ARCHITECTURAL,
            f"Several small operations {what} each other leave more of a core idle than one large"
            " one of the same FLOPs, and each has to be started.",
            f"{len(joins)} blocks of up to {len(most.operations)} convolutions and pools"
            f" {what} each other",
            "use one operation, or few large ones",
            edit, why,
        )  # fmt: skip


def _fixed(reading: Reading, widths: Widths, edit: Edit) -> tuple[Edit | None, str]:
    try:
        return matched(reading, widths, edit), ""
    except CannotBuildError as error:
        return None, str(error)


def one_path(join: Join) -> Path | None:
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
        if middle >= BLOCK:
            return Path(join.source.name, math.ceil(middle / BLOCK) * BLOCK, kernel, stride)
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
            joins.append(Join(node, source, tuple(chain), 1))
    return joins[::-1]


def _dense(layer: Layer) -> bool:
    return layer.pointwise and layer.groups == 1 and len(layer.output) == 4


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
