"""Huffman coding of small numbers (Deep Compression, Section 4), with codes of 15 bits at most.

Codes are canonical: they follow from their lengths alone, shorter ones first, and among equally
long ones in the order of the values. The first bit of a code is the highest of its byte.
"""

import numpy as np
from numpy.typing import NDArray

from flyweight.compress.coded import Codes
from flyweight.compress.relative import DamageError

LONGEST = 15
"""Bits of a code: a length then fits into half a byte, and all codes into a table to look up."""


def code_lengths(values: Codes, kinds: int) -> Codes:
    """The lengths of the codes that make values shortest, by package-merge (Larmore, Hirschberg).

    Args:
        values: what is to be coded.
        kinds: values are less than this: 1 to 256.

    Returns:
        (kinds,) bits of each value's code; 0 for those that don't occur.
    """
    counts = np.bincount(values, minlength=kinds)
    single: list[tuple[int, tuple[int, ...]]] = sorted(
        (int(count), (kind,)) for kind, count in enumerate(counts) if count
    )
    lengths = np.zeros(kinds, np.uint8)
    if len(single) == 1:
        lengths[single[0][1][0]] = 1
        return lengths
    chosen = single
    for _ in range(LONGEST - 1):
        pairs = zip(chosen[::2], chosen[1::2], strict=False)
        packages = [(one[0] + other[0], one[1] + other[1]) for one, other in pairs]
        chosen = sorted(single + packages)
    for _, members in chosen[: max(2 * len(single) - 2, 0)]:
        for kind in members:
            lengths[kind] += 1
    return lengths


def encode(values: Codes, lengths: Codes) -> bytes:
    """The codes of the values, one behind the other; the last byte is filled with zeros.

    Args:
        values: each with a code.
        lengths: of the codes, from `code_lengths`.
    """
    codes = _codes(lengths)
    bits, code = lengths[values].astype(np.int64), codes[values]
    ends = np.cumsum(bits)
    stream = np.zeros(int(ends[-1]) if ends.size else 0, np.uint8)
    for place in range(int(bits.max(initial=0))):
        has = bits > place
        stream[(ends - 1)[has] - place] = code[has] >> place & 1
    return np.packbits(stream).tobytes()


def decode(data: bytes, lengths: Codes, count: int) -> Codes:
    """The values that were encoded.

    Args:
        data: the codes.
        lengths: of the codes.
        count: how many values; each takes a bit at least, so that no false count takes memory.

    Raises:
        DamageError: lengths that are no code's, or bytes that are no codes of it.
    """
    if count > 8 * len(data):
        raise DamageError(f"{len(data)} bytes hold no {count} values")
    if not count:
        return np.zeros(0, np.uint8)
    kinds, steps = _lookup(lengths)
    ahead = np.frombuffer(data + bytes(2), np.uint8).astype(np.int32)
    ahead = ahead[:-2] << 16 | ahead[1:-1] << 8 | ahead[2:]
    # What the next 15 bits are, from every bit on: then only the way from code to code is left.
    shifts = 24 - LONGEST - np.arange(8)
    window = (ahead[:, None] >> shifts & (1 << LONGEST) - 1).reshape(-1)
    lengths_from = steps[window].tobytes()
    starts = np.zeros(count, np.int64)
    at = 0
    for number in range(count):
        if at >= len(lengths_from) or not lengths_from[at]:
            raise DamageError(f"its code {number + 1} of {count} is none")
        starts[number] = at
        at += lengths_from[at]
    if at > len(lengths_from):
        raise DamageError("its last code is cut")
    found: Codes = kinds[window[starts]]
    return found


def _codes(lengths: Codes) -> NDArray[np.int64]:
    """The canonical code of each value.

    Raises:
        DamageError: no code has these lengths.
    """
    codes = np.zeros(len(lengths), np.int64)
    code = 0
    for length in range(1, LONGEST + 1):
        code <<= 1
        for kind in np.flatnonzero(lengths == length):
            codes[kind] = code
            code += 1
        if code > 1 << length:
            raise DamageError("its codes' lengths are no code's")
    return codes


def _lookup(lengths: Codes) -> tuple[Codes, Codes]:
    """For all that 15 bits can be: the value that they begin with, and its code's length."""
    codes = _codes(lengths)
    kinds, steps = np.zeros(1 << LONGEST, np.uint8), np.zeros(1 << LONGEST, np.uint8)
    for kind in np.flatnonzero(lengths):
        length = int(lengths[kind])
        first = int(codes[kind]) << LONGEST - length
        kinds[first : first + (1 << LONGEST - length)] = kind
        steps[first : first + (1 << LONGEST - length)] = length
    return kinds, steps
