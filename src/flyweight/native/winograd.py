"""3x3 convolutions by Winograd's F(2x2, 3x3): 16 products for four outputs instead of 36.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), Section 4.1.
"""

import numpy as np
import torch

from flyweight.graph.program import Values
from flyweight.native.convolving import Group, tiles_name
from flyweight.native.draft import Draft
from flyweight.native.literals import braces
from flyweight.native.memory import rounded
from flyweight.native.nodes import Convolution, Finish, area, in_runs
from flyweight.native.packing import pack_group
from flyweight.native.plan import PLACES, Band, Step
from flyweight.native.tables import NEXT, Tables, finish, parts, place, tell_next

TILE = 2
"""Outputs of a tile, along each axis."""

_WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
"""G of the paper: transformed weights are G g G^T."""

INPUTS_VECTOR, OUTPUTS_VECTOR = 60, 50
"""Cycles, roughly, to transform a tile of a vector of inputs, and of outputs, back."""

WORTH = 0.85
"""Of the time as a plain convolution, by the rough count, that it may take at most."""

SCRATCH = 96 * 1024
"""Floats of the tiles that are done together, which stay in the second cache."""

LEAST_TILES = 28
"""Done together at least, where there are as many: all weights are read for them."""


def choose_winograd(draft: Draft, lanes: int) -> None:
    """Mark the convolutions that are faster so: 3x3, dense, of enough channels.

    Args:
        draft: its channels are arranged.
        lanes: floats in a vector.
    """
    for node in draft.nodes:
        if isinstance(node, Convolution) and not np.isin(node.x.ids, draft.input.ids).any():
            node.winograd = _fits(node, draft.values, lanes) and _saves(node, lanes)


def _fits(node: Convolution, values: Values, lanes: int) -> bool:
    ones = node.stride == node.dilation == (1, 1)
    if node.groups != 1 or node.weight.shape[2:] != (3, 3) or not ones or min(node.padding) < 0:
        return False
    return in_runs(values, node.x.ids, lanes)


def _saves(node: Convolution, lanes: int) -> bool:
    outputs, inputs = node.weight.shape[:2]
    height, width = area(node.out.space)
    plain = height * width * 9 * inputs * outputs / lanes
    vectors = INPUTS_VECTOR * -(-inputs // lanes) + OUTPUTS_VECTOR * -(-outputs // lanes)
    return tiles_of(node) * (PLACES * inputs * outputs / lanes + vectors) < WORTH * plain


def tiles_of(node: Convolution) -> int:
    """How many tiles its output has."""
    height, width = area(node.out.space)
    return -(-height // TILE) * -(-width // TILE)


def band_of(node: Convolution, lanes: int) -> Band:
    """How many tiles are done together, and where they lie in a thread's own memory."""
    outputs, inputs = (rounded(count, lanes) for count in node.weight.shape[:2])
    many = max(LEAST_TILES, SCRATCH // (PLACES * (inputs + outputs)))
    count = min(many, tiles_of(node))
    # A vector of the last tile's inputs may be written, and read, beyond it.
    return Band(count, inputs + lanes, outputs + lanes)


def transformed(weight: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Weights (outputs, inputs, 3, 3) for each place: (16, inputs, outputs)."""
    found = np.einsum("ai,okij,bj->abko", _WEIGHTS, weight.detach().double().numpy(), _WEIGHTS)
    return np.asarray(found.reshape(PLACES, *found.shape[2:]), np.float32)


def winograd(tables: Tables, step: Step, node: Convolution) -> int:
    """Such a convolution; the number of its row."""
    assert step.block is not None
    assert step.band is not None
    plan, band = tables.plan, step.band
    outputs, inputs = node.weight.shape[:2]
    tiles = braces(plan.memory, band.input, 0)
    sums = braces(plan.memory + PLACES * band.tiles * band.input, band.sum, 0)
    index = tables.pack.index(np.arange(inputs, dtype=np.int64))
    segment = tables.add("segment", [braces(tiles, inputs, index)])
    nothing = tables.pack.put(np.zeros(outputs, np.float32), rounded(outputs, plan.isa.lanes))
    packed = [
        tables.pack.put(pack_group(matrix, plan.isa, step.block))
        for matrix in transformed(node.weight)
    ]
    tell_next(tables, packed[0])
    groups = [Group(0, 1, inputs, outputs, 0, weights, nothing).row(0) for weights in packed]
    products = tables.add(
        "convolution",
        [
            braces(
                sums, 1, band.tiles, f"segments + {segment}",
                f"groups + {tables.add('group', groups)}", PLACES, step.block.pixels,
                step.block.vectors, 0, 0, NEXT, tiles_name(None), finish(tables, Finish(), outputs),
            )
        ],
    )  # fmt: skip
    bias = torch.zeros(outputs) if node.bias is None else node.bias.detach()
    first, count = parts(tables, node.x, pad=node.padding)
    return tables.add(
        "winograd",
        [
            braces(
                place(step.out), step.out.height, step.out.width, band.tiles,
                f"parts + {first}", count, f"convolutions + {products}",
                band.tiles * band.input, band.tiles * band.sum,
                tables.pack.put(bias, rounded(outputs, plan.isa.lanes)),
                finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip
