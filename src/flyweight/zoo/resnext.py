"""Aggregated Residual Transformations for Deep Neural Networks (Xie et al., 2017)."""

from collections.abc import Sequence

from torch import nn

from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.init import init_he
from flyweight.nn.residual import Residual, residual_stages, shortcut
from flyweight.zoo.published import Variant
from flyweight.zoo.registry import register
from flyweight.zoo.resnet import residual_stem

PAPER = "ResNeXt (Xie, Girshick, Dollár, Tu, He; CVPR 2017; arXiv 1611.05431)"


def aggregated(
    in_channels: int, middle: int, out_channels: int, stride: int, groups: int
) -> Residual:
    """1x1, grouped 3x3 and 1x1 (Figure 3 (c)): the sum of `groups` narrow bottlenecks."""
    branch = nn.Sequential(
        ConvNormAct(in_channels, middle),
        ConvNormAct(middle, middle, 3, stride, groups),
        ConvNormAct(middle, out_channels, activation=None),
    )
    return Residual(branch, shortcut(in_channels, out_channels, stride))


def _row(depth: int, repeats: tuple[int, ...], groups: int, group_width: int) -> Variant:
    return Variant(
        f"resnext_{depth}_{groups}x{group_width}d",
        {"repeats": repeats, "groups": groups, "group_width": group_width},
        (),
        "Table 1 and Figure 3 (c): cardinality x width of a group, both as named. From the authors'"
        " code: the stride of a stage is that of its first 3x3 convolution.",
        "The shortcut is an identity but where the shape changes (option B of ResNet).",
    )


VARIANTS = (
    _row(50, (3, 4, 6, 3), 32, 4),
    _row(101, (3, 4, 23, 3), 32, 4),
    _row(101, (3, 4, 23, 3), 64, 4),
)


@register("ResNeXt", PAPER, VARIANTS)
def resnext(
    num_classes: int = 1000,
    in_channels: int = 3,
    repeats: Sequence[int] = (3, 4, 6, 3),
    groups: int = 32,
    group_width: int = 4,
    width: int = 64,
    dropout: float = 0.0,
) -> Network:
    """ResNeXt (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        repeats: blocks of conv2_x to conv5_x.
        groups: groups of the 3x3 convolutions, the paper's cardinality C.
        group_width: channels of a group in conv2_x, the paper's d; each later stage doubles them.
        width: channels of the stem; conv2_x puts out four times as many.
        dropout: before the classifier (the paper has none).
    """
    first = 4 * width

    def make(channels: int, out: int, stride: int) -> nn.Module:
        middle = groups * group_width * (out // first)
        return aggregated(channels, middle, out, stride, groups)

    stages = residual_stages(width, first, repeats, make)
    stem = residual_stem(in_channels, width)
    network = Network([(Stage("stem", width, 4), stem), *stages], num_classes, dropout)
    init_he(network)
    return network
