"""torchvision's GoogLeNet and Inception V3, which have much in common: both come from TensorFlow.

The networks are written out from the layouts' descriptions, with torchvision's names.
"""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights import load_pretrained
from flyweight.zoo.weights.recognising import LAYOUTS
from tests.zoo.reference_layouts import Names, linear, weights_and_logits


def conv(
    p: Names,
    x: Tensor,
    name: str,
    out: int,
    kernel: tuple[int, int] = (1, 1),
    stride: int = 1,
    padding: tuple[int, int] | None = None,
) -> Tensor:
    """Convolution, batch norm with an epsilon of 0.001, ReLU; padded to the same size or not."""
    fan = x.shape[1] * kernel[0] * kernel[1]
    weight = p.kernel(f"{name}.conv.weight", (out, x.shape[1], *kernel), fan)
    if padding is None:
        padding = (kernel[0] // 2, kernel[1] // 2)
    x = F.conv2d(x, weight, stride=stride, padding=padding)
    p.setdefault(f"{name}.bn.num_batches_tracked", torch.tensor(1234))
    # Small variances, so that the epsilon matters.
    x = F.batch_norm(
        x,
        p.uniform(f"{name}.bn.running_mean", (out,), -0.3, 0.3),
        p.uniform(f"{name}.bn.running_var", (out,), 0.01, 2.0),
        p.uniform(f"{name}.bn.weight", (out,), 0.3, 1.0),
        p.uniform(f"{name}.bn.bias", (out,), -0.3, 0.3),
        eps=0.001,
    )
    return F.relu(x)


GOOGLENET = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(p: Names, x: Tensor) -> Tensor:
    x = conv(p, x, "conv1", 64, (7, 7), 2)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = conv(p, conv(p, x, "conv2", 64), "conv3", 192, (3, 3))
    for module, (one, reduce3, three, reduce5, five, pool) in GOOGLENET.items():
        if module == "5a":
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        elif module in ("3a", "4a"):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        name = f"inception{module}"
        second = conv(p, x, f"{name}.branch2.0", reduce3)
        third = conv(p, x, f"{name}.branch3.0", reduce5)
        x = torch.cat(
            (
                conv(p, x, f"{name}.branch1", one),
                conv(p, second, f"{name}.branch2.1", three, (3, 3)),
                conv(p, third, f"{name}.branch3.1", five, (3, 3)),
                conv(p, F.max_pool2d(x, 3, 1, 1), f"{name}.branch4.1", pool),
            ),
            1,
        )
    return linear(p, x.mean((2, 3)), "fc")


def inception_v3(p: Names, x: Tensor) -> Tensor:
    valid = (0, 0)

    def chain(x: Tensor, name: str, *rows: tuple[int, tuple[int, int]], last: int = 1) -> Tensor:
        """Convolutions numbered from 1; the last one may have stride 2, and then no padding."""
        for number, (out, kernel) in enumerate(rows, start=1):
            stride = last if number == len(rows) else 1
            padding = valid if stride == 2 else None
            x = conv(p, x, f"{name}_{number}", out, kernel, stride, padding)
        return x

    def pooled(x: Tensor, name: str, out: int) -> Tensor:
        return conv(p, F.avg_pool2d(x, 3, 1, 1), f"{name}.branch_pool", out)

    x = conv(p, x, "Conv2d_1a_3x3", 32, (3, 3), 2, valid)
    x = conv(p, x, "Conv2d_2a_3x3", 32, (3, 3), 1, valid)
    x = conv(p, x, "Conv2d_2b_3x3", 64, (3, 3))
    x = conv(p, F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1", 80)
    x = conv(p, x, "Conv2d_4a_3x3", 192, (3, 3), 1, valid)
    x = F.max_pool2d(x, 3, 2)
    for letter, pool in (("b", 32), ("c", 64), ("d", 64)):
        name = f"Mixed_5{letter}"
        x = torch.cat(
            (
                conv(p, x, f"{name}.branch1x1", 64),
                chain(x, f"{name}.branch5x5", (48, (1, 1)), (64, (5, 5))),
                chain(x, f"{name}.branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
                pooled(x, name, pool),
            ),
            1,
        )
    x = torch.cat(
        (
            conv(p, x, "Mixed_6a.branch3x3", 384, (3, 3), 2, valid),
            chain(x, "Mixed_6a.branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3)), last=2),
            F.max_pool2d(x, 3, 2),
        ),
        1,
    )
    wide, tall = (1, 7), (7, 1)
    for letter, n in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        name = f"Mixed_6{letter}"
        double = ((n, (1, 1)), (n, tall), (n, wide), (n, tall), (192, wide))
        x = torch.cat(
            (
                conv(p, x, f"{name}.branch1x1", 192),
                chain(x, f"{name}.branch7x7", (n, (1, 1)), (n, wide), (192, tall)),
                chain(x, f"{name}.branch7x7dbl", *double),
                pooled(x, name, 192),
            ),
            1,
        )
    seven = ((192, (1, 1)), (192, wide), (192, tall), (192, (3, 3)))
    x = torch.cat(
        (
            chain(x, "Mixed_7a.branch3x3", (192, (1, 1)), (320, (3, 3)), last=2),
            chain(x, "Mixed_7a.branch7x7x3", *seven, last=2),
            F.max_pool2d(x, 3, 2),
        ),
        1,
    )
    for letter in "bc":
        name = f"Mixed_7{letter}"
        three = conv(p, x, f"{name}.branch3x3_1", 384)
        double = chain(x, f"{name}.branch3x3dbl", (448, (1, 1)), (384, (3, 3)))
        x = torch.cat(
            (
                conv(p, x, f"{name}.branch1x1", 320),
                conv(p, three, f"{name}.branch3x3_2a", 384, (1, 3)),
                conv(p, three, f"{name}.branch3x3_2b", 384, (3, 1)),
                conv(p, double, f"{name}.branch3x3dbl_3a", 384, (1, 3)),
                conv(p, double, f"{name}.branch3x3dbl_3b", 384, (3, 1)),
                pooled(x, name, 192),
            ),
            1,
        )
    return linear(p, x.mean((2, 3)), "fc")


CASES = {
    "googlenet_bn": ("torchvision GoogLeNet", googlenet, 64, ("aux1.conv.conv", "aux2.fc1")),
    "inception_v3": ("torchvision Inception V3", inception_v3, 107, ("AuxLogits.conv0.conv",)),
}


@pytest.mark.parametrize("model", CASES)
def test_converted_weights_give_the_layouts_own_logits(model: str, tmp_path: Path) -> None:
    layout, forward, size, auxiliary = CASES[model]
    tensors, x, expected = weights_and_logits(forward, size)
    assert expected.std() > 0.01  # the random weights say something
    file = tmp_path / "weights.safetensors"
    # Files hold the auxiliary classifiers too; they say nothing about scores.
    save_file({**tensors, **{f"{name}.weight": torch.ones(3) for name in auxiliary}}, file)
    pretrained = load_pretrained(model, file)
    assert pretrained.loaded.layout == layout
    assert pretrained.loaded.fresh == pretrained.loaded.unused == ()
    with torch.inference_mode():
        logits = pretrained.model(x)
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("model", CASES)
def test_preprocessing_is_torchvisions_two_steps_in_one(model: str) -> None:
    """It normalises images as for ImageNet, and the network maps each channel to -1 ... 1."""
    layout = next(layout for layout in LAYOUTS if layout.name == CASES[model][0])
    ours = layout.preprocessing_of(model)
    assert (ours.crop, ours.resize) == {"googlenet_bn": (224, 256), "inception_v3": (299, 342)}[
        model
    ]
    for channel in range(3):
        mean, std = IMAGENET.mean[channel], IMAGENET.std[channel]
        for value in (0.0, 0.3, 1.0):
            normalised = (value - mean) / std
            rescaled = normalised * (std / 0.5) + (mean - 0.5) / 0.5
            here = (value - ours.mean[channel]) / ours.std[channel]
            assert here == pytest.approx(rescaled)
