"""How a convolution is cut into tiles: a fixed rule where nothing was measured."""

from collections import Counter
from dataclasses import dataclass, replace

from flyweight.native.isa import Isa
from flyweight.native.nodes import Convolution, area
from flyweight.native.plan import Block


@dataclass(frozen=True)
class Shape:
    """What the time of a convolution depends on; `inputs` counts those of all its taps."""

    height: int
    width: int
    inputs: int
    outputs: int
    groups: int
    stride: int
    taps_y: int
    taps_x: int


def shape_of(node: Convolution) -> Shape:
    """The shape of a convolution that isn't depthwise; inputs and outputs are a group's.

    Groups that share vectors count as one, which takes as long: for each vector of its outputs
    there is a vector of weights, and something to be read, for every input.
    """
    height, width = area(node.out.space)
    outputs, inputs, kernel_y, kernel_x = node.weight.shape
    taps = kernel_y * kernel_x
    together = node.abreast.groups if node.abreast else 1
    groups = node.groups // together
    return Shape(
        height, width, inputs * taps, outputs // groups, groups, node.stride[1], kernel_y, kernel_x
    )


def candidates(shape: Shape, isa: Isa) -> list[Block]:
    """The blocks that are worth trying: those of the instruction set, cut down to the shape."""
    pixels, vectors = shape.height * shape.width, -(-shape.outputs // isa.lanes)
    found = [Block(min(p, pixels), min(v, vectors)) for p, v in isa.tiles]
    return list(dict.fromkeys(found))


def refinements(shape: Shape, block: Block, isa: Isa) -> list[Block]:
    """Further blocks to try where a block of all inputs, channels outside, is fast."""
    found = [replace(block, inputs=n) for n in (128, 256, 512) if n < shape.inputs]
    if shape.height * shape.width > block.pixels and shape.outputs > block.vectors * isa.lanes:
        found.append(replace(block, tiles_outside=True))
    return found


def cycles(shape: Shape, block: Block, isa: Isa) -> float:
    """A rough count for one input: two sums or loads a cycle, each sum after 4 cycles at best."""
    total = 0.0
    for p, tiles in Counter(parts(shape.height * shape.width, block.pixels)).items():
        for v, half in widths(shape.outputs, block, isa):
            work = max(p * (v - half / 2) / 2, (p + v + 1) / 2, 4.0)
            total += tiles * (work + 30 / shape.inputs)
    return total


def parts(count: int, most: int) -> list[int]:
    """`count` in equal parts of at most `most`, the larger ones first."""
    number = -(-count // most)
    small, larger = divmod(count, number)
    return [small + 1] * larger + [small] * (number - larger)


def widths(outputs: int, block: Block, isa: Isa) -> list[tuple[int, bool]]:
    """A group's outputs as the tiles have them: (vectors, whether the last of them is a half)."""
    found = [(size, False) for size in parts(-(-outputs // isa.lanes), block.vectors)]
    return [*found[:-1], (found[-1][0], isa.half(outputs))]


def fixed_block(shape: Shape, isa: Isa) -> Block:
    """What is used where nothing was measured: the block of the fewest cycles by the rough count.

    Where the weights of a block don't stay in the first cache, all channels of a tile are done
    before the next tile only if all weights together are small.
    """
    return min(candidates(shape, isa), key=lambda block: cycles(shape, block, isa))
