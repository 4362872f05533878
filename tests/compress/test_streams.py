"""Gaps, packed bits and Huffman codes, against streams worked out by hand and a slow decoder."""

import heapq
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyweight.compress.huffman import LONGEST, code_lengths, decode, encode
from flyweight.compress.relative import (
    DamageError,
    absolute,
    entropy,
    expected_entries,
    pack,
    packed_bytes,
    relative,
    unpack,
)


def codes_of(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


# Weights, bits of a gap; entries' codes, and gaps.
BY_HAND = {
    "none": ((), 4, (), ()),
    "all zero": ((0,) * 40, 4, (), ()),
    "dense": ((3, 1, 2), 4, (3, 1, 2), (0, 0, 0)),
    "15 zeros need no filler": ((0,) * 15 + (7,), 4, (7,), (15,)),
    "16 zeros need one": ((0,) * 16 + (7,), 4, (0, 7), (15, 0)),
    "33 zeros need two": ((0,) * 33 + (7,), 4, (0, 0, 7), (15, 15, 1)),
    # Deep Compression, Figure 2: 3.4 at 1, 0.9 at 4, 1.7 at 15; gaps of 3 bits; 1, 2, 3 stand for
    # the weights. The figure counts a gap as one more than its zeros, after the first.
    "Figure 2": (
        (0, 1, 0, 0, 2, *[0] * 10, 3), 3, (1, 2, 0, 3), (1, 2, 7, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_HAND)
def test_gaps_by_hand(case: str) -> None:
    weights, bits, entries, gaps = BY_HAND[case]
    found = relative(codes_of(*weights), bits)
    assert tuple(found[0].tolist()) == entries
    assert tuple(found[1].tolist()) == gaps
    assert absolute(*found, len(weights)).tolist() == list(weights)


def test_fillers_to_the_end() -> None:
    entries, gaps = relative(codes_of(*[0] * 5, 9, *[0] * 37), 4, to_the_end=True)
    assert entries.tolist() == [9, 0, 0]
    assert gaps.tolist() == [5, 15, 15]
    with pytest.raises(DamageError, match="weight 38 of 54"):
        absolute(entries, gaps, 38 + 16, room=15)
    assert absolute(entries, gaps, 38 + 15, room=15)[5] == 9
    with pytest.raises(DamageError, match="reach weight 38 of 37"):
        absolute(entries, gaps, 37)


@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 255)), max_size=30),
    st.integers(0, 80),
    st.integers(1, 8),
    st.booleans(),
)
def test_gaps_come_back(runs: list[tuple[int, int]], tail: int, bits: int, end: bool) -> None:
    weights = [value for zeros, code in runs for value in (*[0] * zeros, code)] + [0] * tail
    entries, gaps = relative(codes_of(*weights), bits, end)
    assert len(entries) == len(gaps)
    assert not gaps.size or gaps.max() < 1 << bits
    room = (1 << bits) - 1 if end else None
    assert absolute(entries, gaps, len(weights), room).tolist() == weights


@given(st.integers(1, 8), st.data())
def test_packed_bits_come_back(bits: int, data: st.DataObject) -> None:
    values = codes_of(*data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=40)))
    packed = pack(values, bits)
    assert len(packed) == packed_bytes(bits, len(values)) == math.ceil(bits * len(values) / 8)
    assert unpack(packed, bits, len(values)).tolist() == values.tolist()
    number = sum(int(value) << bits * place for place, value in enumerate(values))
    assert int.from_bytes(packed, "little") == number
    if len(values):
        with pytest.raises(DamageError):
            unpack(packed[:-1], bits, len(values))


@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_expected_fillers(density: float) -> None:
    """Random zeros, counted."""
    weights = (np.random.default_rng(0).random(400_000) < density).astype(np.uint8)
    counted = len(relative(weights, 4)[0]) / weights.size
    assert expected_entries(density, 4) == pytest.approx(counted, rel=0.01)


# Cormen et al., Introduction to Algorithms, Figure 16.3 of the second edition: a to f.
CORMEN = dict(zip("abcdef", (45, 13, 12, 16, 9, 5), strict=True))


def test_huffman_by_hand() -> None:
    values = codes_of(*(index for index, count in enumerate(CORMEN.values()) for _ in range(count)))
    lengths = code_lengths(values, 8)
    assert lengths.tolist() == [1, 3, 3, 3, 4, 4, 0, 0]
    assert sum(lengths[values].tolist()) == 224
    # Canonical: a 0, b 100, c 101, d 110, e 1110, f 1111.
    assert encode(codes_of(0, 5, 1, 4), lengths) == bytes([0b01111100, 0b11100000])


def huffman_bits(counts: list[int]) -> int:
    """All bits of Huffman's own codes, by the sums of his tree."""
    heap, total = [count for count in counts if count], 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60))
def test_codes_are_as_short_as_huffmans(values: list[int]) -> None:
    array = codes_of(*values)
    lengths = code_lengths(array, 256)
    counts = np.bincount(array).tolist()
    if len(set(values)) > 1:
        assert int(lengths[array].astype(int).sum()) == huffman_bits(counts)
        assert sum(2.0 ** -int(length) for length in lengths if length) == 1
        mean = lengths[array].mean()
        assert entropy(array) <= mean + 1e-9
        assert mean < entropy(array) + 1


def test_rare_values_have_short_enough_codes() -> None:
    """Fibonacci's numbers as counts would make Huffman's own codes 23 bits long."""
    fibonacci = [1, 1]
    while len(fibonacci) < 24:
        fibonacci.append(sum(fibonacci[-2:]))
    values = np.repeat(np.arange(24, dtype=np.uint8), fibonacci)
    lengths = code_lengths(values, 24)
    assert lengths.max() == LONGEST
    assert sum(2.0 ** -int(length) for length in lengths) == 1
    assert decode(encode(values, lengths), lengths, len(values)).tolist() == values.tolist()


def slowly_decoded(data: bytes, lengths: np.ndarray, count: int) -> list[int]:
    """Bit by bit, with canonical codes as RFC 1951, Section 3.2.2, makes them."""
    code, book = 0, {}
    for length in range(1, LONGEST + 1):
        for kind in np.flatnonzero(lengths == length):
            book[length, code] = int(kind)
            code += 1
        code <<= 1
    bits = (byte >> place & 1 for byte in data for place in range(7, -1, -1))
    found: list[int] = []
    while len(found) < count:
        code = length = 0
        while (length, code) not in book:
            code, length = code << 1 | next(bits), length + 1
        found.append(book[length, code])
    return found


@given(st.lists(st.integers(0, 255), max_size=80))
def test_decoding_is_what_a_slow_decoder_does(values: list[int]) -> None:
    lengths = code_lengths(codes_of(*values), 256)
    data = encode(codes_of(*values), lengths)
    assert slowly_decoded(data, lengths, len(values)) == values
    assert decode(data, lengths, len(values)).tolist() == values


@given(st.binary(max_size=12), st.lists(st.integers(0, 15), max_size=16), st.integers(0, 10**12))
def test_anything_is_decoded_or_refused(data: bytes, lengths: list[int], count: int) -> None:
    try:
        found = decode(data, codes_of(*lengths), count)
    except DamageError:
        return
    assert len(found) == count <= 8 * len(data)


def test_damaged_codes() -> None:
    lengths = codes_of(1, 2, 2)
    data = encode(codes_of(1, 2, 0), lengths)
    for count in (9, 10**15):
        with pytest.raises(DamageError):
            decode(data, lengths, count)
    with pytest.raises(DamageError, match="no code's"):
        decode(data, codes_of(1, 1, 1), 2)
    with pytest.raises(DamageError, match="is none"):
        decode(b"\xff", codes_of(1, 2, 0), 2)


def test_entropy() -> None:
    assert entropy(codes_of(1, 1, 1)) == 0
    assert entropy(codes_of(*itertools.islice(itertools.cycle(range(8)), 64))) == 3
    assert entropy(codes_of()) == 0
