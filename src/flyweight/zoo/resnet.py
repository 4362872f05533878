"""Deep Residual Learning for Image Recognition (He et al., 2016)."""

from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from flyweight.errors import unknown
from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.init import init_he
from flyweight.nn.residual import Residual, residual_stages, shortcut
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "Deep Residual Learning (He, Zhang, Ren, Sun; CVPR 2016; arXiv 1512.03385)"
V2_TABLE_6 = "ShuffleNet V2 (arXiv 1807.11164), Table 6"
XCEPTION_TABLE_1 = "Xception (arXiv 1610.02357), Table 1"
FACEBOOK = "README of fb.resnet.torch"

Kind = Literal["basic", "bottleneck"]
"""Two 3x3 convolutions, or 1x1, 3x3 and 1x1 (Figure 5)."""
StrideOn = Literal["1x1", "3x3"]
"""Which convolution of a bottleneck has the stride: the first one, or the 3x3 one."""


def basic(in_channels: int, out_channels: int, stride: int) -> Residual:
    """Two 3x3 convolutions (Figure 5, left)."""
    branch = nn.Sequential(
        ConvNormAct(in_channels, out_channels, 3, stride),
        ConvNormAct(out_channels, out_channels, 3, activation=None),
    )
    return Residual(branch, shortcut(in_channels, out_channels, stride))


def bottleneck(in_channels: int, out_channels: int, stride: int, stride_on: StrideOn) -> Residual:
    """1x1 to a quarter of the output, 3x3, and 1x1 to the output (Figure 5, right)."""
    middle = out_channels // 4
    first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
    branch = nn.Sequential(
        ConvNormAct(in_channels, middle, 1, first),
        ConvNormAct(middle, middle, 3, second),
        ConvNormAct(middle, out_channels, activation=None),
    )
    return Residual(branch, shortcut(in_channels, out_channels, stride))


def residual_stem(in_channels: int, out_channels: int) -> nn.Sequential:
    """7x7 convolution and 3x3 max pooling, both with stride 2 (Table 1)."""
    return nn.Sequential(
        ConvNormAct(in_channels, out_channels, 7, 2), nn.MaxPool2d(3, 2, padding=1)
    )


_OPTION_B = (
    "The shortcut is an identity but where the shape changes: there it is a projection with batch"
    " norm (option B, which the authors' code uses)."
)


def _row(depth: int, repeats: tuple[int, ...], *published: Published) -> Variant:
    """A network of Table 1, as the paper has it."""
    return Variant(
        f"resnet_{depth}",
        {"repeats": repeats},
        published,
        "Table 1 and Figure 5; the stride of a stage is that of its first 1x1 convolution, as in"
        " the authors' code.",
        _OPTION_B,
    )


def _row_b(depth: int, repeats: tuple[int, ...], top5_error: float) -> Variant:
    """The same with the stride where Facebook's code has it."""
    return Variant(
        f"resnet_{depth}_b",
        {"repeats": repeats, "stride_on": "3x3"},
        (Published(FACEBOOK, top5_error=top5_error),),
        "Table 1 and Figure 5. From fb.resnet.torch, and so in torchvision: the stride of a stage"
        " is that of its first 3x3 convolution.",
        _OPTION_B,
    )


_3_8 = "The table cuts 3.86 G to 3.8; with the stride on the 3x3 convolutions it would be 4.09 G."

VARIANTS = (
    Variant(
        "resnet_18",
        # Basic blocks have no 1x1 convolution: public weights say "3x3" at all depths.
        {"repeats": (2, 2, 2, 2), "block": "basic", "stride_on": "3x3"},
        (Published(FACEBOOK, top5_error=10.76),),
        "Table 1 and Figure 5.",
        _OPTION_B,
    ),
    _row(50, (3, 4, 6, 3), Published(V2_TABLE_6, mflops=3800, top1_error=24.0, note=_3_8)),
    _row(101, (3, 4, 23, 3)),
    _row(152, (3, 8, 36, 3), Published(XCEPTION_TABLE_1, top1_error=23.0, top5_error=6.7)),
    _row_b(50, (3, 4, 6, 3), 7.02),
    _row_b(101, (3, 4, 23, 3), 6.21),
    _row_b(152, (3, 8, 36, 3), 6.16),
)


@register("ResNet", PAPER, VARIANTS)
def resnet(
    num_classes: int = 1000,
    in_channels: int = 3,
    repeats: Sequence[int] = (3, 4, 6, 3),
    block: Kind = "bottleneck",
    stride_on: StrideOn = "1x1",
    width: int = 64,
    dropout: float = 0.0,
) -> Network:
    """ResNet (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        repeats: blocks of conv2_x to conv5_x.
        block: "basic" or "bottleneck".
        stride_on: the convolution of a bottleneck that has the stride: "1x1" (the first) as in the
            paper, or "3x3" as in fb.resnet.torch. It makes no difference to basic blocks.
        width: channels of the stem and of conv2_x's 3x3 convolutions; each later stage doubles
            them.
        dropout: before the classifier (the paper has none).
    """
    if stride_on not in get_args(StrideOn):
        raise unknown("stride_on", stride_on, get_args(StrideOn))
    if block not in get_args(Kind):
        raise unknown("block", block, get_args(Kind))

    def make(channels: int, out: int, stride: int) -> nn.Module:
        if block == "basic":
            return basic(channels, out, stride)
        return bottleneck(channels, out, stride, stride_on)

    first = width if block == "basic" else 4 * width
    stages = residual_stages(width, first, repeats, make)
    stem = residual_stem(in_channels, width)
    network = Network([(Stage("stem", width, 4), stem), *stages], num_classes, dropout)
    init_he(network)
    return network
