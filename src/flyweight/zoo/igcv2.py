"""IGCV2: Interleaved Structured Sparse Convolutional Neural Networks (Xie et al., 2018)."""

from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, Stage, channel_shuffle
from flyweight.nn.init import init_he
from flyweight.zoo.mobilenet_v1 import BLOCKS
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "IGCV2 (Xie, Wang, Zhang, Lai, Hong, Qi; CVPR 2018; arXiv 1804.06202)"


class Block(nn.Module):
    """A depthwise convolution and a product of two pointwise group convolutions (Figure 1).

    The channels are shuffled between the two, so that each group of the second reads as many
    channels from every group of the first: with C channels there are C / groups^2 paths from
    every input to every output, and a single one for C = groups^2 (the complementary condition).

    Args:
        in_channels: channels read.
        out_channels: channels put out.
        stride: of the depthwise convolution.
        groups: groups of both pointwise convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.depthwise = ConvNormAct(in_channels, in_channels, 3, stride, in_channels)
        self.first = ConvNormAct(in_channels, in_channels, groups=groups, activation=None)
        self.second = ConvNormAct(in_channels, out_channels, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        y: Tensor = self.first(self.depthwise(x))
        y = self.second(channel_shuffle(y, self.groups))
        return y


def _row(size: str, width: float, published: Published) -> Variant:
    return Variant(
        f"igcv2_x{size}",
        {"width": width},
        (published,),
        "A depthwise convolution and pointwise group convolutions with permutations between them"
        " (Section 3), 8 groups, in MobileNet's frame.",
        "No code for ImageNet is public. Twice MobileNet's channels with two group convolutions of"
        " 8 groups for each of its pointwise ones give the printed costs. Where a block reads more"
        " than 64 channels there are several paths from input to output; where it reads fewer,"
        " not every output sees every input. The product has no activation inside.",
    )


VARIANTS = (
    _row("0_25", 0.25, table8(40, 46, 45.1, 183, 31.5)),
    _row("0_5", 0.5, table8(140, 156, 34.5, 132, 15.5)),
    _row("1_0", 1.0, table8(500, 564, 29.3, 81, 4.9)),
)


@register("IGCV2", PAPER, VARIANTS)
def igcv2(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    groups: int = 8,
    dropout: float = 0.0,
) -> Network:
    """IGCV2 in MobileNet's frame.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        width: the width multiplier; 1.0 has twice MobileNet's channels.
        groups: groups of the pointwise convolutions; channels are multiples of it.
        dropout: before the classifier (none in the paper).
    """

    def scaled(full_width: int) -> int:
        return max(1, int(2 * full_width * width / groups + 0.5)) * groups

    channels, stride = scaled(32), 2
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", channels, stride), ConvNormAct(in_channels, channels, 3, 2))
    ]
    for number, rows in enumerate(BLOCKS, start=1):
        blocks: list[nn.Module] = []
        for block_stride, full_width in rows:
            out = scaled(full_width)
            blocks.append(Block(channels, out, block_stride, groups))
            channels = out
            stride *= block_stride
        parts.append((Stage(f"stage{number}", channels, stride), nn.Sequential(*blocks)))
    network = Network(parts, num_classes, dropout)
    init_he(network)
    return network
