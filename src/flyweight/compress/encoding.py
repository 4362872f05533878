"""A coded tensor as it lies in a file: gaps or none, and Huffman codes of both."""

from dataclasses import dataclass

from flyweight.compress.coded import Coded, Codes, Floats
from flyweight.compress.huffman import code_lengths, decode, encode
from flyweight.compress.relative import INDEX_BITS, DamageError, absolute, relative

DENSE = 0
"""Instead of bits of a gap: every weight is an entry, and there are no gaps."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Numbers in Huffman codes.

    Attributes:
        lengths: bits of each number's code, 0 for those that don't occur.
        data: the codes.
    """

    lengths: Codes
    data: bytes

    @property
    def size(self) -> int:
        """Bytes: the codes, and half a byte for each length."""
        return len(self.data) + -(-len(self.lengths) // 2)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A coded tensor as it lies in a file.

    Attributes:
        shape: of the tensor.
        codebook: its values.
        index_bits: of a gap, or DENSE.
        entries: how many codes there are, fillers included.
        codes: of the entries.
        gaps: between them; None where the tensor is dense.
    """

    shape: tuple[int, ...]
    codebook: Floats
    index_bits: int
    entries: int
    codes: Stream
    gaps: Stream | None

    @property
    def size(self) -> int:
        """Bytes of the codebook, codes and gaps."""
        gaps = self.gaps.size if self.gaps is not None else 0
        return self.codebook.nbytes + self.codes.size + gaps


def encoded(coded: Coded) -> Encoded:
    """Encode a tensor in the shorter of two ways: its entries with their gaps, or all weights."""
    ways = [_encoded(coded, bits) for bits in (INDEX_BITS, DENSE)]
    return min(ways, key=lambda way: way.size)


def _encoded(coded: Coded, index_bits: int) -> Encoded:
    flat = coded.codes.reshape(-1)
    gaps: Stream | None = None
    if index_bits == DENSE:
        entries = flat
    else:
        entries, between = relative(flat, index_bits, to_the_end=True)
        gaps = _stream(between, 1 << index_bits)
    codes = _stream(entries, len(coded.codebook))
    return Encoded(coded.codes.shape, coded.codebook, index_bits, len(entries), codes, gaps)


def _stream(values: Codes, kinds: int) -> Stream:
    lengths = code_lengths(values, kinds)
    return Stream(lengths, encode(values, lengths))


def decoded(one: Encoded) -> Coded:
    """The tensor that was encoded. No more memory is taken than the bytes stand for.

    Raises:
        DamageError: codes that are none, or that don't fill the shape.
    """
    size = 1
    for side in one.shape:
        size *= side
    codes = decode(one.codes.data, one.codes.lengths, one.entries)
    if one.gaps is None:
        if len(codes) != size:
            raise DamageError(f"it has {len(codes)} of {size} weights")
    else:
        between = decode(one.gaps.data, one.gaps.lengths, one.entries)
        codes = absolute(codes, between, size, room=(1 << one.index_bits) - 1)
    return Coded(one.codebook, codes.reshape(one.shape))
