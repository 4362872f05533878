"""One block of a captured network, by itself."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from flyweight.advising.findings import Finding
from flyweight.advising.reading import Layer, Reading, module_of
from flyweight.advising.rebuilding import Rebuilt

REPEATED = 4
"""Times that a block is put behind itself to be timed alone, where its output has the shape of its
input: engines change a tensor's layout on the way in and out, and that is no part of a block."""


@dataclass(frozen=True)
class Block:
    """Some nodes of a network as a network.

    Attributes:
        module: of one input.
        input: its shape.
        output: the shape of what it puts out; None if that is several tensors.
    """

    module: fx.GraphModule
    input: tuple[int, ...]
    output: tuple[int, ...] | None

    def to_time(self, others: Collection["Block"] = ()) -> nn.Module:
        """It, or where that and the others allow it, several times behind itself."""
        alike = all(one.input == one.output for one in (self, *others))
        return nn.Sequential(*[self.module] * REPEATED) if alike else self.module


def block_of(finding: Finding, reading: Reading) -> tuple[str, frozenset[str]]:
    """What changes as one around the most expensive operation of a finding, and its nodes.

    That is the operation's module where the finding doesn't say otherwise.
    """
    first = finding.layers[0]
    unit = next((unit for unit in finding.units if first in unit), None)
    if unit is None:
        return module_around(first, reading)
    name = reading.layers[first].place.path
    inside = [one.place.path for one in reading.layers.values() if one.node in unit]
    while name and not all(_within(path, name) for path in inside):
        name = name.rpartition(".")[0]
    return name, unit


def module_around(name: str, reading: Reading) -> tuple[str, frozenset[str]]:
    """The module around an operation that computes more than it alone, and its nodes."""
    parent = _parent(name, reading)
    nodes = frozenset(
        node.name
        for node in reading.graph.graph.nodes
        if node.op == "call_function" and _within(module_of(node), parent)
    )
    return parent, nodes


def around(finding: Finding, reading: Reading) -> list[Layer]:
    """All operations that change with those of a finding."""
    if finding.units:
        inside = frozenset().union(*finding.units)
        return [one for one in reading.layers.values() if one.node in inside]
    parents = {_parent(name, reading) for name in finding.layers}
    return [
        one
        for one in reading.layers.values()
        if any(_within(one.place.path, parent) for parent in parents)
    ]


def _parent(name: str, reading: Reading) -> str:
    own = reading.layers[name].place.path
    parent = own.rpartition(".")[0]
    while parent and _paths(reading, parent) <= 1:
        parent = parent.rpartition(".")[0]
    return parent or own


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent + ".")


def _paths(reading: Reading, parent: str) -> int:
    """How many of a module's operations compute with weights."""
    return sum(
        1 for one in reading.layers.values() if one.madds and _within(one.place.path, parent)
    )


def alone(network: Rebuilt, names: Collection[str]) -> Block | None:
    """Some nodes of a network as a network; None if it has several inputs.

    Args:
        network: that was rebuilt.
        names: nodes of the captured network; what took their place counts with them.
    """
    assert network.module is not None
    inside = [
        node
        for node in network.module.graph.nodes
        if node.op == "call_function" and (node.name in names or takes_place_of(node.name, names))
    ]
    within = set(inside)
    read = {
        one
        for node in inside
        for one in node.all_input_nodes
        if one not in within and one.op != "get_attr"
    }
    put_out = [node for node in inside if any(user not in within for user in node.users)]
    if len(read) != 1 or not put_out:
        return None
    (source,) = read
    shapes = network.shapes
    if source.name not in shapes or any(node.name not in shapes for node in put_out):
        return None
    graph = fx.Graph()
    env: dict[fx.Node, Any] = {source: graph.placeholder("x")}
    for node in network.module.graph.nodes:
        if node in within or node.op == "get_attr":
            env[node] = graph.node_copy(node, lambda one: env[one])
    outputs = tuple(env[node] for node in put_out)
    graph.output(outputs[0] if len(outputs) == 1 else outputs)
    graph.eliminate_dead_code()
    output = shapes[put_out[0].name] if len(put_out) == 1 else None
    return Block(fx.GraphModule(network.module, graph), shapes[source.name], output)


def takes_place_of(name: str, names: Collection[str]) -> bool:
    """Whether a node of a rebuilt network stands for one of these of the original."""
    before, path, _ = name.rpartition("_path_")
    return bool(path) and before in names
