"""Caffe's files: what is read of them, written here byte by byte, and what isn't believed."""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from flyweight.errors import WeightsError
from flyweight.zoo.weights import load_pretrained, read_tensors
from tests.data_dir import DATA, needs_data


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field * 8) + varint(value)


def string(field: int, value: bytes) -> bytes:
    return varint(field * 8 + 2) + varint(len(value)) + value


def blob(
    values: Iterable[float], shape: Iterable[int], legacy: bool = False, double: bool = False
) -> bytes:
    field, code = (8, "d") if double else (5, "f")
    numbers = string(field, b"".join(struct.pack("<" + code, value) for value in values))
    if not legacy:
        return numbers + string(7, string(1, b"".join(map(varint, shape))))
    four = [1] * (4 - len(list(shape))) + list(shape)
    return b"".join(number(index, size) for index, size in enumerate(four, start=1)) + numbers


def layer(name: str, blobs: Iterable[bytes], old: bool = False, kind: str = "Convolution") -> bytes:
    """A layer with neighbours that a reader has to skip: bottoms, tops, parameters, a phase."""
    if old:
        kinds = {"Convolution": 4, "InnerProduct": 14}
        inside = string(2, b"data") + string(4, name.encode()) + number(5, kinds[kind])
        inside += b"".join(string(6, one) for one in blobs) + varint(7 * 8 + 5) + b"\0\0\x80\x3f"
        return string(2, inside)
    inside = string(1, name.encode()) + string(2, kind.encode()) + string(3, b"data")
    inside += number(10, 1) + string(106, number(1, 96))
    return string(100, inside + b"".join(string(7, one) for one in blobs))


def net(*layers: bytes) -> bytes:
    return string(1, b"a network") + string(3, b"data") + number(5, 1) + b"".join(layers)


def read(content: bytes, folder: Path) -> dict[str, Tensor]:
    file = folder / "net.caffemodel"
    file.write_bytes(content)
    return read_tensors(file)[0]


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(
    shapes=st.lists(SHAPES, min_size=1, max_size=4),
    old=st.booleans(),
    double=st.booleans(),
    seed=st.integers(0, 99),
)
def test_tensors_come_back(
    shapes: list[list[int]],
    old: bool,
    double: bool,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    generator = np.random.default_rng(seed)
    arrays = [generator.standard_normal(shape, np.float32) for shape in shapes]
    blobs = [blob(array.ravel(), array.shape, double=double) for array in arrays]
    names = ["a/b.weight", "a/b.bias", "a/b.2", "a/b.3"][: len(arrays)]
    found = read(net(layer("data", []), layer("a/b", blobs, old)), tmp_path_factory.mktemp("c"))
    assert list(found) == names
    for array, tensor in zip(arrays, found.values(), strict=True):
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, torch.from_numpy(array))


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize(
    ("kind", "weight"),
    [
        ("Convolution", (4, 3, 2, 2)),
        ("Convolution", (1, 1, 3, 3)),
        ("InnerProduct", (5, 7)),
        ("InnerProduct", (1, 7)),
    ],
)
def test_shapes_of_four_dimensions_become_what_they_mean(
    old: bool, kind: str, weight: tuple[int, ...], tmp_path: Path
) -> None:
    weights = blob(np.arange(np.prod(weight)), weight, legacy=True)
    biases = blob(range(weight[0]), [weight[0]], legacy=True)
    found = read(net(layer("one", [weights, biases], old, kind)), tmp_path)
    assert found["one.weight"].shape == weight
    assert found["one.bias"].shape == weight[:1]
    assert torch.equal(found["one.weight"].flatten(), torch.arange(float(np.prod(weight))))


def test_numbers_and_sizes_that_are_not_packed(tmp_path: Path) -> None:
    values = b"".join(varint(5 * 8 + 5) + struct.pack("<f", value) for value in (1.5, -2.0))
    shape = string(7, number(1, 1) + number(1, 2))
    found = read(net(layer("one", [values + shape])), tmp_path)
    assert torch.equal(found["one.weight"], torch.tensor([[1.5, -2.0]]))


def test_a_file_cut_short_anywhere_gives_an_error_or_fewer_layers(tmp_path: Path) -> None:
    whole = net(
        layer("first", [blob(range(6), (2, 3)), blob((1, 2), (2,))]),
        layer("second", [blob(range(4), (2, 2), legacy=True)], old=True),
    )
    complete = read(whole, tmp_path)
    assert list(complete) == ["first.weight", "first.bias", "second.weight"]
    for length in range(1, len(whole)):
        try:
            found = read(whole[:length], tmp_path)
        except WeightsError:
            continue
        assert list(found) == ["first.weight", "first.bias"]


@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_damaged_byte_never_crashes(
    position: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(net(layer("one", [blob(range(6), (2, 3)), blob((1, 2), (2,))])))
    content[position % len(content)] = value
    try:
        found = read(bytes(content), tmp_path_factory.mktemp("c"))
    except WeightsError:
        return
    assert sum(tensor.numel() for tensor in found.values()) <= len(content) / 4


HUGE = 2**40
DAMAGED: Mapping[str, tuple[bytes, str]] = {
    "other words": (b"Not a network at all, but some text.", "unreadable as a .caffemodel"),
    "no layers": (net(), "holds no tensors"),
    "shape too large": (
        net(layer("one", [blob((1, 2), (HUGE, HUGE))])),
        "'one.weight' of shape (1099511627776, 1099511627776) holds 2 numbers",
    ),
    "shape of another size": (net(layer("one", [blob((1, 2), (3,))])), "of shape (3,) holds 2"),
    "shape without numbers": (net(layer("one", [blob((), (3,))])), "of shape (3,) holds 0"),
    "shape of nothing": (net(layer("one", [blob((), (0,))])), "of shape (0,) holds 0"),
    "no shape, no numbers": (net(layer("one", [b""])), "holds 0 numbers"),
    "endless dimensions": (
        net(layer("one", [string(5, b"\0" * 4) + string(7, string(1, b"\1" * 40))])),
        "more than 32 dimensions",
    ),
    "half a number": (net(layer("one", [string(5, b"\0" * 6)])), "a number is cut in two"),
    "half a double": (net(layer("one", [string(8, b"\0" * 12)])), "a number is cut in two"),
    "length beyond the end": (varint(100 * 8 + 2) + varint(HUGE) + b"\0", "announced where 1"),
    "number without end": (b"\xff" * 11, "more than ten bytes"),
    "unknown kind of field": (varint(1 * 8 + 3), "unknown kind 3"),
    "field without number": (b"\0\0", "a field without a number"),
    "name that is no text": (net(string(100, string(1, b"\xff"))), "a layer's name is no text"),
    "name that is a number": (net(string(100, number(1, 3))), "a number where bytes belong"),
    "two layers of one name": (
        net(*[layer("one", [blob((1,), (1,))])] * 2), "two tensors are called 'one.weight'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_gets_one_clear_line(case: str, tmp_path: Path) -> None:
    content, words = DAMAGED[case]
    with pytest.raises(WeightsError) as error:
        read(content, tmp_path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_tensors(tmp_path / "none.caffemodel")
    with pytest.raises(WeightsError, match="it is empty"):
        read(b"", tmp_path)


@needs_data
@pytest.mark.parametrize("old", [True, False])
def test_squeezenet_from_a_caffemodel_is_squeezenet(old: bool, tmp_path: Path) -> None:
    plain = DATA / "weights" / "squeezenet1_0_deepcompression.safetensors"
    tensors = load_file(plain)
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    layers = []
    for name in names:
        blobs = [
            blob_of(tensors[key], legacy=old)
            for key in (f"{name}.weight", f"{name}.bias")
            if key in tensors
        ]
        layers.append(layer(name, blobs, old))
    file = tmp_path / "squeezenet_v1.0.caffemodel"
    file.write_bytes(net(*layers))
    ours, same = (load_pretrained("squeezenet_1_0", path) for path in (file, plain))
    image = torch.rand(1, 3, 227, 227, generator=torch.Generator().manual_seed(0)) * 255 - 110
    with torch.inference_mode():
        assert torch.equal(ours.model(image), same.model(image))
    assert ours.loaded == same.loaded


def blob_of(tensor: Tensor, legacy: bool) -> bytes:
    """Fast for large ones."""
    packed = blob((), tensor.shape, legacy)
    empty = string(5, b"")
    values = tensor.numpy().astype("<f4").tobytes()
    assert packed.count(empty) == 1
    return packed.replace(empty, string(5, values))
