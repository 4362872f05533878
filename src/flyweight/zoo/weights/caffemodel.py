"""Tensors from a .caffemodel: Caffe's networks as protocol buffers, read here field by field.

What is read of the format (caffe.proto): a NetParameter holds layers, in field 100 or, in files
of before 2015, in field 2. A layer holds a name, a type and blobs, and a blob holds numbers with
their shape. Everything else is skipped. A file's lengths are only believed within their bounds.
"""

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flyweight.errors import WeightsError

SUFFIX = ".caffemodel"

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}

# Beyond these it is no network, and reading on could take far more memory than the file.
_MOST_BLOBS = 100_000
_MOST_DIMENSIONS = 32
_LARGEST_DIMENSION = 2**31


@dataclass(frozen=True)
class _Form:
    """The numbers of a layer's fields, and what a convolution's type is called."""

    name: int
    type: int
    blobs: int
    convolutions: tuple[bytes | int, ...]


# By the field of NetParameter that holds the layers.
_FORMS = {
    100: _Form(1, 2, 7, (b"Convolution", b"Deconvolution")),
    2: _Form(4, 5, 6, (4, 39)),
}

_LEGACY_SHAPE = (1, 2, 3, 4)
"""A blob's num, channels, height and width."""
_SHAPE = 7
_FLOATS, _DOUBLES = 5, 8


class _DamageError(Exception):
    """What is wrong with a file."""


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a .caffemodel, in single precision.

    A layer's first blob is called "LAYER.weight", its second "LAYER.bias", and further ones
    "LAYER.2" and so on, whatever the layer's type: those of a BatchNorm layer are its mean, its
    variance and the factor that both have to be divided by.

    Raises:
        WeightsError: a damaged file, or another kind of file.
    """
    try:
        with path.open("rb") as file:
            return _tensors(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except _DamageError as damage:
        raise WeightsError(
            f"{path}: damaged, cut short, or not what it seems: unreadable as a .caffemodel"
            f" ({damage})"
        ) from None
    except OSError as error:
        raise WeightsError(f"can't read {path}: {error.strerror or error}") from None


def _tensors(net: memoryview) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for number, value in _fields(net):
        if number not in _FORMS or isinstance(value, int):
            continue
        for name, tensor in _layer(value, _FORMS[number]):
            if name in found:
                raise _DamageError(f"two tensors are called {name!r}")
            _limit(len(found), _MOST_BLOBS, "tensors")
            found[name] = tensor
    return found


def _layer(layer: memoryview, form: _Form) -> Iterator[tuple[str, Tensor]]:
    name = ""
    kind: bytes | int = b""
    blobs: list[memoryview] = []
    for number, value in _fields(layer):
        if number == form.name:
            name = _text(value)
        elif number == form.type:
            kind = value if isinstance(value, int) else bytes(value)
        elif number == form.blobs and not isinstance(value, int):
            _limit(len(blobs), _MOST_BLOBS, "tensors")
            blobs.append(value)
    for index, blob in enumerate(blobs):
        leaf = ("weight", "bias", str(index))[min(index, 2)]
        key = f"{name}.{leaf}"
        values, shape, legacy = _blob(blob)
        if legacy and not (index == 0 and kind in form.convolutions):
            # Old files give everything four dimensions: a bias is 1 x 1 x 1 x n.
            shape = _without_ones(shape, keep=2 if index == 0 else 1)
        possible = values.size and all(0 < size < _LARGEST_DIMENSION for size in shape)
        if not possible or math.prod(shape) != values.size:
            raise _DamageError(f"{key!r} of shape {shape} holds {values.size} numbers")
        yield key, torch.from_numpy(values).reshape(shape)


def _without_ones(shape: tuple[int, ...], keep: int) -> tuple[int, ...]:
    while len(shape) > keep and shape[0] == 1:
        shape = shape[1:]
    return shape


def _limit(count: int, most: int, what: str) -> None:
    if count >= most:
        raise _DamageError(f"more than {most} {what}")


def _blob(blob: memoryview) -> tuple[NDArray[np.float32], tuple[int, ...], bool]:
    """A blob's numbers, its shape, and whether that is an old one of always four dimensions."""
    numbers = {_FLOATS: bytearray(), _DOUBLES: bytearray()}
    shape: tuple[int, ...] | None = None
    legacy = dict.fromkeys(_LEGACY_SHAPE, 0)
    for number, value in _fields(blob):
        if number in numbers:
            numbers[number] += _bytes(value)
        elif number == _SHAPE:
            shape = _dims(_bytes(value))
        elif number in legacy and isinstance(value, int):
            legacy[number] = value
    values = (
        _floats(numbers[_FLOATS], "<f4") if numbers[_FLOATS] else _floats(numbers[_DOUBLES], "<f8")
    )
    if shape is not None:
        return values, shape, False
    if any(legacy.values()):
        return values, tuple(legacy.values()), True
    return values, (values.size,), False


def _floats(numbers: bytearray, form: str) -> NDArray[np.float32]:
    if len(numbers) % np.dtype(form).itemsize:
        raise _DamageError("a number is cut in two")
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        return np.frombuffer(numbers, form).astype(np.float32, copy=False)


def _dims(shape: memoryview) -> tuple[int, ...]:
    """The sizes in a BlobShape, packed as they usually are or one by one."""
    sizes: list[int] = []
    for number, value in _fields(shape):
        if number != 1:
            continue
        if isinstance(value, int):
            sizes.append(value)
            continue
        position = 0
        while position < len(value):
            size, position = _varint(value, position)
            sizes.append(size)
            _limit(len(sizes), _MOST_DIMENSIONS, "dimensions")
    return tuple(sizes)


def _text(value: int | memoryview) -> str:
    try:
        return bytes(_bytes(value)).decode()
    except UnicodeDecodeError:
        raise _DamageError("a layer's name is no text") from None


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _DamageError("a number where bytes belong")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: their numbers with a whole number, or with bytes as they are."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise _DamageError("a field without a number")
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in _FIXED:
            length = _FIXED[wire]
        else:
            raise _DamageError(f"a field of unknown kind {wire}")
        if length > len(message) - position:
            raise _DamageError(f"{length} bytes announced where {len(message) - position} are left")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise _DamageError("a number is cut short")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _DamageError("a number of more than ten bytes")
