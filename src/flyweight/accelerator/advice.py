"""What SqueezeNext's authors read from their simulator, read from this one, for any network.

They made the first layer's kernel smaller, because it took a quarter of the time, and moved blocks
from early stages, whose few channels leave the array idle, to later ones. Gains here are simulated,
never measured; the accuracy that a change costs isn't known.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flyweight.accelerator.layers import Layer
from flyweight.accelerator.simulation import LayerResult, Simulation, simulate_layer

LARGE_KERNEL = 5
"""What the authors made of a 7x7 kernel."""
SAME_MADDS = 0.1
"""Blocks whose multiply-adds differ by less are exchanged for each other."""


@dataclass(frozen=True)
class Lost:
    """Cycles of a layer in which the array does nothing, and the largest reason.

    Attributes:
        result: the layer.
        cycles: lost ones: those of the layer without those that its multiply-adds need.
        reason: in words.
    """

    result: LayerResult
    cycles: float
    reason: str


@dataclass(frozen=True)
class Swap:
    """A layer in another shape.

    Attributes:
        before: as it is.
        after: as it would be.
        saved: cycles, of the whole network's; below 0 where it takes longer.
    """

    before: LayerResult
    after: LayerResult
    saved: float


@dataclass(frozen=True)
class Stage:
    """Blocks of the same shapes in a row, of which any but one could stand elsewhere.

    Attributes:
        name: path of the module that holds them.
        blocks: how many.
        madds: of a block.
        cycles: likewise.
        utilisation: likewise.
        members: names of each block's layers, in order.
    """

    name: str
    blocks: int
    madds: int
    cycles: float
    utilisation: float
    members: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Move:
    """A block taken from one stage and added to another.

    Attributes:
        source: the stage that gives it.
        target: the one that gets it.
        saved: cycles for each block that moves.
        madds: added multiply-adds a block; below 0 for fewer.
    """

    source: Stage
    target: Stage
    saved: float
    madds: int


def lost_cycles(simulation: Simulation, most: int = 5) -> list[Lost]:
    """The layers that lose the most cycles, the worst first."""
    found = []
    for result in simulation.layers:
        needed = result.work.madds / result.elements
        found.append(Lost(result, result.cycles - needed, _reason(result, simulation)))
    return sorted(found, key=lambda lost: -lost.cycles)[:most]


def _reason(result: LayerResult, simulation: Simulation) -> str:
    """Why the array is idle for most of the time that it is."""
    layer, side = result.layer, simulation.accelerator.array
    busy = result.work.cycles - result.work.waiting
    unused = busy - result.work.madds / result.elements
    shares = {
        "it waits for the DRAM": result.cycles - result.work.cycles,
        _loads(result): result.work.waiting,
        _unused(layer, result, side): unused,
    }
    return max(shares, key=lambda text: shares[text])


def _loads(result: LayerResult) -> str:
    if result.dataflow == "weight":
        return "it waits for weights, which serve few pixels"
    return "it waits for inputs and outputs of blocks that have few weights"


def _unused(layer: Layer, result: LayerResult, side: int) -> str:
    if result.dataflow == "output":
        size = f"{layer.out_size[0]}x{layer.out_size[1]}"
        return f"a map of {size} fills no whole number of {side}x{side} blocks"
    channels = f"{layer.group_inputs} to {layer.group_outputs} channels"
    return f"{channels} fill no whole number of {side}x{side} tiles"


def advise_stem(simulation: Simulation, kernel: int = LARGE_KERNEL) -> Swap | None:
    """The first layer with a smaller kernel, its output of the same size; None where it is small.

    Args:
        simulation: of the whole network.
        kernel: rows and columns of the smaller one.
    """
    before = simulation.layers[0]
    layer = before.layer
    if layer.linear or min(layer.kernel) <= kernel:
        return None
    smaller = replace(
        layer,
        kernel=(kernel, kernel),
        padding=(
            max(layer.padding[0] - (layer.kernel[0] - kernel) // 2, 0),
            max(layer.padding[1] - (layer.kernel[1] - kernel) // 2, 0),
        ),
    )
    after = simulate_layer(smaller, simulation.accelerator)
    return Swap(before, after, before.cycles - after.cycles)


def stages(simulation: Simulation) -> list[Stage]:
    """Runs of blocks that could be moved: children of one module, with the same shapes.

    The order of a kernel's sides doesn't matter (SqueezeNext turns it from block to block), and
    a block must keep its input's shape: one that begins a stage can't be moved.
    """
    found: list[Stage] = []
    for parent, children in _children(simulation.layers).items():
        groups: dict[tuple[object, ...], list[list[LayerResult]]] = defaultdict(list)
        for layers in children:
            if _keeps_shape(layers):
                groups[tuple(_shape(one.layer) for one in layers)].append(layers)
        for alike in groups.values():
            if len(alike) > 1:
                found.append(_stage(parent, alike))
    return found


def _children(layers: Sequence[LayerResult]) -> dict[str, list[list[LayerResult]]]:
    """For every module: the layers of each of its numbered children of two layers or more."""
    children: dict[tuple[str, str], list[LayerResult]] = defaultdict(list)
    for result in layers:
        path = result.layer.name.split(".")
        for depth, name in enumerate(path):
            if name.isdigit():
                children[".".join(path[:depth]), name].append(result)
    found: dict[str, list[list[LayerResult]]] = defaultdict(list)
    for (parent, _), own in children.items():
        if len(own) > 1:
            found[parent].append(own)
    return found


def _keeps_shape(layers: Sequence[LayerResult]) -> bool:
    first, last = layers[0].layer, layers[-1].layer
    return (first.in_channels, first.in_size) == (last.out_channels, last.out_size)


def _shape(layer: Layer) -> tuple[object, ...]:
    return (layer.in_channels, layer.out_channels, layer.out_size, layer.groups,
            tuple(sorted(layer.kernel)))  # fmt: skip


def _stage(name: str, blocks: Sequence[Sequence[LayerResult]]) -> Stage:
    cycles = sum(layer.cycles for block in blocks for layer in block) / len(blocks)
    done = sum(layer.work.madds for block in blocks for layer in block) / len(blocks)
    return Stage(
        name,
        len(blocks),
        sum(layer.layer.madds for layer in blocks[0]),
        cycles,
        done / (cycles * blocks[0][0].elements),
        tuple(tuple(one.layer.name for one in block) for block in blocks),
    )


def advise_moves(simulation: Simulation) -> list[Move]:
    """Blocks that would be faster in a later stage, at about the same multiply-adds.

    For each stage the best target, the largest gain first.
    """
    known = stages(simulation)
    best: list[Move] = []
    for index, source in enumerate(known):
        moves = [
            Move(source, target, source.cycles - target.cycles, target.madds - source.madds)
            for target in known[index + 1 :]
            if abs(target.madds / source.madds - 1) <= SAME_MADDS and target.cycles < source.cycles
        ]
        if moves:
            best.append(max(moves, key=lambda move: move.saved))
    return sorted(best, key=lambda move: -move.saved)
