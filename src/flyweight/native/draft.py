"""A network as nodes, before it is known where anything lies."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from flyweight.errors import CaptureError
from flyweight.graph.maps import ChannelMap, Ids, with_ids
from flyweight.graph.program import Operand, Program, Value, Values
from flyweight.native.nodes import AnyNode, Elementwise
from flyweight.native.selecting import nodes_of


@dataclass(eq=False)
class Draft:
    """A network's nodes in an order in which they can run.

    Attributes:
        input: the images.
        nodes: what is computed.
        outputs: where each output's channels come from.
        values: the input and what nodes put out.
    """

    input: Value
    nodes: list[AnyNode]
    outputs: list[ChannelMap]
    values: Values

    def makers(self) -> dict[int, AnyNode]:
        """The node that puts out each value, by the number of the value's first channel."""
        return {node.out.first: node for node in self.nodes}

    def times_read(self) -> Ids:
        """How often every channel is read, by nodes and as an output."""
        counts = np.zeros(len(self.values.numbers()), dtype=np.int64)
        for node in self.nodes:
            for operand in node.operands():
                np.add.at(counts, operand.ids, 1)
        for output in self.outputs:
            np.add.at(counts, output.ids.ravel(), 1)
        return counts

    def renumber(self, new: Ids) -> None:
        """Let all that reads channel k read channel `new[k]`."""
        for node in self.nodes:
            _read_as(node, new)
        self.outputs = [with_ids(one, new[one.ids.ravel()]) for one in self.outputs]

    def readers(self) -> dict[int, list[AnyNode]]:
        """The nodes that read each value, by the number of its first channel."""
        found: dict[int, list[AnyNode]] = defaultdict(list)
        for node in self.nodes:
            for operand in node.operands():
                for value in self.values.sources(operand.ids):
                    found[value.first].append(node)
        return found


def _read_as(node: AnyNode, new: Ids) -> None:
    def read(operand: Operand) -> Operand:
        return Operand(new[operand.ids], operand.space)

    node.x = read(node.x)
    if node.finish.residual is not None:
        node.finish = replace(node.finish, residual=read(node.finish.residual))
    if isinstance(node, Elementwise) and node.other is not None:
        node.other = read(node.other)


def draft_of(program: Program) -> Draft:
    """A program's nodes, nothing fused yet.

    Raises:
        CaptureError: an operation, or an output, that the native engine hasn't.
    """
    for output in program.outputs:
        if not isinstance(output, ChannelMap) or not (output.is_plain() or output.is_flattened()):
            raise CaptureError(
                "the native engine puts out feature maps (batch, channels, positions), and this"
                " network returns something else; run it with engine 'onnxruntime'"
            )
    return Draft(program.input, nodes_of(program), list(program.outputs), program.values)
