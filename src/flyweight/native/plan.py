"""The plan of a network: what is done in which order, and where everything lies."""

import functools
from bisect import bisect_right
from dataclasses import dataclass

from flyweight.graph.maps import ChannelMap
from flyweight.native.isa import Isa
from flyweight.native.nodes import AnyNode


@dataclass(frozen=True)
class ImageFormat:
    """What the caller's images are, and what is done to them before the network.

    A pixel value v of channel c becomes `v * scale[c] + shift[c]`.

    Attributes:
        layout: "NCHW" or "NHWC".
        dtype: "float32" or "uint8", the latter interleaved only.
        scale: for each channel of the network's input; empty for 1.
        shift: likewise; empty for 0.
        reverse: whether the network reads the channels in the opposite order, as BGR.
    """

    layout: str = "NCHW"
    dtype: str = "float32"
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()
    reverse: bool = False

    @property
    def planes(self) -> bool:
        """Whether channels lie apart."""
        return self.layout == "NCHW"

    def read_as(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which a network reads images of this shape, batch first in both."""
        return shape if self.planes else (shape[0], shape[-1], *shape[1:-1])


@dataclass(frozen=True)
class Intake:
    """What is done to images while they are copied; numbers for each channel of the image.

    Attributes:
        middle: what is subtracted from bytes.
        scale: what pixels are multiplied by; empty where nothing is left to be done.
        shift: what is added then; likewise.
        around: what the border holds for convolutions that pad.
    """

    middle: int
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    around: tuple[float, ...]


@dataclass(frozen=True)
class Buffer:
    """A feature map in memory, with a border of zeros for readers that pad. Counts are floats.

    Attributes:
        first: the number of its first channel.
        channels: how many.
        height: without the border.
        width: likewise.
        border: top, left, bottom, right, in pixels.
        pixel: from a pixel to the next.
        channel: from a channel to the next.
        size: all of it.
        offset: where it starts.
        kept: rows that are there at a time, of a map inside a chain; 0 for all.
    """

    first: int
    channels: int
    height: int
    width: int
    border: tuple[int, int, int, int]
    pixel: int
    channel: int
    size: int
    offset: int = 0
    kept: int = 0

    @property
    def whole(self) -> int:
        """Floats of all rows, whether they are there at a time or not."""
        return self.height * self.row if self.kept else self.size

    @property
    def row(self) -> int:
        """From a pixel to the one below."""
        return (self.border[1] + self.width + self.border[3]) * self.pixel

    def at(self, y: int, x: int, channel: int = 0) -> int:
        """Where a pixel lies; y and x count from the first one inside the border."""
        top, left = self.border[:2]
        return self.offset + (top + y) * self.row + (left + x) * self.pixel + channel * self.channel


@dataclass(frozen=True)
class Block:
    """How a convolution is cut up.

    Attributes:
        pixels: of a tile, at most.
        vectors: of its output channels, at most.
        inputs: that all tiles have read before any of them reads more; 0 for all.
        tiles_outside: whether all channels of a tile are done before the next tile.
    """

    pixels: int
    vectors: int
    inputs: int = 0
    tiles_outside: bool = False

    def __str__(self) -> str:
        inputs = f", {self.inputs} inputs at once" if self.inputs else ""
        order = ", tiles outside" if self.tiles_outside else ""
        return f"{self.pixels}x{self.vectors}{inputs}{order}"


PLACES = 16
"""Products of each input and output channel in a tile of Winograd's F(2x2, 3x3)."""


@dataclass(frozen=True)
class Band:
    """Tiles that Winograd's algorithm does together, in a thread's own memory. Counts are floats.

    Attributes:
        tiles: how many.
        input: from a tile to the next, of transformed inputs.
        sum: likewise, of products.
    """

    tiles: int
    input: int
    sum: int

    @property
    def size(self) -> int:
        """What they take."""
        return PLACES * self.tiles * (self.input + self.sum)


@dataclass(frozen=True)
class Step:
    """A node and where it works.

    Attributes:
        node: what is done.
        out: where its results go.
        block: how a convolution that isn't depthwise is cut up.
        madds: multiply-adds of convolutions and linear layers.
        bytes: of activations and weights that are read or written.
        band: of a convolution by Winograd's algorithm; its block is that of the products.
    """

    node: AnyNode
    out: Buffer
    block: Block | None
    madds: int
    bytes: int
    band: Band | None = None


@dataclass(frozen=True)
class Chain:
    """Steps that are done together, a few rows at a time.

    Attributes:
        first: the number of its first step.
        rows: of the last step's output that are done at once.
        kept: rows of each value between two of its steps that are there at a time.
    """

    first: int
    rows: int
    kept: tuple[int, ...]

    @property
    def last(self) -> int:
        """The number of its last step."""
        return self.first + len(self.kept)


@dataclass(frozen=True)
class Plan:
    """All that is needed to write a network as C.

    Attributes:
        isa: for which vectors it is made.
        image: what the caller's images are.
        intake: how they are copied.
        input: where they lie for the network.
        steps: what is done.
        outputs: where each output's channels come from.
        buffers: where the channels lie, by the number of the value's first.
        memory: floats that an instance needs.
        chains: steps that are done together.
        own: floats that each of its threads needs besides, for what lies inside chains and for
            Winograd's algorithm.
    """

    isa: Isa
    image: ImageFormat
    intake: Intake
    input: Buffer
    steps: tuple[Step, ...]
    outputs: tuple[ChannelMap, ...]
    buffers: dict[int, Buffer]
    memory: int
    chains: tuple[Chain, ...] = ()
    own: int = 0

    def memory_bytes(self, threads: int = 1) -> int:
        """What an instance needs beside its weights."""
        return 4 * (self.memory + threads * self.own)

    def chain_at(self, step: int) -> Chain | None:
        """The chain that a step belongs to."""
        return next((one for one in self.chains if one.first <= step <= one.last), None)

    def buffer_of(self, channel: int) -> Buffer:
        """Where a channel lies."""
        firsts = self._firsts
        return self.buffers[firsts[bisect_right(firsts, channel) - 1]]

    @functools.cached_property
    def _firsts(self) -> list[int]:
        return sorted(self.buffers)
