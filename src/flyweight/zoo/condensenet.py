"""CondenseNet: An Efficient DenseNet using Learned Group Convolutions (Huang et al., 2018)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from flyweight.errors import UsageError, unknown
from flyweight.nn import Network, NormActConv, Stage
from flyweight.nn.learned_group_conv import (
    CondensedGroupConv,
    CondensedLinear,
    LearnedGroupConv,
    LearnedLinear,
)
from flyweight.zoo.densenet import NormAct, init_densenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "CondenseNet (Huang, Liu, van der Maaten, Weinberger; CVPR 2018; arXiv 1711.09224)"
README = "README of the CondenseNet authors' code"

Form = Literal["test", "train"]


class DenseLayer(nn.Module):
    """A learned 1x1 and a 3x3 group convolution, whose output joins all before (Figure 1).

    Args:
        in_channels: channels read.
        growth: channels added.
        bottleneck: output channels of the 1x1 convolution.
        groups: of both convolutions.
        condense: C, the condensation factor of the 1x1 convolution.
        form: "train" for all its weights and a mask, "test" for what is left of them.
        dropout: before the 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        growth: int,
        bottleneck: int,
        groups: int,
        condense: int,
        form: Form,
        dropout: float,
    ) -> None:
        super().__init__()
        learned = LearnedGroupConv if form == "train" else CondensedGroupConv
        self.reduce = learned(in_channels, bottleneck, groups, condense, dropout)
        self.grow = NormActConv(bottleneck, growth, 3, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, in + growth, height, width)."""
        return torch.cat((x, self.grow(self.reduce(x))), 1)


class CondenseNet(Network):
    """Dense blocks, and a classifier that reads half of the features.

    Args:
        stages: as for `Network`.
        num_classes: likewise.
        form: "train" or "test".
    """

    def __init__(
        self, stages: Sequence[tuple[Stage, nn.Module]], num_classes: int, form: Form
    ) -> None:
        self.form = form  # what the classifier is made by
        super().__init__(stages, num_classes)

    def _fresh_classifier(self, num_classes: int) -> nn.Module:
        if not num_classes:
            return nn.Identity()
        classifier = LearnedLinear if self.form == "train" else CondensedLinear
        return classifier(self.num_features, num_classes)


_FROM = (
    "Figure 1 and Section 3: learned group convolutions, and growth that doubles from block to"
    " block. From the authors' code: layers and growth of its ImageNet network, 3x3 group"
    " convolutions in as many groups, pooling alone between blocks, a classifier that reads half of"
    " the features."
)
_READING = (
    "The code prunes the classifier when it converts a trained network, which changes what the"
    " network computes. Here its inputs are pruned half way through training, by the rule of the"
    " other layers with one group and a factor of 2, and conversion changes nothing."
)


_NOTE = "The authors count ReLU (11.0 M) and average pooling (1.7 M) as well."


def _row(groups: int, level: int, mflops: float, params: float, error: float) -> Variant:
    return Variant(
        f"condensenet_74_g{groups}",
        {"groups": groups, "condense": groups},
        (
            table8(level, mflops, error, None, None, note=_NOTE),
            Published(README, mflops=mflops, params_m=params, top1_error=error, note=_NOTE),
        ),
        _FROM,
        _READING,
    )


VARIANTS = (
    _row(8, 300, 274, 2.9, 29.0),
    _row(4, 500, 529, 4.8, 26.2),
)


@register("CondenseNet", PAPER, VARIANTS)
def condensenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    groups: int = 8,
    condense: int = 8,
    form: Form = "test",
    layers: Sequence[int] = (4, 6, 8, 10, 8),
    growth: Sequence[int] = (8, 16, 32, 64, 128),
    bottleneck: int = 4,
    dropout: float = 0.0,
) -> Network:
    """CondenseNet.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        groups: G, groups of all convolutions but the first.
        condense: C, the condensation factor: 1 / C of the 1x1 convolutions' weights are left.
        form: "test" for the network that is evaluated, "train" for the one that is trained and
            then condensed (see `flyweight.zoo.condensenet_training`).
        layers: layers of each block.
        growth: channels that a layer of each block adds.
        bottleneck: channels of a layer's 1x1 convolution, in multiples of its growth.
        dropout: before every 1x1 convolution (none on ImageNet).
    """
    if form not in ("test", "train"):
        raise unknown("form", form, ("test", "train"))
    if len(layers) != len(growth):
        raise UsageError(f"{len(layers)} blocks by layers, {len(growth)} by growth")
    _check_divisible(growth, groups, condense)
    channels = 2 * growth[0]
    stem = nn.Sequential()
    stem.add_module("conv", nn.Conv2d(in_channels, channels, 3, 2, 1, bias=False))
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", channels, 2), stem)]
    for number, (count, width) in enumerate(zip(layers, growth, strict=True), start=1):
        modules: list[nn.Module] = [nn.AvgPool2d(2)] if number > 1 else []
        for _ in range(count):
            modules.append(
                DenseLayer(channels, width, bottleneck * width, groups, condense, form, dropout)
            )
            channels += width
        parts.append((Stage(f"stage{number}", channels, 2**number), nn.Sequential(*modules)))
    parts.append((Stage("norm", channels, 2 ** len(layers)), NormAct(channels)))
    network = CondenseNet(parts, num_classes, form)
    init_densenet(network)
    return network


def _check_divisible(growth: Sequence[int], groups: int, condense: int) -> None:
    """Every layer's channels are sums of growths, so the factors must divide these."""
    for factor in (groups, condense):
        if factor < 1 or any(width % factor for width in growth):
            raise UsageError(
                f"growth {tuple(growth)} must be multiples of groups={groups} and"
                f" condense={condense}"
            )
