"""A network as nodes, before it is known where anything lies."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from flyweight.errors import CaptureError
from flyweight.graph.maps import BATCH, ChannelMap, Ids, with_ids
from flyweight.graph.program import Operand, Program, Value, Values
from flyweight.native.nodes import AnyNode
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
            node.change_operands(lambda operand: Operand(new[operand.ids], operand.space))
        self.outputs = [with_ids(one, new[one.ids.ravel()]) for one in self.outputs]

    def readers(self) -> dict[int, list[AnyNode]]:
        """The nodes that read each value, by the number of its first channel."""
        found: dict[int, list[AnyNode]] = defaultdict(list)
        for node in self.nodes:
            for operand in node.operands():
                for value in self.values.sources(operand.ids):
                    found[value.first].append(node)
        return found


def draft_of(program: Program) -> Draft:
    """A program's nodes, nothing fused yet.

    Raises:
        CaptureError: an operation, or an output, that the native engine hasn't.
    """
    if program.input.dtype != torch.float32:
        raise CaptureError(
            f"the native engine reads images of float32, not {program.input.dtype}: convert the"
            " network with .float(), and give it an example of float32"
        )
    for i, output in enumerate(program.outputs):
        dims = output.dims if isinstance(output, ChannelMap) else ((),)
        if dims[0] != (BATCH,) or any(BATCH in dim for dim in dims[1:]):
            raise CaptureError(
                f"the native engine puts out tensors with an entry for each image, and output {i}"
                " of this network is something else: leave it out, or use engine 'onnxruntime'"
            )
    return Draft(program.input, nodes_of(program), list(program.outputs), program.values)
