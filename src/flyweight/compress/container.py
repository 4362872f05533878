"""The .fwc file: a network's tensors, those with few values in Huffman codes.

docs/compress.md has the layout, byte by byte. Nothing that a file says of sizes is believed beyond
the bytes that are there, whether its checksum is right or not.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flyweight.compress.coded import MOST_VALUES, Coded, Codes, Packed, Plain
from flyweight.compress.encoding import DENSE, Encoded, Stream, decoded, encoded
from flyweight.compress.relative import DamageError
from flyweight.errors import FlyweightError, WeightsError
from flyweight.files import replaced

MAGIC = b"\x93FWC\r\n\x1a\n"
VERSION = 1
SUFFIX = ".fwc"
CHECKSUM = hashlib.sha256().digest_size

_CODED = 0
_TYPES = {
    1: "<f4", 2: "<f2", 3: "<f8", 4: "<i8", 5: "<i4", 6: "<i2", 7: "i1", 8: "u1", 9: "?",
}  # fmt: skip
_KINDS = {np.dtype(form): kind for kind, form in _TYPES.items()}
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, eq=False)
class Content:
    """What lies in a file, before it is decoded.

    Attributes:
        tensors: by name.
        metadata: what else the file says.
        size: of the whole file, in bytes.
    """

    tensors: Mapping[str, Encoded | Plain]
    metadata: Mapping[str, str]
    size: int


def write_container(packed: Packed, path: Path) -> int:
    """Write a file, whole or not at all.

    Returns:
        Its bytes.

    Raises:
        FlyweightError: it can't be written.
    """
    said = json.dumps(dict(packed.metadata), sort_keys=True, ensure_ascii=False).encode()
    parts = [MAGIC, struct.pack("<HHI", VERSION, 0, len(said)), said]
    parts.append(struct.pack("<I", len(packed.tensors)))
    for name, tensor in packed.tensors.items():
        parts += _written(name, tensor)
    data = b"".join(parts)
    data += hashlib.sha256(data).digest()
    with replaced(path) as temporary:
        temporary.write_bytes(data)
    return len(data)


def _written(name: str, tensor: Coded | Plain) -> list[bytes]:
    called = name.encode()
    shape = tensor.codes.shape if isinstance(tensor, Coded) else tensor.shape
    if len(shape) > _MOST_DIMENSIONS:
        raise FlyweightError(f"{name} has {len(shape)} dimensions: {_MOST_DIMENSIONS} can be kept")
    head = struct.pack(f"<H{len(called)}sB{len(shape)}I", len(called), called, len(shape), *shape)
    if isinstance(tensor, Coded):
        return [head, bytes([_CODED]), *_written_codes(encoded(tensor))]
    form = tensor.dtype.newbyteorder("<")
    if form not in _KINDS:
        raise FlyweightError(f"{name} is of type {tensor.dtype}: a {SUFFIX} file has none such")
    return [head, bytes([_KINDS[form]]), np.ascontiguousarray(tensor, form).tobytes()]


def _written_codes(one: Encoded) -> list[bytes]:
    parts = [
        struct.pack("<BHI", one.index_bits, len(one.codebook), one.entries),
        one.codebook.astype("<f4").tobytes(),
    ]
    for stream in (one.codes, one.gaps):
        if stream is not None:
            parts += [_halves(stream.lengths), struct.pack("<I", len(stream.data)), stream.data]
    return parts


def _halves(lengths: Codes) -> bytes:
    """Half a byte each, the lower half first."""
    even = np.concatenate([lengths, np.zeros(len(lengths) % 2, np.uint8)])
    halves: Codes = even[::2] | even[1::2] << 4
    return halves.tobytes()


def read_container(path: Path) -> Packed:
    """The tensors of a file.

    Raises:
        WeightsError: no such file, another kind of file, a damaged one, or one of a later version.
    """
    content = read_content(path)
    tensors: dict[str, Coded | Plain] = {}
    for name, one in content.tensors.items():
        try:
            tensors[name] = decoded(one) if isinstance(one, Encoded) else one
        except DamageError as damage:
            raise _damaged(path, f"{name}: {damage}") from None
    return Packed(tensors, content.metadata)


def read_content(path: Path) -> Content:
    """What lies in a file, without decoding it.

    Raises:
        WeightsError: as for `read_container`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"can't read {path}: {error.strerror or error}") from None
    if not data.startswith(MAGIC):
        raise WeightsError(f"{path} is no {SUFFIX} file: it begins with {data[:8]!r}")
    reader = _Reader(data[:-CHECKSUM], len(MAGIC))
    try:
        version, _ = reader.numbers("<HH")
        if version != VERSION:
            raise WeightsError(
                f"{path} is of version {version}, and this Flyweight reads version {VERSION}"
            )
        if hashlib.sha256(data[:-CHECKSUM]).digest() != data[-CHECKSUM:]:
            raise DamageError("its checksum doesn't fit")
        return _content(reader, len(data))
    except DamageError as damage:
        raise _damaged(path, str(damage)) from None


def _damaged(path: Path, reason: str) -> WeightsError:
    return WeightsError(f"{path}: damaged or cut short: {reason}")


class _Reader:
    """Takes bytes from the front, and never more than there are."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise DamageError(f"{count} bytes are wanted where {len(self._data) - self._at} are left")  # fmt: skip  # noqa: E501
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def text(self, count: int) -> str:
        try:
            return self.take(count).decode()
        except UnicodeDecodeError:
            raise DamageError("a text in it is none") from None

    def lengths(self, kinds: int) -> Codes:
        halves = np.frombuffer(self.take(-(-kinds // 2)), np.uint8)
        return np.stack([halves & 15, halves >> 4], 1).reshape(-1)[:kinds]

    def stream(self, kinds: int) -> Stream:
        lengths = self.lengths(kinds)
        (count,) = self.numbers("<I")
        return Stream(lengths, self.take(count))

    def done(self) -> bool:
        return self._at == len(self._data)


def _content(reader: _Reader, size: int) -> Content:
    (count,) = reader.numbers("<I")
    metadata = _metadata(reader.text(count))
    (count,) = reader.numbers("<I")
    tensors: dict[str, Encoded | Plain] = {}
    for _ in range(count):  # each takes bytes: a false count ends the file, not the memory
        name, tensor = _tensor(reader)
        if name in tensors:
            raise DamageError(f"two tensors are called {name!r}")
        tensors[name] = tensor
    if not reader.done():
        raise DamageError("there are bytes behind its end")
    return Content(tensors, metadata, size)


def _metadata(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise DamageError("its metadata are no texts by name")
    return found


def _tensor(reader: _Reader) -> tuple[str, Encoded | Plain]:
    (length,) = reader.numbers("<H")
    name = reader.text(length)
    (dimensions,) = reader.numbers("<B")
    if dimensions > _MOST_DIMENSIONS:
        raise DamageError(f"{name} has {dimensions} dimensions")
    shape = reader.numbers(f"<{dimensions}I")
    (kind,) = reader.numbers("<B")
    if kind == _CODED:
        return name, _codes(reader, name, shape)
    if kind not in _TYPES:
        raise DamageError(f"{name} is of the unknown type {kind}")
    form, count = np.dtype(_TYPES[kind]), 1
    for side in shape:
        count *= side
    return name, np.frombuffer(reader.take(count * form.itemsize), form).reshape(shape)


def _codes(reader: _Reader, name: str, shape: tuple[int, ...]) -> Encoded:
    index_bits, values, entries = reader.numbers("<BHI")
    if index_bits > 8 or not 1 <= values <= MOST_VALUES:
        raise DamageError(f"{name} has gaps of {index_bits} bits and {values} values")
    codebook = np.frombuffer(reader.take(4 * values), "<f4").astype(np.float32)
    if codebook[0] != 0 or not np.isfinite(codebook).all():
        raise DamageError(f"{name}: its values don't begin with 0, or aren't finite")
    codes = reader.stream(values)
    gaps = None if index_bits == DENSE else reader.stream(1 << index_bits)
    return Encoded(shape, codebook, index_bits, entries, codes, gaps)
