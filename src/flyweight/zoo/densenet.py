"""DenseNet: Densely Connected Convolutional Networks (Huang et al., 2017), with bottlenecks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, NormActConv, Stage
from flyweight.nn.init import init_he
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = (
    "Densely Connected Convolutional Networks (Huang, Liu, van der Maaten, Weinberger; CVPR 2017;"
    " arXiv 1608.06993)"
)

LAYERS_121 = (6, 12, 24, 16)
"""Layers of DenseNet-121's four blocks (Table 1)."""


class DenseLayer(nn.Module):
    """1x1 and 3x3 convolution, whose output joins all that came before (Section 3).

    Args:
        in_channels: channels read.
        growth: channels added.
        bottleneck: output channels of the 1x1 convolution.
        dropout: after each of the two convolutions.
    """

    def __init__(self, in_channels: int, growth: int, bottleneck: int, dropout: float) -> None:
        super().__init__()
        self.reduce = NormActConv(in_channels, bottleneck)
        self.grow = NormActConv(bottleneck, growth, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, in + growth, height, width)."""
        new = self.dropout(self.grow(self.dropout(self.reduce(x))))
        return torch.cat((x, new), 1)


class Transition(nn.Sequential):
    """1x1 convolution to fewer channels, and 2x2 average pooling (Section 3)."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.reduce = NormActConv(in_channels, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.AvgPool2d(2)


class NormAct(nn.Sequential):
    """Batch norm and ReLU: what concatenated features need after the last layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)


def init_densenet(network: nn.Module) -> None:
    """The start of the authors' code: He et al.'s for convolutions, and a classifier's bias 0."""
    init_he(network)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


_ABOVE = "Growth is the same multiple of 20 at all four sizes, which is nearest to them all."


def _light(size: str, growth: int, published: Published) -> Variant:
    options = {
        "growth": growth, "layers": (4, 8, 4), "stem": 2 * growth, "stem_kernel": 3,
        "first_pool": True, "last": 1024,
    }  # fmt: skip
    return Variant(
        f"densenet_light_x{size}",
        options,
        (published,),
        "DenseNet's layers with bottlenecks and transitions that halve the channels, in ShuffleNet"
        " V2's frame: stem, numbers of layers (4, 8, 4) and last convolution of its Table 5.",
        "ShuffleNet V2's authors don't publish their configuration. Growth 20 times the size, a"
        " stem twice as wide, a last convolution of 1024 channels at all sizes and pooling alone"
        " before stage 2 come within 1.4 % of all four printed figures.",
    )


VARIANTS = (
    _light("0_5", 10, table8(40, 42, 58.6, 366, 39.7)),
    _light("1_0", 20, table8(140, 142, 45.2, 279, 15.8)),
    _light("1_5", 30, table8(300, 295, 39.9, 274, 9.7, note=_ABOVE)),
    _light("2_0", 40, table8(500, 519, 34.6, 197, 6.1, note=_ABOVE)),
    Variant(
        "densenet_121",
        {},
        (Published("torchvision's documentation", mflops=2830, params_m=7.98),),
        "Table 1 and Section 3, with bottlenecks of 4 times the growth and transitions that halve"
        " the channels (DenseNet-BC).",
    ),
)


@register("DenseNet", PAPER, VARIANTS)
def densenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    growth: int = 32,
    layers: Sequence[int] = LAYERS_121,
    stem: int = 64,
    stem_kernel: int = 7,
    bottleneck: int = 4,
    compression: float = 0.5,
    first_pool: bool = False,
    last: int = 0,
    dropout: float = 0.0,
) -> Network:
    """DenseNet-BC (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        growth: channels that a layer adds.
        layers: layers of each block.
        stem: channels of the first convolution.
        stem_kernel: its kernel size in pixels.
        bottleneck: channels of a layer's first convolution, in multiples of `growth`.
        compression: share of the channels that a transition keeps.
        first_pool: whether 2x2 average pooling comes before the first block.
        last: channels of a 1x1 convolution after the last block; 0 for none.
        dropout: after every convolution but the first and `last` (none on ImageNet).
    """
    first = nn.Sequential(
        ConvNormAct(in_channels, stem, stem_kernel, 2), nn.MaxPool2d(3, 2, padding=1)
    )
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", stem, 4), first)]
    channels = stem
    for index, count in enumerate(layers):
        modules: list[nn.Module] = []
        if index:
            kept = int(channels * compression)
            modules.append(Transition(channels, kept, dropout))
            channels = kept
        elif first_pool:
            modules.append(nn.AvgPool2d(2))
        for _ in range(count):
            modules.append(DenseLayer(channels, growth, bottleneck * growth, dropout))
            channels += growth
        # ShuffleNet V2's Table 5 calls the stage after pooling the second.
        number = index + 2 if first_pool else index + 1
        stage = Stage(f"stage{number}", channels, 2 ** (number + 1))
        parts.append((stage, nn.Sequential(*modules)))
    stride = parts[-1][0].stride
    if last:
        final = nn.Sequential(NormAct(channels), ConvNormAct(channels, last))
        parts.append((Stage("conv5", last, stride), final))
    else:
        parts.append((Stage("norm5", channels, stride), NormAct(channels)))
    network = Network(parts, num_classes)
    init_densenet(network)
    return network
