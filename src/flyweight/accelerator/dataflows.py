"""What a layer takes on the array in either dataflow, and what it moves to and from the DRAM.

Weight-stationary: N x N weights (N input channels by N output channels, one position of the kernel)
stay in the array, and every pixel of the input streams by. Each column adds up its N products and
adds the sum to the partial sum in the buffer. So few input or output channels leave elements idle.

Output-stationary: every element makes one pixel of an N x N block of the output. A block's inputs
are loaded, then the weights are broadcast one a cycle, zeros left out, for all output channels; at
last the block's outputs leave. So small feature maps leave elements idle, and what is loaded for
few multiply-adds (depthwise) takes longer than computing.

Groups are done one after another. Words are of 16 bits unless the accelerator says otherwise.
"""

import math
from dataclasses import dataclass

from flyweight.accelerator.hardware import Accelerator, Dataflow, Hiding
from flyweight.accelerator.layers import Layer


@dataclass(frozen=True)
class Work:
    """What the array does for a layer.

    Attributes:
        dataflow: "weight" or "output".
        cycles: until it is done, had the DRAM no limits. Not a whole number where zeros are
            skipped: it is the mean over the blocks.
        waiting: of them, those in which the array waits for loads and drains.
        madds: that are executed: skipped ones aren't.
        buffer_weights: words of weights that the array reads from the buffer.
        buffer_inputs: of inputs.
        buffer_outputs: of outputs and partial sums, read and written.
    """

    dataflow: Dataflow
    cycles: float
    waiting: float
    madds: float
    buffer_weights: float
    buffer_inputs: float
    buffer_outputs: float

    @property
    def buffer_words(self) -> float:
        """All words between buffer and array."""
        return self.buffer_weights + self.buffer_inputs + self.buffer_outputs


def weight_stationary(layer: Layer, accelerator: Accelerator) -> Work:
    """A layer with its weights kept in the array.

    For each group, position of the kernel and tile of N x N channels: the weights are loaded, then
    all pixels stream by, one a cycle. Of every output, the partial sum is written once a pass and
    read once less.
    """
    side, port = accelerator.array, accelerator.words_a_cycle
    pixels = layer.images * layer.out_size[0] * layer.out_size[1]
    rows, columns = _pieces(layer.group_inputs, side), _pieces(layer.group_outputs, side)
    cycles = 0.0
    for height, many_rows in rows.items():
        for width, many_columns in columns.items():
            load = math.ceil(height * width / port)
            cycles += many_rows * many_columns * _together(pixels, [(load, accelerator.preload)])
    repeated = layer.groups * layer.taps
    tiles = sum(rows.values()) * sum(columns.values())
    passes = sum(rows.values()) * layer.taps
    return Work(
        dataflow="weight",
        cycles=repeated * cycles,
        waiting=repeated * (cycles - tiles * pixels),
        madds=layer.madds,
        buffer_weights=layer.weights,
        buffer_inputs=pixels * layer.in_channels * layer.taps * sum(columns.values()),
        buffer_outputs=layer.outputs * (2 * passes - 1),
    )


def output_stationary(layer: Layer, accelerator: Accelerator) -> Work:
    """A layer with a block of outputs kept in the array.

    For each group, image and block of up to N x N pixels: its inputs are loaded (again for each
    part of the output channels, where registers don't hold the sums of all), each weight that is
    not zero takes a cycle, and the outputs leave.
    """
    port = accelerator.words_a_cycle
    weights = layer.group_inputs * layer.group_outputs * layer.taps * (1 - accelerator.sparsity)
    parts = math.ceil(layer.group_outputs / (accelerator.partial_sums or layer.group_outputs))
    down, across = (_blocks(layer, axis, accelerator.array, accelerator.halo) for axis in (0, 1))
    cycles, waiting, loaded = 0.0, 0.0, 0
    for (high, read_rows), many_down in down.items():
        for (wide, read_columns), many_across in across.items():
            words = parts * layer.group_inputs * read_rows * read_columns
            load = math.ceil(words / port)
            leave = math.ceil(layer.group_outputs * high * wide / port)
            block = _together(weights, [(load, accelerator.preload), (leave, accelerator.drain)])
            many = many_down * many_across
            cycles += many * block
            waiting += many * (block - weights)
            loaded += many * words
    repeated = layer.groups * layer.images
    blocks = sum(down.values()) * sum(across.values())
    return Work(
        dataflow="output",
        cycles=repeated * cycles,
        waiting=repeated * waiting,
        madds=layer.madds * (1 - accelerator.sparsity),
        buffer_weights=repeated * blocks * weights,
        buffer_inputs=repeated * loaded,
        buffer_outputs=layer.outputs,
    )


def dram_words(layer: Layer, accelerator: Accelerator) -> int:
    """Words between DRAM and buffer: every tensor once, or one of them several times.

    One tensor stays in its share of the buffer, in as many parts as it takes, while the others
    stream by: with a part of the weights (some output channels) all inputs, with a part of the
    inputs all weights; with a part of the outputs, cut by channels, its weights and all inputs, or,
    cut by pixels, its inputs and all weights. Rows that two parts of the inputs have in common are
    counted once.
    """
    kept, groups = accelerator.kept_words, layer.groups
    weights, inputs, outputs = (
        words // groups for words in (layer.weights, layer.inputs, layer.outputs)
    )
    parts = {
        "weights": math.ceil(weights / kept),
        "inputs": math.ceil(inputs / kept),
        "outputs": math.ceil(outputs / kept),
    }
    read = {
        "weights": weights + inputs * parts["weights"],
        "inputs": inputs + weights * parts["inputs"],
        "outputs": weights + inputs + min(weights, inputs) * (parts["outputs"] - 1),
    }
    asked = {"any": tuple(read), "operands": ("weights", "inputs")}
    names = asked.get(accelerator.keeping, (accelerator.keeping,))
    return groups * (min(read[name] for name in names) + outputs)


def _pieces(channels: int, side: int) -> dict[int, int]:
    """Channels cut into pieces of a side: how many there are of each size."""
    whole, rest = divmod(channels, side)
    return {size: many for size, many in ((side, whole), (rest, 1)) if size and many}


def _together(busy: float, transfers: list[tuple[int, Hiding]]) -> float:
    """Cycles of computing and of transfers, which the array waits for unless they are hidden."""
    hidden = [cycles for cycles, hiding in transfers if hiding == "hidden"]
    return max([busy, *hidden]) + sum(c for c, hiding in transfers if hiding == "exposed")


def _blocks(layer: Layer, axis: int, side: int, halo: bool) -> dict[tuple[int, int], int]:
    """Blocks of outputs along an axis: of how many outputs and inputs, and how many of each.

    Inputs are those that any output of the block reads; padding isn't loaded. Without a halo, what
    the block before has loaded isn't loaded again.
    """
    found: dict[tuple[int, int], int] = {}
    seen: set[int] = set()
    for first in range(0, layer.out_size[axis], side):
        outputs = range(first, min(first + side, layer.out_size[axis]))
        read = {
            position
            for output in outputs
            for tap in range(layer.kernel[axis])
            if 0
            <= (
                position := output * layer.stride[axis]
                + tap * layer.dilation[axis]
                - layer.padding[axis]
            )
            < layer.in_size[axis]
        }
        key = (len(outputs), len(read - seen))
        found[key] = found.get(key, 0) + 1
        if not halo:
            seen |= read
    return found
