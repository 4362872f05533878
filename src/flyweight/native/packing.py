"""Weights and tables in the order in which the C code reads them: one block of memory."""

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flyweight.native.blocks import widths
from flyweight.native.isa import Isa
from flyweight.native.memory import ALIGNED, rounded
from flyweight.native.plan import Block

Floats = NDArray[np.float32]

MAGIC = b"flyweight-weights-1\0"
HEADER = 64


@dataclass
class Pack:
    """Floats and whole numbers, put down one after another."""

    floats: list[Floats] = field(default_factory=list)
    count: int = 0
    numbers: list[NDArray[np.int32]] = field(default_factory=list)
    number_count: int = 0
    _known: dict[bytes, int] = field(default_factory=dict)

    def put(self, values: Floats | Tensor, pad_to: int = ALIGNED) -> int:
        """Put floats down at the start of a cache line; where they are."""
        array = values.detach().numpy() if isinstance(values, Tensor) else values
        flat = np.ascontiguousarray(array, dtype=np.float32).ravel()
        padded = np.zeros(rounded(rounded(max(flat.size, 1), pad_to)), np.float32)
        padded[: flat.size] = flat
        at = self.count
        self.floats.append(padded)
        self.count += padded.size
        return at

    def index(self, offsets: NDArray[np.int64]) -> int:
        """Put a table down, or find one that is the same; where it is."""
        table = offsets.astype(np.int32)
        assert (table == offsets).all(), "an offset beyond 2^31"
        key = table.tobytes()
        if key not in self._known:
            self._known[key] = self.number_count
            self.numbers.append(table)
            self.number_count += table.size
        return self._known[key]

    def blob(self, network: int) -> bytes:
        """All of it behind a header: magic, the network's mark, both counts, and a CRC-32.

        Args:
            network: a number that the network's code knows, too.
        """
        parts = [*self.floats, *self.numbers]
        body = b"".join(part.tobytes() for part in parts)
        head = struct.pack(
            "<20sIQQQ", MAGIC, zlib.crc32(body), network, self.count, self.number_count
        )
        return head.ljust(HEADER, b"\0") + body


def pack_group(weight: Floats, isa: Isa, block: Block) -> Floats:
    """A matrix (inputs, outputs) as the tiles read it: block by block of output vectors.

    Returns:
        Flat: for each block, for each input, the weights of the block's outputs; those of half a
        vector at its end come behind, for each input, too.
    """
    inputs, outputs = weight.shape
    lanes = isa.lanes
    padded = np.zeros((inputs, -(-outputs // lanes) * lanes), np.float32)
    padded[:, :outputs] = weight
    found = []
    start = 0
    for vectors, half in widths(outputs, block, isa):
        whole = start + (vectors - half) * lanes
        found.append(padded[:, start:whole].ravel())
        start += vectors * lanes
        if half:
            found.append(padded[:, whole : whole + lanes // 2].ravel())
    return np.concatenate(found)
