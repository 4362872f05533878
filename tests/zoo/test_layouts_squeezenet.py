"""Weights of SqueezeNet's and SqueezeNext's layouts give the logits of the layouts' own code.

The references are written from torchvision's module names and from the authors' network files, on
`torch.nn.functional` alone.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from flyweight import create_model
from flyweight.errors import WeightsError
from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights import load_pretrained, load_weights
from tests.zoo.reference_layouts import Names, weights_and_logits

FIRES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]


def biased(p: Names, x: Tensor, name: str, out: int, kernel: int = 1, stride: int = 1) -> Tensor:
    """Convolution with bias and ReLU; only a 3x3 one at stride 1 is padded."""
    fan = x.shape[1] * kernel * kernel
    weight = p.kernel(f"{name}.weight", (out, x.shape[1], kernel, kernel), fan)
    bias = p.uniform(f"{name}.bias", (out,), -0.3, 0.3)
    return F.relu(F.conv2d(x, weight, bias, stride, padding=int(kernel == 3 and stride == 1)))


def pooled(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def torchvision_squeezenet(p: Names, x: Tensor, version: str) -> Tensor:
    channels, kernel, positions = {
        "1_0": (96, 7, (3, 4, 5, 7, 8, 9, 10, 12)),
        "1_1": (64, 3, (3, 4, 6, 7, 9, 10, 11, 12)),
    }[version]
    x = biased(p, x, "features.0", channels, kernel, 2)
    before = 1  # the ReLU after the first convolution
    for position, (squeeze, expand) in zip(positions, FIRES, strict=True):
        if position - before > 1:
            x = pooled(x)
        before = position
        s = biased(p, x, f"features.{position}.squeeze", squeeze)
        one = biased(p, s, f"features.{position}.expand1x1", expand)
        x = torch.cat((one, biased(p, s, f"features.{position}.expand3x3", expand, 3)), 1)
    return biased(p, x, "classifier.1", 1000).mean((2, 3))


def caffe_squeezenet(p: Names, x: Tensor, version: str) -> Tensor:
    channels, kernel, pools = {"1_0": (96, 7, (4, 8)), "1_1": (64, 3, (3, 5))}[version]
    x = pooled(biased(p, x, "conv1", channels, kernel, 2))
    for number, (squeeze, expand) in enumerate(FIRES, start=2):
        s = biased(p, x, f"fire{number}/squeeze1x1", squeeze)
        one = biased(p, s, f"fire{number}/expand1x1", expand)
        x = torch.cat((one, biased(p, s, f"fire{number}/expand3x3", expand, 3)), 1)
        x = pooled(x) if number in pools else x
    return biased(p, x, "conv10", 1000).mean((2, 3))


def numbered(
    p: Names, number: Iterator[int], x: Tensor, out: int, sides: tuple[int, int] = (1, 1),
    stride: int = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The layers ConvolutionN, BatchNormN, ScaleN, and ReLU."""
    n = next(number)
    fan = x.shape[1] // groups
    weight = p.kernel(f"Convolution{n}.weight", (out, fan, *sides), fan * math.prod(sides))
    padding = (sides[0] // 2, sides[1] // 2) if sides[0] != sides[1] else 0
    x = F.conv2d(x, weight, None, stride, padding, groups=groups)
    factor = p.uniform(f"BatchNorm{n}.2", (1,), 500, 1000)
    # Caffe keeps sums that grow with the factor.
    if f"BatchNorm{n}.weight" not in p:
        p[f"BatchNorm{n}.weight"] = p.uniform("mean", (out,), -0.3, 0.3) * factor
        p[f"BatchNorm{n}.bias"] = p.uniform("variance", (out,), 0.5, 2.0) * factor
        del p["mean"], p["variance"]
    mean, variance = (p[f"BatchNorm{n}.{leaf}"] / factor for leaf in ("weight", "bias"))
    x = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-5)
    scale = p.uniform(f"Scale{n}.weight", (out,), 0.5, 1.5)
    return F.relu(
        x * scale[:, None, None] + p.uniform(f"Scale{n}.bias", (out,), -0.3, 0.3)[:, None, None]
    )


def caffe_squeezenext(
    p: Names, x: Tensor, stem: int, depths: tuple[int, ...], series: bool, groups: int
) -> Tensor:
    number = count(1)
    conv = partial(numbered, p, number)
    x = pooled(conv(x, 64, (stem, stem), 2))
    blocks = count()
    for stage, depth in enumerate(depths):
        out = 32 * 2**stage
        for index in range(depth):
            stride = 2 if index == 0 and stage > 0 else 1
            shortcut = conv(x, out, (1, 1), stride) if index == 0 else x
            if series and index == 0:
                x, stride = shortcut, 1
            y = conv(x, out // 2, (1, 1), stride, groups)
            y = conv(y, out // 4)
            sides = ((3, 1), (1, 3)) if next(blocks) % 2 == 0 else ((1, 3), (3, 1))
            y = conv(y, out // 2, sides[0], 1, groups)
            y = conv(y, out // 2, sides[1], 1, groups)
            x = F.relu(shortcut + conv(y, out))
    x = conv(x, 128).mean((2, 3))
    return x @ p.kernel("fc1000.weight", (1000, 128), 128).T


V1 = partial(caffe_squeezenext, stem=7, depths=(6, 6, 8, 1), series=False)
V5 = partial(caffe_squeezenext, stem=5, depths=(2, 4, 14, 1), series=True, groups=1)

CASES: dict[str, tuple[str, Callable[[Names, Tensor], Tensor]]] = {
    "squeezenet_1_0 torchvision": (
        "torchvision SqueezeNet", partial(torchvision_squeezenet, version="1_0"),
    ),
    "squeezenet_1_1 torchvision": (
        "torchvision SqueezeNet", partial(torchvision_squeezenet, version="1_1"),
    ),
    "squeezenet_1_0 caffe": ("Caffe SqueezeNet", partial(caffe_squeezenet, version="1_0")),
    "squeezenet_1_1 caffe": ("Caffe SqueezeNet", partial(caffe_squeezenet, version="1_1")),
    "squeezenext_x1_0_23": ("Caffe SqueezeNext", partial(V1, groups=1)),
    "squeezenext_x1_0_23_g": ("Caffe SqueezeNext", partial(V1, groups=2)),
    "squeezenext_x1_0_23_v5": ("Caffe SqueezeNext", V5),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_converted_weights_give_the_layouts_own_logits(case: str, tmp_path: Path) -> None:
    name = case.partition(" ")[0]
    layout, forward = CASES[case]
    tensors, x, expected = weights_and_logits(forward)
    file = tmp_path / "weights.safetensors"
    save_file(dict(tensors), file)
    assert expected.std() > 0.01

    model = create_model(name).eval()
    loaded = load_weights(model, file)
    pretrained = load_pretrained(name, file)

    assert loaded.layout == pretrained.loaded.layout == layout
    assert loaded.fresh == loaded.unused == ()
    for network in (model, pretrained.model):
        with torch.inference_mode():
            logits = network(x)
        assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()
    preprocessing = loaded.preprocessing
    if layout.startswith("Caffe"):
        assert (preprocessing.colour, preprocessing.scale) == ("BGR", 255)
        assert (preprocessing.crop, preprocessing.mean) == (227, (104, 117, 123))
    else:
        assert preprocessing == IMAGENET


def test_half_precision_is_read(tmp_path: Path) -> None:
    """As weights for ncnn have it: kernels in 16 bits, biases in 32."""
    tensors, x, _ = weights_and_logits(partial(caffe_squeezenet, version="1_1"))
    half = {key: value.half() if value.dim() > 1 else value for key, value in tensors.items()}
    file = tmp_path / "weights.safetensors"
    save_file(half, file)
    full = Names(0)
    full.update({key: value.float() for key, value in half.items()})
    with torch.inference_mode():
        expected = caffe_squeezenet(full, x, "1_1")
        logits = load_pretrained("squeezenet_1_1", file).model(x)
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_statistics_of_an_untrained_caffe_network_are_zero(tmp_path: Path) -> None:
    tensors, *_ = weights_and_logits(V5)
    for leaf in ("weight", "bias", "2"):
        tensors[f"BatchNorm1.{leaf}"] = torch.zeros_like(tensors[f"BatchNorm1.{leaf}"])
    file = tmp_path / "weights.safetensors"
    save_file(dict(tensors), file)
    model = load_pretrained("squeezenext_x1_0_23_v5", file).model
    assert not model.state_dict()["stages.stem.0.norm.running_var"].any()


@pytest.mark.parametrize(
    ("of", "into", "says"),
    [
        ("squeezenet_1_0 caffe", "squeezenet_1_1", "belong to create_model('squeezenet_1_0')"),
        ("squeezenet_1_1 caffe", "squeezenet_1_0", "belong to create_model('squeezenet_1_1')"),
        (
            "squeezenet_1_0 caffe",
            "squeezenet_1_0_simple_bypass",
            "belong to create_model('squeezenet_1_0'), not to squeezenet_1_0_simple_bypass, which"
            " has bypass='simple'",
        ),
        (
            "squeezenext_x1_0_23",
            "squeezenext_x1_0_23_v5",
            "belong to create_model('squeezenext_x1_0_23')",
        ),
        (
            "squeezenext_x1_0_23_v5",
            "squeezenext_x1_0_23",
            "belong to create_model('squeezenext_x1_0_23_v5')",
        ),
    ],
)
def test_weights_for_another_network_say_so(of: str, into: str, says: str, tmp_path: Path) -> None:
    tensors, *_ = weights_and_logits(CASES[of][1])
    file = tmp_path / "weights.safetensors"
    save_file(dict(tensors), file)
    with pytest.raises(WeightsError) as error:
        load_weights(create_model(into), file)
    assert says in str(error.value)
