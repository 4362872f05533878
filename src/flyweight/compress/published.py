"""The stream in which SqueezeNet's authors published it compressed: read, and written again.

Layout (from the authors' decoder): how many entries each of the 26 layers has; then for each layer
256 values, the biases, a byte for each entry's code, and half a byte for each gap, the low half
first. There is no header, no checksum and no Huffman coding.
"""

from pathlib import Path

import numpy as np

from flyweight.compress.coded import Coded, Codes, Packed, Plain
from flyweight.compress.relative import (
    INDEX_BITS,
    DamageError,
    absolute,
    pack,
    packed_bytes,
    relative,
    unpack,
)
from flyweight.errors import FlyweightError, WeightsError
from flyweight.files import replaced
from flyweight.zoo.weights.own import metadata_of
from flyweight.zoo.weights.squeezenet import CAFFE
from flyweight.zoo.weights.variants import outline

NETWORK = "squeezenet_1_0"
SUFFIX = ".net"
_VALUES = 256
_BITS = 8


def _layers() -> dict[str, tuple[int, ...]]:
    """The convolutions' weights in their order, which is Caffe's, and their shapes."""
    state = outline(NETWORK, {}).state_dict()
    return {
        name.removesuffix(".weight"): tuple(tensor.shape)
        for name, tensor in state.items()
        if name.endswith(".weight")
    }


def read_published(path: Path) -> Packed:
    """SqueezeNet's tensors, under the names that the network has here.

    Raises:
        WeightsError: no such file, or not SqueezeNet 1.0's stream.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"can't read {path}: {error.strerror or error}") from None
    try:
        return Packed(_tensors(data), metadata_of(NETWORK, {}, CAFFE))
    except DamageError as damage:
        raise WeightsError(
            f"{path} is not SqueezeNet 1.0's compressed stream, or damaged: {damage}"
        ) from None


def _tensors(data: bytes) -> dict[str, Coded | Plain]:
    layers = _layers()
    head = 4 * len(layers)
    if len(data) < head:
        raise DamageError(f"it has {len(data)} bytes")
    counts = np.frombuffer(data[:head], "<u4").tolist()
    sizes = [
        4 * (_VALUES + shape[0]) + packed_bytes(_BITS, count) + packed_bytes(INDEX_BITS, count)
        for count, shape in zip(counts, layers.values(), strict=True)
    ]
    if head + sum(sizes) != len(data):
        raise DamageError(f"its counts ask for {head + sum(sizes)} bytes, and it has {len(data)}")
    tensors: dict[str, Coded | Plain] = {}
    at = head
    for (name, shape), count, size in zip(layers.items(), counts, sizes, strict=True):
        layer = data[at : at + size]
        at += size
        floats = np.frombuffer(layer[: 4 * (_VALUES + shape[0])], "<f4").astype(np.float32)
        codes, gaps = layer[floats.nbytes :][:count], layer[floats.nbytes + count :]
        flat = absolute(
            np.frombuffer(codes, np.uint8), unpack(gaps, INDEX_BITS, count), int(np.prod(shape))
        )
        codebook, bias = floats[:_VALUES], floats[_VALUES:]
        if codebook[0] != 0 or not np.isfinite(floats).all():
            raise DamageError(f"the values of {name} don't begin with 0, or aren't finite")
        tensors[f"{name}.weight"] = Coded(codebook, flat.reshape(shape))
        tensors[f"{name}.bias"] = bias
    return tensors


def write_published(packed: Packed, path: Path) -> int:
    """Write SqueezeNet 1.0 as its authors did.

    Returns:
        The file's bytes.

    Raises:
        FlyweightError: tensors of another network, or a file that can't be written.
    """
    counts: list[int] = []
    parts: list[bytes] = []
    for name, shape in _layers().items():
        weight, bias = packed.tensors.get(f"{name}.weight"), packed.tensors.get(f"{name}.bias")
        if not isinstance(weight, Coded) or weight.codes.shape != shape:
            raise _not_squeezenet(path, f"{name}.weight")
        if isinstance(bias, Coded) or bias is None or bias.shape != shape[:1]:
            raise _not_squeezenet(path, f"{name}.bias")
        entries, gaps = relative(weight.codes.reshape(-1), INDEX_BITS)
        counts.append(len(entries))
        parts += [_floats(weight), bias.astype("<f4").tobytes(), *_streams(entries, gaps)]
    if len(packed.tensors) != 2 * len(counts):
        raise _not_squeezenet(path, "further tensors")
    data = np.array(counts, "<u4").tobytes() + b"".join(parts)
    with replaced(path) as temporary:
        temporary.write_bytes(data)
    return len(data)


def _floats(weight: Coded) -> bytes:
    codebook = np.zeros(_VALUES, "<f4")
    codebook[: len(weight.codebook)] = weight.codebook
    return codebook.tobytes()


def _streams(entries: Codes, gaps: Codes) -> tuple[bytes, bytes]:
    return entries.tobytes(), pack(gaps, INDEX_BITS)


def _not_squeezenet(path: Path, what: str) -> FlyweightError:
    return FlyweightError(
        f"can't write {path}: a {SUFFIX} file holds SqueezeNet 1.0 with shared weights alone, and"
        f" {what} doesn't fit it"
    )
