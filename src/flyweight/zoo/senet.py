"""Squeeze-and-Excitation Networks (Hu et al., 2018): the largest, SENet-154."""

from collections.abc import Sequence

from torch import nn

from flyweight.nn import ConvNormAct, Network, SqueezeExcite, Stage
from flyweight.nn.init import init_he
from flyweight.nn.residual import Residual, residual_stages, shortcut
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register
from flyweight.zoo.resnet import V2_TABLE_6

PAPER = "Squeeze-and-Excitation Networks (Hu, Shen, Sun; CVPR 2018; arXiv 1709.01507)"


def excited(
    in_channels: int, out_channels: int, stride: int, groups: int, reduction: int
) -> Residual:
    """A grouped bottleneck with squeeze-and-excitation before the sum (Figure 3).

    The first 1x1 convolution has half of the channels of the 3x3 one, and a shortcut that reduces
    the map is a 3x3 convolution.
    """
    branch = nn.Sequential(
        ConvNormAct(in_channels, out_channels // 2),
        ConvNormAct(out_channels // 2, out_channels, 3, stride, groups),
        ConvNormAct(out_channels, out_channels, activation=None),
        SqueezeExcite(out_channels, out_channels // reduction),
    )
    return Residual(branch, shortcut(in_channels, out_channels, stride, 3 if stride > 1 else 1))


VARIANTS = (
    Variant(
        "senet_154",
        {"repeats": (3, 8, 36, 3)},
        (Published(V2_TABLE_6, mflops=20700, top1_error=18.68),),
        "A 64x4d ResNeXt-152 changed as the paper says: three 3x3 convolutions in the stem, half of"
        " the channels in the first 1x1 convolutions, 3x3 projections where the map shrinks, and"
        " dropout 0.2; reduction ratio 16.",
        "The paper doesn't print widths, strides and biases: they are as in the authors' network"
        " file.",
    ),
)


@register("SENet", PAPER, VARIANTS)
def senet(
    num_classes: int = 1000,
    in_channels: int = 3,
    repeats: Sequence[int] = (3, 8, 36, 3),
    stem: Sequence[int] = (64, 64, 128),
    groups: int = 64,
    group_width: int = 4,
    reduction: int = 16,
    dropout: float = 0.2,
) -> Network:
    """SENet-154.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        repeats: blocks of stages 2 to 5.
        stem: channels of the first three convolutions, of which the first has stride 2.
        groups: groups of the other 3x3 convolutions.
        group_width: channels of a group in stage 2; each later stage doubles them.
        reduction: channels of a block over the hidden ones of its squeeze-and-excitation.
        dropout: before the classifier.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for index, out in enumerate(stem):
        layers.append(ConvNormAct(channels, out, 3, 1 if index else 2))
        channels = out
    layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))

    def make(inputs: int, out: int, stride: int) -> nn.Module:
        return excited(inputs, out, stride, groups, reduction)

    stages = residual_stages(channels, groups * group_width, repeats, make)
    first = (Stage("stem", channels, 4), nn.Sequential(*layers))
    network = Network([first, *stages], num_classes, dropout)
    init_he(network)
    return network
