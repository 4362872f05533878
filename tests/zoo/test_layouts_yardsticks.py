"""torchvision's layouts of ResNet, ResNeXt, AlexNet and VGG give their own logits here.

The networks are written from the layouts' names and shapes, without Flyweight's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from flyweight import create_model
from flyweight.errors import WeightsError
from flyweight.nn import Network
from flyweight.zoo.weights import LAYOUTS, load_pretrained, load_weights
from tests.zoo import reference_layouts as reference
from tests.zoo.reference_layouts import Names, conv_norm, linear

DEEP = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def residual(
    p: Names, x: Tensor, depth: int, width: int = 64, groups: int = 1, group_width: int = 0
) -> Tensor:
    """ResNet, and with groups ResNeXt: the stride is on the 3x3 convolution."""
    x = F.relu(conv_norm(p, x, "conv1", "bn1", width, 7, 2))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(DEEP[depth], start=1):
        narrow = width * 2 ** (stage - 1)
        middle = groups * group_width * 2 ** (stage - 1) or narrow
        for index in range(count):
            name, stride = f"layer{stage}.{index}", 2 if index == 0 and stage > 1 else 1

            def block(y: Tensor, number: int, *shape: int, name: str = name) -> Tensor:
                return conv_norm(p, y, f"{name}.conv{number}", f"{name}.bn{number}", *shape)

            if depth == 18:
                out = narrow
                y = block(F.relu(block(x, 1, out, 3, stride)), 2, out, 3)
            else:
                out = 4 * narrow
                y = F.relu(block(F.relu(block(x, 1, middle)), 2, middle, 3, stride, groups))
                y = block(y, 3, out)
            if stride > 1 or x.shape[1] != out:
                down = f"{name}.downsample"
                x = conv_norm(p, x, f"{down}.0", f"{down}.1", out, 1, stride)
            x = F.relu(x + y)
    return linear(p, x.mean((2, 3)), "fc")


def conv(
    p: Names, x: Tensor, position: int, out: int, kernel: int, stride: int, padding: int
) -> Tensor:
    name, fan = f"features.{position}", x.shape[1]
    weight = p.kernel(f"{name}.weight", (out, fan, kernel, kernel), fan * kernel * kernel)
    bias = p.uniform(f"{name}.bias", (out,), -0.3, 0.3)
    return F.relu(F.conv2d(x, weight, bias, stride, padding))


def classes(p: Names, x: Tensor, positions: Sequence[int], hidden: int) -> Tensor:
    for position in positions:
        x = F.relu(linear(p, x, f"classifier.{position}", hidden))
    return linear(p, x, "classifier.6")


def alexnet(
    p: Names, x: Tensor, widths: Sequence[int] = (64, 192, 384, 256, 256), hidden: int = 4096
) -> Tensor:
    x = F.max_pool2d(conv(p, x, 0, widths[0], 11, 4, 2), 3, 2)
    x = F.max_pool2d(conv(p, x, 3, widths[1], 5, 1, 2), 3, 2)
    x = conv(p, x, 6, widths[2], 3, 1, 1)
    x = conv(p, x, 8, widths[3], 3, 1, 1)
    x = F.max_pool2d(conv(p, x, 10, widths[4], 3, 1, 1), 3, 2)
    return classes(p, F.adaptive_avg_pool2d(x, 6).flatten(1), (1, 4), hidden)


# Where torchvision's sequence has its convolutions, each group followed by a pooling.
VGG = {
    16: ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
    19: ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34)),
}


def vgg(
    p: Names,
    x: Tensor,
    depth: int,
    widths: Sequence[int] = (64, 128, 256, 512, 512),
    hidden: int = 4096,
) -> Tensor:
    for width, positions in zip(widths, VGG[depth], strict=True):
        for position in positions:
            x = conv(p, x, position, width, 3, 1, 1)
        x = F.max_pool2d(x, 2, 2)
    return classes(p, F.adaptive_avg_pool2d(x, 7).flatten(1), (0, 3), hidden)


def saved(forward: reference.Forward, file: Path, size: int = 64) -> tuple[Tensor, Tensor]:
    """A file of a layout, an input, and the logits of the layout's own network."""
    tensors, x, expected = reference.weights_and_logits(forward, size)
    save_file(tensors, file)
    return x, expected


def same_logits(model: Network, x: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0.01  # the random weights say something
    with torch.inference_mode():
        logits = model.eval()(x)
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


SMALL = {"widths": (8, 16, 16, 16, 8), "hidden": (24, 24)}
ALEX_SMALL = partial(alexnet, widths=(8, 16, 16, 16, 8), hidden=24)

NARROW: dict[str, tuple[str, dict[str, object], Callable[[Names, Tensor], Tensor]]] = {
    "ResNet-18": ("resnet_18", {"width": 8}, partial(residual, depth=18, width=8)),
    "ResNet-50": ("resnet_50_b", {"width": 8}, partial(residual, depth=50, width=8)),
    "ResNet-50, form given": (
        "resnet_50",
        {"width": 8, "stride_on": "3x3"},
        partial(residual, depth=50, width=8),
    ),
    "ResNet-101": ("resnet_101_b", {"width": 8}, partial(residual, depth=101, width=8)),
    "ResNet-152": ("resnet_152_b", {"width": 8}, partial(residual, depth=152, width=8)),
    "ResNeXt-50": (
        "resnext_50_32x4d",
        {"width": 8, "groups": 4, "group_width": 2},
        partial(residual, depth=50, width=8, groups=4, group_width=2),
    ),
    "ResNeXt-101": (
        "resnext_101_64x4d",
        {"width": 8, "groups": 8, "group_width": 2},
        partial(residual, depth=101, width=8, groups=8, group_width=2),
    ),
    "AlexNet": ("alexnet_one_tower", SMALL, ALEX_SMALL),
    "VGG-16": (
        "vgg_16",
        SMALL,
        partial(vgg, depth=16, widths=(8, 16, 16, 16, 8), hidden=24),
    ),
    "VGG-19": (
        "vgg_19",
        SMALL,
        partial(vgg, depth=19, widths=(8, 16, 16, 16, 8), hidden=24),
    ),
}


@pytest.mark.parametrize("layout", NARROW)
def test_narrow_networks_give_the_layouts_own_logits(layout: str, tmp_path: Path) -> None:
    name, options, forward = NARROW[layout]
    # An odd size, at which rounding of pooled sizes and paddings shows.
    x, expected = saved(forward, tmp_path / "weights.safetensors", 97)
    model = create_model(name, **options)
    loaded = load_weights(model, tmp_path / "weights.safetensors")
    assert loaded.layout == f"torchvision {layout.partition('-')[0]}"
    assert loaded.fresh == loaded.unused == ()
    same_logits(model, x, expected)


FULL: dict[str, tuple[str, Callable[[Names, Tensor], Tensor]]] = {
    "resnet_18": ("ResNet", partial(residual, depth=18)),
    "resnet_50": ("ResNet", partial(residual, depth=50)),
}
LARGE: dict[str, tuple[str, Callable[[Names, Tensor], Tensor]]] = {
    "resnext_50_32x4d": ("ResNeXt", partial(residual, depth=50, groups=32, group_width=4)),
    "resnet_152_b": ("ResNet", partial(residual, depth=152)),
    "resnext_101_64x4d": ("ResNeXt", partial(residual, depth=101, groups=64, group_width=4)),
    "alexnet_one_tower": ("AlexNet", alexnet),
    "vgg_16": ("VGG", partial(vgg, depth=16)),
    "vgg_19": ("VGG", partial(vgg, depth=19)),
}


@pytest.mark.parametrize(
    "name", [*FULL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)
def test_full_networks_are_created_in_the_layouts_form(name: str, tmp_path: Path) -> None:
    family, forward = {**FULL, **LARGE}[name]
    x, expected = saved(forward, tmp_path / "weights.safetensors")
    pretrained = load_pretrained(name, tmp_path / "weights.safetensors")
    assert pretrained.loaded.layout == f"torchvision {family}"
    assert pretrained.loaded.fresh == pretrained.loaded.unused == ()
    assert pretrained.loaded.preprocessing.resize == (232 if "64x4d" in name else 256)
    same_logits(pretrained.model, x, expected)


@pytest.mark.slow
def test_files_of_another_family_or_depth_are_refused(tmp_path: Path) -> None:
    """ResNet's and ResNeXt's names are the same, and a shallow network's are a deep one's too."""
    file = tmp_path / "weights.safetensors"
    saved(partial(residual, depth=101, width=8), file)
    with pytest.raises(WeightsError, match=r"\(torchvision ResNet\) holds, .*'layer3.10.bn1"):
        load_weights(create_model("resnet_50_b", width=8), file)
    with pytest.raises(WeightsError, match=r"'layer1.0.conv1.weight' .* gives \(8, 8, 1, 1\)"):
        load_weights(create_model("resnext_101_32x4d", width=8, groups=4), file)
    with pytest.raises(WeightsError, match="which has stride_on='1x1'"):
        load_weights(create_model("resnet_101", width=8), file)
    with pytest.raises(WeightsError, match="torchvision ResNet"):
        load_weights(create_model("mobilenet_v2_x1_0"), file)


def test_names_of_two_layouts_are_read_as_those_of_the_networks_family(tmp_path: Path) -> None:
    """Not as those of whichever comes first in the list."""
    families = [layout.family for layout in LAYOUTS]
    assert families.index("ResNet") < families.index("ResNeXt")
    file = tmp_path / "weights.safetensors"
    saved(partial(residual, depth=50, width=8, groups=4, group_width=2), file)
    model = create_model("resnext_50_32x4d", width=8, groups=4, group_width=2)
    assert load_weights(model, file).layout == "torchvision ResNeXt"
