"""The .fwc file: byte by byte as docs/compress.md has it, and files that lie."""

import hashlib
import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flyweight.compress import Coded, Packed, read_container, write_container
from flyweight.compress.container import MAGIC
from flyweight.errors import FlyweightError, WeightsError


def checked(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def by_hand() -> bytes:
    """A layer of 20 weights, two of which are left, and a bias."""
    metadata = b'{"a": "b"}'
    codes = bytes([1 << 4 | 1 << 0])  # lengths of the codes of 0 and 1: a bit each; no value 2
    return b"".join([
        b"\x93FWC\r\n\x1a\n", struct.pack("<HH", 1, 0),
        struct.pack("<I", len(metadata)), metadata,
        struct.pack("<I", 2),
        # "w", 2 x 10, coded; gaps of 4 bits, 2 values, 3 entries: 0 with gap 15, 1 with gap 0 and 1
        struct.pack("<H1sB2I", 1, b"w", 2, 2, 10), b"\0",
        struct.pack("<BHI", 4, 2, 3), struct.pack("<2f", 0.0, -1.5),
        codes, struct.pack("<I", 1), bytes([0b01100000]),
        # lengths of the gaps' codes: 0 and 1 have two bits, 15 has one: it comes first
        bytes([2 | 2 << 4, 0, 0, 0, 0, 0, 0, 1 << 4]), struct.pack("<I", 1), bytes([0b01011000]),
        # "b", 3 numbers of 32 bits
        struct.pack("<H1sB1I", 1, b"b", 1, 3), b"\1", struct.pack("<3f", 1.0, 2.0, 3.0),
    ])  # fmt: skip


def test_a_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "hand.fwc"
    path.write_bytes(checked(by_hand()))
    packed = read_container(path)
    assert packed.metadata == {"a": "b"}
    weights = np.zeros(20, np.float32)
    weights[[16, 18]] = -1.5
    assert packed.values()["w"].tolist() == weights.reshape(2, 10).tolist()
    assert packed.values()["b"].tolist() == [1, 2, 3]
    assert packed.coded()["w"].density == 0.1
    assert packed.bytes_before == 4 * 23


def test_it_is_written_so(tmp_path: Path) -> None:
    """Of 400 weights with one left, and then all of 40: gaps, or none."""
    codes = np.zeros(400, np.uint8)
    codes[3] = 1
    coded = Coded(np.array([0, 2.5], np.float32), codes)
    path = tmp_path / "one.fwc"
    size = write_container(Packed({"w": coded}, {}), path)
    data = path.read_bytes()
    assert size == len(data)
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()
    head = MAGIC + struct.pack("<HHI", 1, 0, 2) + b"{}" + struct.pack("<I", 1)
    head += struct.pack("<H1sB1I", 1, b"w", 1, 400) + b"\0"
    assert data.startswith(head)
    # Code 1 with gap 3, and 24 fillers for the 396 zeros behind it.
    index_bits, values, entries = struct.unpack_from("<BHI", data, len(head))
    assert (index_bits, values, entries) == (4, 2, 25)
    assert len(data) == len(head) + 7 + 8 + (1 + 4 + 4) + (8 + 4 + 4) + 32
    write_container(Packed({"w": Coded(coded.codebook, codes[:40] + 1 - codes[:40])}, {}), path)
    assert struct.unpack_from("<BHI", path.read_bytes(), len(head)) == (0, 2, 40)


weights = arrays.arrays(
    np.uint8,
    arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=7),
    elements=st.one_of(st.just(0), st.integers(0, 255)),
)


@st.composite
def coded_layers(draw: st.DrawFn) -> Coded:
    """1 to 8 bits; empty, of one value, all zero, dense, or with long gaps."""
    bits = draw(st.integers(1, 8))
    codes = draw(weights) & np.uint8((1 << bits) - 1)
    if draw(st.booleans()):
        longer = np.zeros(draw(st.integers(0, 400)), np.uint8)
        for place in draw(st.lists(st.integers(0, 399), max_size=5)):
            if place < longer.size:
                longer[place] = draw(st.integers(0, (1 << bits) - 1))
        codes = longer
    values = draw(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=(1 << bits) - 1))
    codebook = np.array([0.0, *values], np.float32)
    return Coded(codebook, np.minimum(codes, len(codebook) - 1).astype(np.uint8))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(coded_layers(), max_size=3), st.text(max_size=9), st.integers(0, 5))
def test_networks_come_back(tmp_path: Path, layers: list[Coded], said: str, count: int) -> None:
    plain = {
        "norm.bias": np.arange(count, dtype=np.float32) / 3,
        "norm.num_batches_tracked": np.array(count),
        "chosen": np.arange(count) % 2 == 0,
        "half": np.full((count, 2), np.nan, np.float16),
    }
    packed = Packed({**{str(i): layer for i, layer in enumerate(layers)}, **plain}, {"said": said})
    path = tmp_path / "random.fwc"
    write_container(packed, path)
    found = read_container(path)
    assert found.metadata == {"said": said}
    assert list(found.tensors) == list(packed.tensors)
    for name, layer in packed.coded().items():
        again = found.coded()[name]
        assert np.array_equal(again.codes, layer.codes)
        assert again.codes.shape == layer.codes.shape
        assert again.codebook.tobytes() == layer.codebook.tobytes()
    for name, array in plain.items():
        again = found.values()[name]
        assert again.dtype == array.dtype
        assert again.shape == array.shape
        assert again.tobytes() == array.tobytes()
    write_container(found, path.with_suffix(".again"))
    assert path.with_suffix(".again").read_bytes() == path.read_bytes()


def test_every_cut_and_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    data = checked(by_hand())
    path = tmp_path / "damaged.fwc"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"damaged\.fwc"):
            read_container(path)
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(WeightsError, match=r"damaged\.fwc"):
            read_container(path)


def test_a_right_checksum_proves_nothing(tmp_path: Path) -> None:
    """Each byte changed, and the checksum made to fit: read as something else, or refused."""
    data = by_hand()
    path = tmp_path / "made.fwc"
    for place in range(len(MAGIC), len(data)):
        for value in (0, 1, 255):
            changed = bytearray(data)
            changed[place] = value
            path.write_bytes(checked(bytes(changed)))
            try:
                packed = read_container(path)
            except WeightsError:
                continue
            assert packed.bytes_before <= 4 * 8 * 16 * len(data)


HUGE = 2**32 - 1
LIES = {
    "more tensors": (struct.pack("<I", 2), struct.pack("<I", HUGE)),
    "a longer text": (struct.pack("<I", 10), struct.pack("<I", HUGE)),
    "a larger layer": (struct.pack("<2I", 2, 10), struct.pack("<2I", HUGE, HUGE)),
    "more entries": (struct.pack("<BHI", 4, 2, 3), struct.pack("<BHI", 4, 2, HUGE)),
    "a larger bias": (struct.pack("<B1I", 1, 3), struct.pack("<B1I", 1, HUGE)),
    "more values": (struct.pack("<BHI", 4, 2, 3), struct.pack("<BHI", 4, 300, 3)),
    "gaps of 9 bits": (struct.pack("<BHI", 4, 2, 3), struct.pack("<BHI", 9, 2, 3)),
    "an unknown type": (b"\1" + struct.pack("<f", 1.0), b"\x63" + struct.pack("<f", 1.0)),
    "a first value": (struct.pack("<f", 0.0) + struct.pack("<f", -1.5), struct.pack("<2f", 1, 2)),
    "values that are none": (struct.pack("<f", -1.5), struct.pack("<f", float("nan"))),
    "two of a name": (struct.pack("<H1s", 1, b"b"), struct.pack("<H1s", 1, b"w")),
    "no metadata": (b'{"a": "b"}', b'["a", "b"]'),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_take_no_memory(tmp_path: Path, lie: str) -> None:
    old, new = LIES[lie]
    assert by_hand().count(old) >= 1
    path = tmp_path / "liar.fwc"
    path.write_bytes(checked(by_hand().replace(old, new, 1)))
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"damaged or cut short"):
            read_container(path)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_other_versions_and_files(tmp_path: Path) -> None:
    path = tmp_path / "new.fwc"
    path.write_bytes(checked(by_hand().replace(MAGIC + b"\1", MAGIC + b"\2")))
    with pytest.raises(WeightsError, match="of version 2, and this Flyweight reads version 1"):
        read_container(path)
    path.write_bytes(json.dumps({"a": 1}).encode())
    with pytest.raises(WeightsError, match=r"no \.fwc file"):
        read_container(path)
    with pytest.raises(WeightsError, match="No such file"):
        read_container(tmp_path / "none.fwc")
    with pytest.raises(WeightsError, match="directory"):
        read_container(tmp_path)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FlyweightError, match="complex64"):
        write_container(Packed({"x": np.zeros(2, np.complex64)}, {}), tmp_path / "x.fwc")
    with pytest.raises(FlyweightError, match="9 dimensions"):
        write_container(Packed({"x": np.zeros((1,) * 9)}, {}), tmp_path / "x.fwc")
    with pytest.raises(FlyweightError, match="can't write"):
        write_container(Packed({}, {}), tmp_path / "none" / "x.fwc")
    assert not list(tmp_path.iterdir())
