"""SqueezeNet as its authors published it compressed: read, written, and put into Huffman codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from flyweight.cli.app import run
from flyweight.compress import (
    Coded,
    Packed,
    read_container,
    read_published,
    write_container,
    write_published,
)
from flyweight.compress.relative import entropy, relative
from flyweight.errors import FlyweightError, WeightsError
from flyweight.zoo import create_model
from flyweight.zoo.weights import load_pretrained
from tests.data_dir import shared

# What SqueezeNet's Table 1 says is left of each kind of layer, as counted in the stream.
KEPT = {
    "fire9.expand3x3": 0.30,
    "fire8.expand3x3": 0.30,
    "fire3.expand3x3": 0.33,
    "classifier": 0.2,
}


def stream() -> Path:
    return shared("data/weights/compressed_SqueezeNet.net")


def test_it_is_written_as_it_was(tmp_path: Path) -> None:
    packed = read_published(stream())
    assert write_published(packed, tmp_path / "again.net") == 675_763
    assert (tmp_path / "again.net").read_bytes() == stream().read_bytes()


def test_its_weights_are_those_that_others_decoded() -> None:
    packed = read_published(stream())
    theirs = load_file(shared("data/weights/squeezenet1_0_deepcompression.safetensors"))
    ours = packed.values()
    assert len(ours) == len(theirs) == 52
    for ours_, theirs_ in zip(ours.values(), theirs.values(), strict=False):
        assert ours_.dtype == theirs_.dtype
    by_shape = sorted(ours.values(), key=lambda one: (one.shape, one.tobytes()))
    for one, other in zip(
        by_shape, sorted(theirs.values(), key=lambda one: (one.shape, one.tobytes())), strict=True
    ):
        assert np.array_equal(one, other)


def test_what_is_in_it() -> None:
    coded = read_published(stream()).coded()
    assert sum(one.codes.size for one in coded.values()) == 1_244_448
    assert sum(int(np.count_nonzero(one.codes)) for one in coded.values()) == 415_921
    assert sum(len(relative(one.codes.reshape(-1))[0]) for one in coded.values()) == 422_083
    assert all(one.bits == 8 for one in coded.values())
    for part, density in KEPT.items():
        (layer,) = [one for name, one in coded.items() if part in name]
        assert layer.density == pytest.approx(density, abs=0.005)


def test_huffman_codes_on_top(tmp_path: Path) -> None:
    """Shorter than 556 kB, which Huffman codes of its codes and gaps would take; all comes back."""
    packed = read_published(stream())
    size = write_container(packed, tmp_path / "squeezenet.fwc")
    bits = 0.0
    for one in packed.coded().values():
        entries, gaps = relative(one.codes.reshape(-1))
        bits += len(entries) * (entropy(entries) + entropy(gaps))
    plain = sum(one.nbytes for one in packed.values().values() if one.ndim == 1)
    books = sum(one.codebook.nbytes for one in packed.coded().values())
    assert size < 556_000
    assert size < 1.02 * (bits / 8 + plain + books)
    write_published(read_container(tmp_path / "squeezenet.fwc"), tmp_path / "back.net")
    assert (tmp_path / "back.net").read_bytes() == stream().read_bytes()


def test_the_network_runs_with_it(tmp_path: Path) -> None:
    fwc, plain = str(tmp_path / "sq.fwc"), str(tmp_path / "sq.safetensors")
    assert run(["compress", "squeezenet_1_0", "--weights", str(stream()), "--out", fwc]) == 0
    assert run(["decompress", fwc, "--out", plain]) == 0
    ours = load_pretrained("squeezenet_1_0", plain)
    theirs = load_pretrained(
        "squeezenet_1_0", shared("data/weights/squeezenet1_0_deepcompression.safetensors")
    )
    assert ours.loaded.preprocessing == theirs.loaded.preprocessing
    for key, tensor in theirs.model.state_dict().items():
        assert tensor.equal(ours.model.state_dict()[key]), key


def test_it_is_inspected(capsys: pytest.CaptureFixture[str]) -> None:
    """Entries of 12 bits; the 26 counts at its head are all that isn't a tensor's."""
    assert run(["compress", "--inspect", str(stream()), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    layers = [one for one in found["tensors"] if one["bits"] is not None]
    assert len(layers) == 26
    assert sum(one["entries"] for one in layers) == sum(one["codes"] for one in layers) == 422_083
    assert sum(one["after"] for one in found["tensors"]) + 4 * 26 == found["bytes"] == 675_763
    assert run(["compress", "--inspect", str(stream())]) == 0
    assert "33.4% of 1,244,448 weights" in capsys.readouterr().out


def test_damaged_streams(tmp_path: Path) -> None:
    data = stream().read_bytes()
    path = tmp_path / "damaged.net"
    for damaged in (b"", data[:50], data[:-1], data + b"\0", b"\xff" * 4 + data[4:]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="not SqueezeNet"):
            read_published(path)
    # A gap in the last layer that leads behind its end.
    path.write_bytes(data[:-40_000] + b"\xff" * 40_000)
    with pytest.raises(WeightsError, match="reach weight"):
        read_published(path)


def test_other_networks_have_no_such_stream(tmp_path: Path) -> None:
    state = create_model("squeezenet_1_1").state_dict()
    packed = Packed(
        {
            name: Coded(np.zeros(2, np.float32), np.zeros(tuple(one.shape), np.uint8))
            if one.ndim > 1
            else one.numpy()
            for name, one in state.items()
        },
        {},
    )
    with pytest.raises(FlyweightError, match=r"SqueezeNet 1\.0 with shared weights alone"):
        write_published(packed, tmp_path / "other.net")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "squares", "count", "top1", "top5"),
    [
        ("imagenet_val1300_227", "none", 1300, 929, 1181),
        ("imagenet_sample_1000_s256", "crop", 1000, 619, 833),
    ],
)
def test_its_accuracy(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    images: str,
    squares: str,
    count: int,
    top1: int,
    top5: int,
) -> None:
    """As many right as the data's README has, of weights that went through Huffman codes."""
    fwc, weights = str(tmp_path / "sq.fwc"), str(tmp_path / "sq.safetensors")
    assert run(["compress", "squeezenet_1_0", "--weights", str(stream()), "--out", fwc]) == 0
    assert run(["decompress", fwc, "--out", weights]) == 0
    data = stream().parents[1] / images
    labels = data.with_suffix(".txt")
    capsys.readouterr()
    code = run([
        "evaluate", "squeezenet_1_0", "--weights", weights, "--data", str(data), "--resize",
        squares, *(["--labels", str(labels)] if labels.is_file() else []),
    ])  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0
    assert f"{top1} of {count} right" in said
    assert f"{top5} of {count} right" in said
