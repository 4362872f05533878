"""One block of a captured network, by itself."""

from collections.abc import Collection
from typing import Any

from torch import fx

from flyweight.advising.findings import Finding
from flyweight.advising.reading import Reading, module_of
from flyweight.advising.rebuilding import Rebuilt


def block_of(finding: Finding, reading: Reading) -> tuple[str, frozenset[str]]:
    """The module around the most expensive operation of a finding, and its nodes."""
    own = reading.layers[finding.layers[0]].place.path
    parent = own.rpartition(".")[0]
    while parent and _paths(reading, parent) <= 1:
        parent = parent.rpartition(".")[0]
    if not parent:
        parent = own
    nodes = frozenset(
        node.name
        for node in reading.graph.graph.nodes
        if node.op == "call_function" and _within(module_of(node), parent)
    )
    return parent, nodes


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent + ".")


def _paths(reading: Reading, parent: str) -> int:
    """How many of a module's operations compute with weights."""
    return sum(
        1 for one in reading.layers.values() if one.madds and _within(one.place.path, parent)
    )


def alone(
    network: Rebuilt, names: Collection[str]
) -> tuple[fx.GraphModule, tuple[int, ...]] | None:
    """Some nodes of a network as a network, with the shape of its input; None if it has several.

    Args:
        network: that was rebuilt.
        names: nodes of the captured network; what took their place counts with them.
    """
    assert network.module is not None
    inside = [
        node
        for node in network.module.graph.nodes
        if node.op == "call_function" and (node.name in names or _replaces(node.name, names))
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
    return fx.GraphModule(network.module, graph), shapes[source.name]


def _replaces(name: str, names: Collection[str]) -> bool:
    before, path, _ = name.rpartition("_path_")
    return bool(path) and before in names
