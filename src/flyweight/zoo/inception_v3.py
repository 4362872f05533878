"""Rethinking the Inception Architecture for Computer Vision (Szegedy et al., 2016)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.blocks import Kernel, Padding
from flyweight.nn.init import init_truncated
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "Inception V3 (Szegedy, Vanhoucke, Ioffe, Shlens, Wojna; CVPR 2016; arXiv 1512.00567)"


class Parallel(nn.ModuleList):
    """Branches that read the same map; their outputs are concatenated."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, sum of the branches' channels, ...)."""
        return torch.cat([branch(x) for branch in self], 1)


# A convolution of a branch: outputs, kernel size, stride.
Row = tuple[int, Kernel, int]
Make = Callable[[int, int, Kernel, int], nn.Module]


def branch(conv: Make, channels: int, *rows: Row) -> nn.Sequential:
    """Convolutions one after another, padded at stride 1 and not at stride 2."""
    layers = []
    for out, kernel, stride in rows:
        layers.append(conv(channels, out, kernel, stride))
        channels = out
    return nn.Sequential(*layers)


def pooled_branch(conv: Make, channels: int, out: int) -> nn.Sequential:
    """3x3 average pooling, whose padding counts as zeros, and a 1x1 convolution."""
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1), conv(channels, out, 1, 1))


def module_35(conv: Make, channels: int, pool: int) -> Parallel:
    """Figure 5: 5x5 kernels as two 3x3; for maps of 35x35 pixels."""
    return Parallel(
        [
            branch(conv, channels, (64, 1, 1)),
            branch(conv, channels, (48, 1, 1), (64, 5, 1)),
            branch(conv, channels, (64, 1, 1), (96, 3, 1), (96, 3, 1)),
            pooled_branch(conv, channels, pool),
        ]
    )


def module_17(conv: Make, channels: int, middle: int) -> Parallel:
    """Figure 6: 7x7 kernels as 1x7 and 7x1; for maps of 17x17 pixels."""
    wide, tall = (middle, (1, 7), 1), (middle, (7, 1), 1)
    return Parallel(
        [
            branch(conv, channels, (192, 1, 1)),
            branch(conv, channels, (middle, 1, 1), wide, (192, (7, 1), 1)),
            branch(conv, channels, (middle, 1, 1), tall, wide, tall, (192, (1, 7), 1)),
            pooled_branch(conv, channels, 192),
        ]
    )


def module_8(conv: Make, channels: int) -> Parallel:
    """Figure 7: 1x3 and 3x1 beside each other; for maps of 8x8 pixels."""

    def both(channels: int) -> Parallel:
        return Parallel([conv(channels, 384, (1, 3), 1), conv(channels, 384, (3, 1), 1)])

    return Parallel(
        [
            branch(conv, channels, (320, 1, 1)),
            nn.Sequential(conv(channels, 384, 1, 1), both(384)),
            nn.Sequential(*branch(conv, channels, (448, 1, 1), (384, 3, 1)), both(384)),
            pooled_branch(conv, channels, 192),
        ]
    )


def reduction_35(conv: Make, channels: int) -> Parallel:
    """Figure 10: from 35x35 to 17x17 pixels."""
    return Parallel(
        [
            branch(conv, channels, (384, 3, 2)),
            branch(conv, channels, (64, 1, 1), (96, 3, 1), (96, 3, 2)),
            nn.MaxPool2d(3, 2),
        ]
    )


def reduction_17(conv: Make, channels: int) -> Parallel:
    """From 17x17 to 8x8 pixels, likewise, with a factorised 7x7 before one of the 3x3."""
    return Parallel(
        [
            branch(conv, channels, (192, 1, 1), (320, 3, 2)),
            branch(conv, channels, (192, 1, 1), (192, (1, 7), 1), (192, (7, 1), 1), (192, 3, 2)),
            nn.MaxPool2d(3, 2),
        ]
    )


VARIANTS = (
    Variant(
        "inception_v3",
        {},
        (
            Published(
                "Xception (arXiv 1610.02357), Table 1",
                resolution=299,
                top1_error=21.8,
                top5_error=5.9,
            ),
        ),
        "Figures 5, 6, 7 and 10 in the order of Table 1; batch norm in every convolution. From the"
        " authors' code (slim): all channels, which the paper doesn't print, the position of the"
        " 1x1 convolution of 80 channels, dropout, and the truncated normal start.",
        "Where the paper and the code differ, this is the code: after the first pooling Table 1"
        " lists three 3x3 convolutions, the code has 1x1, 3x3 and a second pooling; Figure 5 has"
        " two 3x3 in one branch, the code 5x5. The auxiliary classifier, for training only, is left"
        " out.",
    ),
)


@register("Inception", PAPER, VARIANTS)
def inception_v3(
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    norm_eps: float = 1e-3,
) -> Network:
    """Inception V3 (Table 1), without the auxiliary classifier; inputs of 75 pixels or more.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        dropout: before the classifier.
        norm_eps: epsilon of batch norm.
    """

    def conv(
        channels: int, out: int, kernel: Kernel, stride: int, padding: Padding = "symmetric"
    ) -> nn.Module:
        unpadded: Padding = "valid" if stride == 2 else padding
        return ConvNormAct(channels, out, kernel, stride, padding=unpadded, norm_eps=norm_eps)

    stages: list[tuple[Stage, list[nn.Module]]] = [
        (
            Stage("stem", 64, 2),
            [conv(in_channels, 32, 3, 2), conv(32, 32, 3, 1, "valid"), conv(32, 64, 3, 1)],
        ),
        (
            Stage("stage2", 192, 4),
            [nn.MaxPool2d(3, 2), conv(64, 80, 1, 1), conv(80, 192, 3, 1, "valid")],
        ),
        (
            Stage("stage3", 288, 8),
            [
                nn.MaxPool2d(3, 2),
                module_35(conv, 192, 32),
                module_35(conv, 256, 64),
                module_35(conv, 288, 64),
            ],
        ),
        (
            Stage("stage4", 768, 16),
            [
                reduction_35(conv, 288),
                *(module_17(conv, 768, middle) for middle in (128, 160, 160, 192)),
            ],
        ),
        (
            Stage("stage5", 2048, 32),
            [reduction_17(conv, 768), module_8(conv, 1280), module_8(conv, 2048)],
        ),
    ]
    parts = [(stage, nn.Sequential(*layers)) for stage, layers in stages]
    network = Network(parts, num_classes, dropout, min_size=75)
    init_truncated(network, 0.1)
    return network
