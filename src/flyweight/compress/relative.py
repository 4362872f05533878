"""Sparse tensors as pairs of a code and the gap before it (Deep Compression, Section 2, Figure 2).

A gap is how many zeros lie between an entry and the one before. Where it is longer than an index
can say, fillers bridge it: entries whose code is 0 and whose gap is the longest.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flyweight.compress.coded import Codes

INDEX_BITS = 4


class DamageError(Exception):
    """What is wrong with a stream."""


def relative(
    codes: Codes, index_bits: int = INDEX_BITS, to_the_end: bool = False
) -> tuple[Codes, Codes]:
    """The entries of a tensor: those that aren't zero, and the fillers between them.

    Args:
        codes: (weights,) a code for each weight.
        index_bits: of a gap: 1 to 8.
        to_the_end: whether fillers also follow the last entry, until less than a filler is left.
            Then how many weights there are follows from the entries, but for so many.

    Returns:
        The entries' codes and their gaps.
    """
    reach = 1 << index_bits
    positions = np.flatnonzero(codes)
    zeros = np.diff(positions, prepend=-1) - 1
    counts = zeros // reach + 1
    behind = 0
    if to_the_end:
        last = int(positions[-1]) if positions.size else -1
        behind = (codes.size - 1 - last) // reach
    total = int(counts.sum()) + behind
    entries, gaps = np.zeros(total, np.uint8), np.full(total, reach - 1, np.uint8)
    at = np.cumsum(counts) - 1
    entries[at], gaps[at] = codes[positions], zeros % reach
    return entries, gaps


def absolute(entries: Codes, gaps: Codes, size: int, room: int | None = None) -> Codes:
    """The codes of a tensor from its entries.

    Args:
        entries: the entries' codes.
        gaps: the zeros before each.
        size: how many weights there are.
        room: how many weights may follow the last entry, where that is known; no more memory is
            then taken than the entries stand for.

    Raises:
        DamageError: entries that lie behind the end, or more weights than that behind the last.
    """
    positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
    last = int(positions[-1]) if positions.size else -1
    if last >= size:
        raise DamageError(f"its entries reach weight {last + 1} of {size}")
    if room is not None and size - 1 - last > room:
        raise DamageError(f"its entries end at weight {last + 1} of {size}")
    codes = np.zeros(size, np.uint8)
    codes[positions] = entries
    return codes


def pack(values: Codes, bits: int) -> bytes:
    """Values of so many bits, the first in the lowest bits of the first byte.

    Two values of 4 bits share a byte, the low half first, as in the published stream.

    Args:
        values: each less than 2^bits.
        bits: 1 to 8.
    """
    single = np.unpackbits(values[:, None], axis=1, count=bits, bitorder="little")
    return np.packbits(single.reshape(-1), bitorder="little").tobytes()


def unpack(data: bytes, bits: int, count: int) -> Codes:
    """The values that `pack` packed.

    Raises:
        DamageError: too few bytes.
    """
    if len(data) < packed_bytes(bits, count):
        raise DamageError(f"{len(data)} bytes hold no {count} values of {bits} bits")
    single = np.unpackbits(np.frombuffer(data, np.uint8), count=bits * count, bitorder="little")
    return np.packbits(single.reshape(count, bits), axis=1, bitorder="little").reshape(count)


def packed_bytes(bits: int, count: int) -> int:
    """The bytes that so many values take."""
    return -(-bits * count // 8)


def expected_entries(density: float, index_bits: int) -> float:
    """Entries for each weight, fillers included, where the weights that are left lie at random.

    A gap is then geometrically distributed: a filler is needed with each 2^index_bits zeros.

    Args:
        density: the share of the weights that are left: more than 0.
        index_bits: of a gap.
    """
    all_zero = math.pow(1.0 - density, 1 << index_bits)
    return density / (1.0 - all_zero)


def entropy(values: NDArray[np.generic]) -> float:
    """Bits for each value that no code of single values can go below (Shannon); 0 of none."""
    if not values.size:
        return 0.0
    _, counts = np.unique(values, return_counts=True)
    shares = counts / values.size
    return float(-(shares * np.log2(shares)).sum()) + 0.0
