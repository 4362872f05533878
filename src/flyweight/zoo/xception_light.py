"""The light Xception of Light-Head R-CNN (Li et al., 2017), which ShuffleNet V2 compares with."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import unknown
from flyweight.nn import ConvNormAct, Network, Stage, pooled_stem
from flyweight.nn.init import init_he
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register
from flyweight.zoo.xception import SeparableConv

PAPER = "Light-Head R-CNN (Li, Peng, Yu, Zhang, Deng, Sun; 2017; arXiv 1711.07264)"

Projection = Literal["pointwise", "separable"]


class Unit(nn.Module):
    """Three separable convolutions in a bottleneck, and a shortcut around them.

    Args:
        in_channels: channels read.
        out_channels: channels put out; a quarter of them is the bottleneck.
        stride: of the first separable convolution; 2 projects the shortcut.
        projection: the shortcut's convolution at stride 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, projection: Projection
    ) -> None:
        super().__init__()
        middle = out_channels // 4
        self.main = nn.Sequential(
            SeparableConv(in_channels, middle, stride),
            nn.ReLU(inplace=True),
            SeparableConv(middle, middle),
            nn.ReLU(inplace=True),
            SeparableConv(middle, out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            self.shortcut = (
                SeparableConv(in_channels, out_channels, 2)
                if projection == "separable"
                else ConvNormAct(in_channels, out_channels, 1, 2, activation=None)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        return F.relu(self.main(x) + self.shortcut(x))


def _row(size: str, stem: int, width: int, published: Published) -> Variant:
    return Variant(
        f"xception_light_x{size}",
        {"stem": stem, "width": width},
        (published,),
        "Units of three separable convolutions, 4, 8 and 4 of them, with no activation before a"
        " unit, as in Megvii's TorchSeg code, whose xception39 has the channels of 0.5x.",
        "ShuffleNet V2 prints the cost of its own implementation and no channels. These are 128,"
        " 256 and 512 times the size, which give all four printed figures with a 1x1 convolution"
        " as shortcut at stride 2. Light-Head R-CNN is quoted with 144, 288 and 576 channels at"
        " 145 M; with this unit they cost 179 M (`width=144`).",
    )


VARIANTS = (
    _row("0_5", 8, 64, table8(40, 40, 44.9, 384, 52.9)),
    _row("1_0", 24, 128, table8(140, 145, 34.1, 278, 19.5)),
    _row("1_5", 24, 192, table8(300, 305, 29.4, 219, 10.5)),
    _row("2_0", 24, 256, table8(500, 525, 27.6, 174, 6.7)),
)


@register("Xception light", PAPER, VARIANTS)
def xception_light(
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: int = 24,
    width: int = 128,
    repeats: Sequence[int] = (4, 8, 4),
    projection: Projection = "pointwise",
    dropout: float = 0.0,
) -> Network:
    """The light Xception.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        stem: channels of the first convolution.
        width: output channels of stage 2; each later stage doubles them.
        repeats: units of stages 2, 3 and 4.
        projection: the shortcut at stride 2: "pointwise", or "separable" as in Megvii's code.
        dropout: before the classifier (none in the paper).
    """
    if projection not in ("pointwise", "separable"):
        raise unknown("projection", projection, ("pointwise", "separable"))
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", stem, 4), pooled_stem(in_channels, stem))
    ]
    channels = stem
    for number, count in enumerate(repeats, start=2):
        out = width * 2 ** (number - 2)
        units: list[nn.Module] = []
        for index in range(count):
            units.append(Unit(channels, out, 2 if index == 0 else 1, projection))
            channels = out
        parts.append((Stage(f"stage{number}", out, 2 ** (number + 1)), nn.Sequential(*units)))
    network = Network(parts, num_classes, dropout)
    init_he(network)
    return network
