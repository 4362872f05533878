"""From a program to a plan."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from flyweight.graph.program import Program, Value
from flyweight.native.arranging import arrange
from flyweight.native.blocks import Shape, fixed_block, shape_of
from flyweight.native.chaining import chains_of
from flyweight.native.draft import Draft, draft_of
from flyweight.native.fusing import fuse
from flyweight.native.imaging import take_images
from flyweight.native.isa import Isa
from flyweight.native.memory import Lifetime, first_fit, rounded
from flyweight.native.nodes import (
    AnyNode,
    Convolution,
    Gather,
    Neighbours,
    Softmax,
    area,
    pieces,
)
from flyweight.native.plan import PLACES, Block, Buffer, Chain, ImageFormat, Plan, Step
from flyweight.native.winograd import TILE, band_of, choose_winograd

Choose = Callable[[Shape, Isa], Block]


def plan_of(
    program: Program, isa: Isa, image: ImageFormat | None = None, choose: Choose = fixed_block
) -> Plan:
    """How a network is to be computed.

    Args:
        program: rewritten, with its channel maps; it is used up.
        isa: for which vectors.
        image: what the caller's images are.
        choose: how convolutions are cut up.

    Raises:
        CaptureError: an operation that the engine hasn't.
    """
    image = image or ImageFormat()
    draft = draft_of(program)
    fuse(draft)
    intake = take_images(draft, image)
    arrange(draft, isa.lanes, image.planes)
    choose_winograd(draft, isa.lanes)
    chains = chains_of(draft, isa.lanes)
    values = [draft.input, *(node.out for node in draft.nodes)]
    borders = _borders(draft)
    buffers = {
        value.first: _buffer(value, borders.get(value.first, (0, 0, 0, 0)), isa.lanes, draft, image)
        for value in values
    }
    inside = _inside(draft, chains, buffers)
    whole = [buffer for first, buffer in buffers.items() if first not in inside]
    offsets, memory = first_fit(_lifetimes(draft, chains, whole))
    # The last vector of the last pixel may be read beyond its end.
    memory = rounded(memory + isa.lanes)
    placed = {b.first: replace(b, offset=at) for b, at in zip(whole, offsets, strict=True)}
    placed |= {first: replace(b, offset=memory + b.offset) for first, b in inside.items()}
    steps = tuple(_step(node, placed[node.out.first], isa, choose) for node in draft.nodes)
    own = [rounded(b.offset + b.size + isa.lanes) for b in inside.values()]
    own += [rounded(step.band.size) for step in steps if step.band]
    return Plan(
        isa, image, intake, placed[draft.input.first], steps, tuple(draft.outputs), placed,
        memory, tuple(chains), max(own, default=0),
    )  # fmt: skip


def _inside(draft: Draft, chains: Sequence[Chain], buffers: dict[int, Buffer]) -> dict[int, Buffer]:
    """Buffers between the steps of chains: a few rows, one after another in a thread's memory.

    Zeros above and below are put where they are needed, by the chain.
    """
    found = {}
    for chain in chains:
        at = 0
        for node, kept in zip(draft.nodes[chain.first : chain.last], chain.kept, strict=True):
            whole = buffers[node.out.first]
            _, left, _, right = whole.border
            rows = replace(whole, border=(0, left, 0, right), kept=kept, offset=at)
            found[whole.first] = replace(rows, size=kept * rows.row)
            at += rounded(kept * rows.row)
    return found


def _borders(draft: Draft) -> dict[int, tuple[int, int, int, int]]:
    """How many pixels around each value its readers want."""
    found: dict[int, tuple[int, int, int, int]] = {}
    for node in draft.nodes:
        if not isinstance(node, Convolution):
            continue
        wanted = []
        (height, width), (out_height, out_width) = area(node.x.space), area(node.out.space)
        for axis, (size, outputs) in enumerate(((height, out_height), (width, out_width))):
            kernel, pad = node.weight.shape[2 + axis], node.padding[axis]
            outputs = rounded(outputs, TILE) if node.winograd else outputs
            end = (outputs - 1) * node.stride[axis] + (kernel - 1) * node.dilation[axis] + 1
            wanted.append((max(pad, 0), max(end - pad - size, 0)))
        (top, bottom), (left, right) = wanted
        for value in draft.values.sources(node.x.ids):
            known = found.get(value.first, (0, 0, 0, 0))
            a, b, c, d = (max(p, q) for p, q in zip(known, (top, left, bottom, right), strict=True))
            found[value.first] = (a, b, c, d)
    return found


def _buffer(
    value: Value, border: tuple[int, int, int, int], lanes: int, draft: Draft, image: ImageFormat
) -> Buffer:
    height, width = area(value.space)
    top, left, bottom, right = border
    positions = (top + height + bottom) * (left + width + right)
    if value is draft.input:
        if image.planes:
            return Buffer(
                value.first, value.channels, height, width, border, 1, positions,
                positions * value.channels,
            )  # fmt: skip
        pixel = value.channels
    else:
        pixel = rounded(_extent(draft, value, lanes), lanes)
    return Buffer(value.first, value.channels, height, width, border, pixel, 1, positions * pixel)


def _extent(draft: Draft, value: Value, lanes: int) -> int:
    """Floats of a pixel that are written: the last vector of a group or run may reach over it."""
    node = draft.makers()[value.first]
    if isinstance(node, Convolution) and not node.depthwise:
        last = value.channels // node.groups * (node.abreast.groups if node.abreast else 1)
    elif isinstance(node, Softmax | Neighbours) or (isinstance(node, Gather) and not node.by_runs):
        last = value.channels
    else:
        last = pieces(draft.values, node.x.ids)[-1][1]
    return value.channels - last + rounded(last, lanes)


def _lifetimes(draft: Draft, chains: Sequence[Chain], buffers: Sequence[Buffer]) -> list[Lifetime]:
    """From the step that makes a value, to the last that reads it; the images come before all.

    A chain's steps take place at the same time.
    """
    times = list(range(1, len(draft.nodes) + 1))
    for chain in chains:
        times[chain.first : chain.last + 1] = [times[chain.first]] * (len(chain.kept) + 1)
    made = {draft.input.first: 0}
    made |= {node.out.first: i for i, node in zip(times, draft.nodes, strict=True)}
    last = dict(made)
    for i, node in zip(times, draft.nodes, strict=True):
        for operand in node.operands():
            for value in draft.values.sources(operand.ids):
                last[value.first] = i
    for output in draft.outputs:
        for value in draft.values.sources(output.ids.ravel()):
            last[value.first] = len(draft.nodes) + 1
    return [Lifetime(b.size, made[b.first], last[b.first]) for b in buffers]


def _step(node: AnyNode, out: Buffer, isa: Isa, choose: Choose) -> Step:
    read = sum(len(o.ids) * int(np.prod(area(o.space))) for o in node.operands())
    written = out.channels * out.height * out.width
    if not isinstance(node, Convolution):
        return Step(node, out, None, 0, 4 * (read + written))
    weights = node.weight.numel()
    madds = weights * out.height * out.width
    if node.winograd:
        band = band_of(node, isa.lanes)
        products = Shape(1, band.tiles, node.weight.shape[1], out.channels, PLACES, 1, 1, 1)
        weights = weights * PLACES // 9
        return Step(node, out, choose(products, isa), madds, 4 * (read + written + weights), band)
    block = None if node.depthwise else choose(shape_of(node), isa)
    return Step(node, out, block, madds, 4 * (read + written + weights))
