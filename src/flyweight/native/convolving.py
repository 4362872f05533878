"""Convolutions of a plan, but the depthwise ones, as tables of C: their groups and weights."""

from dataclasses import dataclass

import torch

from flyweight.native.abreast import abreast_weights, bundles_of, outputs_in_order
from flyweight.native.literals import braces
from flyweight.native.memory import rounded
from flyweight.native.nodes import Abreast, Convolution
from flyweight.native.packing import pack_group
from flyweight.native.plan import Step
from flyweight.native.tables import NEXT, Tables, finish, place, segments, tell_next


def convolution(tables: Tables, step: Step, node: Convolution) -> int:
    """A dense or grouped convolution; the number of its row."""
    assert step.block is not None
    first_segment = len(tables.rows["segment"])
    groups = _abreast(tables, step, node) if node.abreast else _groups(tables, step, node)
    at_once = rounded(step.block.inputs, node.abreast.inputs if node.abreast else 1)
    tell_next(tables, groups[0].weights)
    first_group = tables.add("group", [one.row(first_segment) for one in groups])
    return tables.add(
        "convolution",
        [
            braces(
                place(step.out), step.out.height, step.out.width, f"segments + {first_segment}",
                f"groups + {first_group}", len(groups), step.block.pixels, step.block.vectors,
                at_once, int(step.block.tiles_outside), NEXT, tiles_name(node.abreast),
                finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip


def tiles_name(abreast: Abreast | None) -> str:
    """What the table of a convolution's tiles is called."""
    return f"tiles_{abreast.inputs}_{abreast.step}" if abreast else "tiles"


@dataclass(frozen=True)
class Group:
    """Outputs that read the same inputs, as C has them."""

    segment: int
    segments: int
    inputs: int
    channels: int
    column: int
    weights: int
    bias: int

    def row(self, first_segment: int) -> str:
        """As C has it, with segments counted from the convolution's first one."""
        return braces(
            self.segment - first_segment, self.segments, self.inputs, self.channels, self.column,
            self.weights, self.bias,
        )  # fmt: skip


def _taps(node: Convolution) -> list[tuple[int, int]]:
    """How far each tap reads from the first pixel."""
    kernel_y, kernel_x = node.weight.shape[2:]
    return [
        (i * node.dilation[0] - node.padding[0], j * node.dilation[1] - node.padding[1])
        for i in range(kernel_y)
        for j in range(kernel_x)
    ]


def _groups(tables: Tables, step: Step, node: Convolution) -> list[Group]:
    assert step.block is not None
    isa, taps = tables.plan.isa, _taps(node)
    outputs, inputs = node.weight.shape[:2]
    per_group = outputs // node.groups
    weight = node.weight.detach().numpy().reshape(outputs, inputs * len(taps))
    bias = torch.zeros(outputs) if node.bias is None else node.bias.detach()
    found = []
    for g in range(node.groups):
        rows = slice(g * per_group, (g + 1) * per_group)
        ids = node.x.ids[g * inputs : (g + 1) * inputs]
        first, count, order = segments(tables, ids, taps, node.stride)
        packed = tables.pack.put(pack_group(weight[rows].T[order], isa, step.block))
        biases = tables.pack.put(bias[rows], rounded(per_group, isa.lanes))
        found.append(Group(first, count, len(order), per_group, g * per_group, packed, biases))
    return found


def _abreast(tables: Tables, step: Step, node: Convolution) -> list[Group]:
    """Groups that share vectors, as one: an input is a vector, to be read with lanes exchanged."""
    assert step.block is not None
    assert node.abreast is not None
    isa, taps = tables.plan.isa, _taps(node)
    outputs = node.weight.shape[0]
    bundles = bundles_of(node, isa.lanes)
    mine = outputs_in_order(bundles, outputs // node.groups, node.abreast.inputs)
    bias = torch.zeros(outputs) if node.bias is None else node.bias.detach()
    found = []
    channels = outputs // len(bundles)
    for i, bundle in enumerate(bundles):
        ids = node.x.ids[bundle.vectors[:, 0]]
        first, count, order = segments(tables, ids, taps, node.stride)
        rows = mine[i * channels : (i + 1) * channels]
        weight = abreast_weights(node, bundle, rows)[order].reshape(-1, channels)
        packed = tables.pack.put(pack_group(weight, isa, step.block))
        biases = tables.pack.put(bias[torch.from_numpy(rows)])
        found.append(Group(first, count, len(weight), channels, i * channels, packed, biases))
    return found
