"""Tiny Darknet (Redmon, 2016): no paper, a network file of the Darknet framework."""

import math

from torch import nn

from flyweight.nn import ConvClassified, ConvNormAct, Stage
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "Tiny Darknet (Redmon; 2016; pjreddie.com/darknet/tiny-darknet)"
SQUEEZENEXT = "SqueezeNext (arXiv 1803.10615), table of hardware performance"

# Stages 2 to 4: channels of the 1x1 and of the 3x3 convolution; the pair comes twice.
PAIRS = ((16, 128), (32, 256), (64, 512))

VARIANTS = (
    Variant(
        "tiny_darknet",
        {},
        (
            Published(
                SQUEEZENEXT, mflops=495, params_m=1.0, top1_error=41.3, top5_error=18.3,
                note="SqueezeNext's tool also counts pooling and activations: 0.7 % more.",
            ),
        ),
        "The author's network file tiny.cfg: leaky ReLU with slope 0.1, batch norm after every"
        " convolution but the last, which averages its linear scores over the map.",
    ),
)  # fmt: skip


def _conv(channels: int, out: int, kernel: int) -> ConvNormAct:
    return ConvNormAct(channels, out, kernel, activation="leaky_relu")


def _init_darknet(network: nn.Module) -> None:
    """Darknet's start: convolutions normal with deviation sqrt(2 / fan in), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / module.weight[0].numel()))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@register("Tiny Darknet", PAPER, VARIANTS)
def tiny_darknet(
    num_classes: int = 1000, in_channels: int = 3, width: float = 1.0, dropout: float = 0.0
) -> ConvClassified:
    """Tiny Darknet (tiny.cfg).

    Args:
        num_classes: outputs of the classifier, a convolution.
        in_channels: channels of the input image.
        width: times the channels of every layer but the classifier (1 in tiny.cfg).
        dropout: before the classifier (none in tiny.cfg).
    """

    def scaled(channels: int) -> int:
        return max(1, int(channels * width))

    def pool() -> nn.MaxPool2d:
        # Darknet pads by a pixel at right and bottom, which is rounding up.
        return nn.MaxPool2d(2, 2, ceil_mode=True)

    channels = scaled(16)
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", channels, 1), _conv(in_channels, channels, 3)),
        (
            Stage("stage1", scaled(32), 2),
            nn.Sequential(pool(), _conv(channels, scaled(32), 3)),
        ),
    ]
    channels = scaled(32)
    for number, (narrow, wide) in enumerate(PAIRS, start=2):
        layers: list[nn.Module] = [pool()]
        for _ in range(2):
            layers += [_conv(channels, scaled(narrow), 1), _conv(scaled(narrow), scaled(wide), 3)]
            channels = scaled(wide)
        parts.append((Stage(f"stage{number}", channels, 2**number), nn.Sequential(*layers)))
    parts.append((Stage("last", scaled(128), 16), _conv(channels, scaled(128), 1)))
    network = ConvClassified(parts, num_classes, dropout)
    _init_darknet(network)
    return network
