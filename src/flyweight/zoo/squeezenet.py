"""SqueezeNet: AlexNet-level Accuracy with 50x Fewer Parameters (Iandola et al., 2016)."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from flyweight.errors import unknown
from flyweight.nn import ConvAct, ConvClassified, Stage
from flyweight.nn.init import init_xavier
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

Bypass = Literal["none", "simple", "complex"]

PAPER = "SqueezeNet (Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer; 2016; arXiv 1602.07360)"
TABLE_2 = "SqueezeNet (arXiv 1602.07360), Tables 1 and 2"
TABLE_3 = "SqueezeNet (arXiv 1602.07360), Table 3"
README = "README of the authors' code"
SHUFFLENET = "ShuffleNet (arXiv 1707.01083 v2), Table 6"
MOBILENET = "MobileNets (arXiv 1704.04861), Table 9"
SQUEEZENEXT = "SqueezeNext (arXiv 1803.10615), table of hardware performance"

# Table 1: 1x1 filters that squeeze, and those of each size that expand, of fire2 to fire9.
FIRES = {
    2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128),
    6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256),
}  # fmt: skip


class Fire(nn.Module):
    """The Fire module (Figure 1): squeeze by 1x1, expand by 1x1 and 3x3, concatenate.

    Args:
        in_channels: channels read.
        squeeze: channels of the squeeze layer.
        expand: channels of each of the two expand layers; twice as many are put out.
        bypass: a connection around the module, added to what it puts out: none, a wire ("simple",
            for as many channels in as out), or a 1x1 convolution ("complex").
    """

    def __init__(self, in_channels: int, squeeze: int, expand: int, bypass: Bypass) -> None:
        super().__init__()
        self.squeeze = ConvAct(in_channels, squeeze)
        self.expand1x1 = ConvAct(squeeze, expand)
        self.expand3x3 = ConvAct(squeeze, expand, 3)
        self.bypass: nn.Module | None = None
        if bypass == "simple":
            self.bypass = nn.Identity()
        elif bypass == "complex":
            self.bypass = ConvAct(in_channels, 2 * expand, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, 2 * expand, height, width)."""
        squeezed = self.squeeze(x)
        y = torch.cat((self.expand1x1(squeezed), self.expand3x3(squeezed)), 1)
        return y if self.bypass is None else y + self.bypass(x)


_SIZES = (
    "Table 1's input of 224 doesn't give its map sizes 111, 55, 27 and 13: 227 does, without"
    " padding and with pooling that rounds up, as in the authors' code. That code also pads conv10"
    " by a pixel, so it averages 15x15 values where the table has 13x13; the table is followed."
)
_V1_0 = "Table 1; from the authors' code: ReLU after conv10, and how weights start."


def _row(
    name: str, options: dict[str, object], from_paper: str, reading: str, *published: Published
) -> Variant:
    return Variant(f"squeezenet_{name}", options, published, from_paper, reading)


_TWICE = "Multiplications and additions are counted apart: twice the multiply-adds, about."
_MORE = "SqueezeNext's tool also counts pooling and activations: 0.5 % more."

VARIANTS = (
    _row(
        "1_0", {}, _V1_0, _SIZES,
        Published(TABLE_2, 227, params_m=1.248424, top1_error=42.5, top5_error=19.7),
        Published(
            README, 227, mflops=1720, top5_error=19.7,
            note=_TWICE + " It pads conv10: 861 M multiply-adds.",
        ),
        Published(SHUFFLENET, 227, mflops=833, top1_error=42.5),
        Published(MOBILENET, 227, mflops=1700, params_m=1.25, top1_error=42.5, note=_TWICE),
        Published(
            SQUEEZENEXT, 227, mflops=837, params_m=1.2, top1_error=42.5, top5_error=19.7,
            note=_MORE,
        ),
    ),
    _row(
        "1_1", {"stem": (64, 3), "pools": (1, 3, 5)},
        "The authors' code, version 1.1: a smaller conv1, and pooling earlier.",
        "",
        Published(
            README, 227, mflops=720, top5_error=19.7,
            note="Multiplications and additions are counted apart, at an input size that isn't"
            " said: 349 M multiply-adds at 224, 388 M at 227, where the networks were trained.",
        ),
        Published(
            SQUEEZENEXT, 224, mflops=352, params_m=1.2, top1_error=42.9, top5_error=19.7,
            note="SqueezeNext's tool also counts pooling and activations: 0.8 % more.",
        ),
    ),
    _row(
        "1_0_simple_bypass", {"bypass": "simple"},
        _V1_0 + " Figure 2 (middle): a wire around fire3, 5, 7 and 9.", _SIZES,
        Published(TABLE_3, 227, params_m=1.248424, top1_error=39.6, top5_error=17.5),
    ),
    _row(
        "1_0_complex_bypass", {"bypass": "complex"},
        _V1_0 + " Figure 2 (right): a 1x1 convolution around fire2, 4, 6 and 8, where channels"
        " differ, and a wire around the others.",
        "Table 3 prints 7.7 MB for the weights; these convolutions give 6.06 MiB in 32 bits, and"
        " one around each of the eight modules would give 7.94. The convolution has a bias, like"
        " all others, and no ReLU: the paper says neither. " + _SIZES,
        Published(TABLE_3, 227, top1_error=41.2, top5_error=18.0),
    ),
)  # fmt: skip


def _fires(
    channels: int, fires: Sequence[int], bypass: Bypass, ceil_mode: bool
) -> tuple[int, nn.Sequential]:
    """Max pooling, then Fire modules by number; the channels that they put out, and the module."""
    stage = nn.Sequential()
    stage.add_module("pool", nn.MaxPool2d(3, 2, ceil_mode=ceil_mode))
    for number in fires:
        squeeze, expand = FIRES[number]
        around = bypass
        if channels == 2 * expand and bypass == "complex":
            around = "simple"
        elif channels != 2 * expand and bypass == "simple":
            around = "none"
        stage.add_module(f"fire{number}", Fire(channels, squeeze, expand, around))
        channels = 2 * expand
    return channels, stage


@register("SqueezeNet", PAPER, VARIANTS)
def squeezenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: tuple[int, int] = (96, 7),
    pools: tuple[int, int, int] = (1, 4, 8),
    bypass: Bypass = "none",
    ceil_mode: bool = True,
    dropout: float = 0.5,
) -> ConvClassified:
    """SqueezeNet (Table 1).

    Args:
        num_classes: outputs of the classifier, a convolution.
        in_channels: channels of the input image.
        stem: channels and kernel size of conv1.
        pools: the layers that max pooling follows: 1 for conv1, 2 to 8 for fire2 to fire8.
        bypass: around Fire modules: "none", "simple" or "complex" (Figure 2).
        ceil_mode: whether pooling rounds sizes up, as Caffe does and public weights need.
        dropout: before the classifier.

    Raises:
        UsageError: an unknown bypass.
    """
    if bypass not in get_args(Bypass):
        raise unknown("bypass", bypass, get_args(Bypass))
    channels, kernel = stem
    parts: list[tuple[Stage, nn.Module]] = [
        (
            Stage("stem", channels, 2),
            ConvAct(in_channels, channels, kernel, 2, padding="valid"),
        )
    ]
    ends = (*pools[1:], max(FIRES))
    for number, (last_pool, end) in enumerate(zip(pools, ends, strict=True), start=1):
        channels, stage = _fires(channels, range(last_pool + 1, end + 1), bypass, ceil_mode)
        parts.append((Stage(f"stage{number}", channels, 2 ** (number + 1)), stage))
    # Where pooling rounds down, the third one has nothing to pool of an input of 32 pixels.
    min_size = 32 if ceil_mode else 64
    network = ConvClassified(parts, num_classes, dropout, rectified=True, min_size=min_size)
    init_xavier(network)
    if isinstance(network.classifier, nn.Conv2d):
        nn.init.normal_(network.classifier.weight, 0.0, 0.01)
    return network
