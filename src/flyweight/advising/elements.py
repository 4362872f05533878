"""G4 and its kin: elementwise operations, norms, moves, copies, and what is done twice."""

from collections.abc import Hashable, Iterator

import torch
from torch import fx
from torch.utils._pytree import tree_leaves

from flyweight.advising.findings import ARCHITECTURAL, EXACT, Costs, Finding, found
from flyweight.advising.reading import (
    ACTIVATION,
    NORM,
    SUM,
    Layer,
    Reading,
    args_of,
    aten,
)
from flyweight.advising.rebuilding import Edit
from flyweight.advising.shuffles import layout_changes, shuffles
from flyweight.advising.widths import Widths
from flyweight.decomposing.kinds import MOVEMENT

_AGAIN_THE_SAME = {
    aten.relu.default, aten.relu6.default, aten.hardtanh.default, aten.clamp.default,
    aten.clamp_min.default, aten.abs.default,
}  # fmt: skip
"""Operations that change nothing when they are done a second time."""
_NOT_COUNTED = "empty", "arange", "full", "zeros", "ones", "scalar_tensor"


def _on_maps(reading: Reading, role: str, costs: Costs) -> list[Layer]:
    """Operations of a role on feature maps, those that take time of their own."""
    return [
        one
        for one in reading.layers.values()
        if one.role == role
        and len(one.output) == 4
        and one.output[2] * one.output[3] > 1
        and (costs.total is None or costs.seconds.get(one.node, 0.0) > 0)
    ]


def activations(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G4: activations that aren't fused with what is before them."""
    layers = _on_maps(reading, ACTIVATION, costs)
    if layers:
        nodes = reading.nodes
        edit = Edit(dropped={one.node: str(args_of(nodes[one.node])[0]) for one in layers})
        yield found(
            "activations", "G4", layers, costs, ARCHITECTURAL,
            "An activation has next to no FLOPs, but reads and writes a whole feature map.",
            f"{len(layers)} activations read and write"
            f" {_millions(layers)} M elements in operations of their own",
            "leave out those that accuracy doesn't need, or use one that the engine fuses (ReLU)",
            edit,
        )  # fmt: skip


def shortcuts(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G4: sums of two feature maps."""
    layers = _on_maps(reading, SUM, costs)
    if not layers:
        return
    nodes = reading.nodes
    order = {name: index for index, name in enumerate(nodes)}
    dropped = {
        one.node: max(
            (read.name for read in nodes[one.node].all_input_nodes), key=order.__getitem__
        )
        for one in layers
    }
    yield found(
        "shortcuts", "G4", layers, costs, ARCHITECTURAL,
        "A sum of two feature maps has next to no FLOPs, but reads two of them and writes a third.",
        f"{len(layers)} sums read and write {_millions(layers)} M elements in operations of their"
        " own",
        "leave shortcuts out where the network is shallow enough to train without them",
        Edit(dropped=dropped),
    )  # fmt: skip


def norms(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """Batch norms that the engine runs as operations of their own."""
    layers = _on_maps(reading, NORM, costs)
    if costs.total is None:  # nobody says what is fused: those that can't be by every engine
        nodes = reading.nodes
        layers = [one for one in layers if not _behind_conv(nodes[one.node], reading)]
    if layers:
        yield found(
            "batch norms", "G4", layers, costs, EXACT,
            "A batch norm is a scale and a shift that a convolution beside it can do at no cost.",
            f"{len(layers)} batch norms read and write {_millions(layers)} M elements in operations"
            " of their own",
            "fold them into the convolutions before or after: 'flyweight lower' does",
        )  # fmt: skip


def _behind_conv(node: fx.Node, reading: Reading) -> bool:
    before = args_of(node)[0]
    assert isinstance(before, fx.Node)
    layer = reading.layers.get(before.name)
    return layer is not None and bool(layer.kernel) and len(before.users) == 1


def moves(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G4: channels that are split, joined and shuffled."""
    shuffled = {name for move in shuffles(reading) for name in move.through}
    changed = {node.name for node in layout_changes(reading)}
    layers = [
        one
        for one in reading.layers.values()
        if one.kind == MOVEMENT and len(one.output) >= 4
        if one.elements or one.node in shuffled
        if one.node not in changed and not _copies_layout(one, reading)
    ]
    if layers:
        yield found(
            "channel moves", "G4", layers, costs, EXACT,
            "Splitting, joining and shuffling channels computes nothing, but copies feature maps.",
            f"{len(layers)} operations move {_millions(layers)} M elements",
            "let the convolutions read channels where they lie: 'flyweight lower' and engine"
            " 'native' do",
        )  # fmt: skip


def _copies_layout(layer: Layer, reading: Reading) -> bool:
    """Whether a copy only makes a permuted tensor contiguous."""
    read = args_of(reading.nodes[layer.node])[0] if args_of(reading.nodes[layer.node]) else None
    return isinstance(read, fx.Node) and read.target is aten.permute.default


def layouts(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """Feature maps that go from channels first to channels last and back."""
    changes = layout_changes(reading)
    if len(changes) < 2:
        return
    copies = [user for node in changes for user in node.users if user.target is aten.clone.default]
    layers = [reading.layers[node.name] for node in (*changes, *copies)]
    yield found(
        "layout changes", "G4", layers, costs, EXACT,
        "Every change between channels first and channels last copies the whole feature map.",
        f"{len(changes)} changes of layout",
        "keep one layout throughout",
    )  # fmt: skip


def twice(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """Operations that compute what was computed before, or what never changes."""
    layers = [reading.layers[name] for name in repeated(reading) if name in reading.layers]
    if layers:
        yield found(
            "work done twice", "", layers, costs, EXACT,
            "What was computed before, or is the same for every image, need not be computed again.",
            f"{len(layers)} operations repeat others, change nothing, or read only constants",
            "compute it once: 'flyweight lower' does",
        )  # fmt: skip


def repeated(reading: Reading) -> list[str]:
    """Nodes whose results are known before they run."""
    same: dict[fx.Node, fx.Node] = {}
    known: dict[Hashable, fx.Node] = {}
    constant: set[fx.Node] = set()
    names = []
    for node in reading.graph.graph.nodes:
        if node.op == "get_attr":
            constant.add(node)
        if node.op != "call_function" or node.name not in reading.layers:
            continue
        if node.all_input_nodes and constant.issuperset(node.all_input_nodes):
            constant.add(node)
            names.append(node.name)
            continue
        key = _key(node, same)
        computes = reading.layers[node.name].kind != MOVEMENT
        if computes and key in known:
            same[node] = known[key]
            names.append(node.name)
        elif is_again(node):
            names.append(node.name)
        known.setdefault(key, node)
    return names


def is_again(node: fx.Node) -> bool:
    """Whether an operation does once more what was just done, to no effect."""
    before = args_of(node)[0] if args_of(node) else None
    return (
        isinstance(before, fx.Node)
        and node.target in _AGAIN_THE_SAME
        and before.target is node.target
        and args_of(before)[1:] == args_of(node)[1:]
    )


def _key(node: fx.Node, same: dict[fx.Node, fx.Node]) -> Hashable:
    leaves = tree_leaves((args_of(node), dict(node.kwargs)))
    plain = tuple(
        same.get(leaf, leaf) if isinstance(leaf, fx.Node) else str(leaf) for leaf in leaves
    )
    return (str(node.target), *plain)


def simplified(reading: Reading) -> Edit:
    """What can be left out without changing any result: an exact edit.

    Activations that were just done, and pairs of permutations that undo each other with nothing
    between them but elementwise operations of one operand.
    """
    nodes = reading.nodes
    dropped = {
        name: str(args_of(nodes[name])[0]) for name in repeated(reading) if is_again(nodes[name])
    }
    for node in layout_changes(reading):
        if node.name in dropped:
            continue
        for one in _undone_by(node, reading):
            dropped[one.name] = str(args_of(one)[0])
    return Edit(dropped=dropped)


def _undone_by(node: fx.Node, reading: Reading) -> list[fx.Node]:
    """A permutation, the one that takes it back, and the copies that only it needs.

    None of these unless every operation between them works on each element alone.
    """
    order = list(args_of(node)[1])
    back = [order.index(dim) for dim in range(len(order))]
    found, at = [node], node
    while len(at.users) == 1:
        (at,) = at.users
        if at.target is aten.permute.default:
            if list(args_of(at)[1]) != back:
                return []
            return [*found, at, *(user for user in at.users if _only_copies(user))]
        layer = reading.layers.get(at.name)
        if _only_copies(at):
            found.append(at)
        elif layer is None or layer.role != ACTIVATION:
            return []
    return []


def _only_copies(node: fx.Node) -> bool:
    """Whether an operation only makes a tensor contiguous."""
    usual = node.kwargs.get("memory_format") in (None, torch.contiguous_format)
    return node.target in (aten.clone.default, aten.contiguous.default) and usual


def _millions(layers: list[Layer]) -> str:
    return f"{sum(one.elements for one in layers) / 1e6:.2f}"
