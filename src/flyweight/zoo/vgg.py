"""Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan et al., 2015)."""

from collections.abc import Sequence

from torch import nn

from flyweight.nn import ConvAct, Network, Stage
from flyweight.nn.init import init_normal
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "VGG (Simonyan, Zisserman; ICLR 2015; arXiv 1409.1556)"
SHUFFLENET_TABLE_6 = "ShuffleNet (arXiv 1707.01083), Table 6"
MOBILENET_TABLE_8 = "MobileNets (arXiv 1704.04861), Table 8"
XCEPTION_TABLE_1 = "Xception (arXiv 1610.02357), Table 1"
SQUEEZENEXT = "SqueezeNext (arXiv 1803.10615), table of wider networks"

_CONVOLUTIONS = (
    "The papers' 15300 M are those of the convolutions alone (15346.6 M); with the linear layers"
    " it is 15470.3 M."
)
_138 = "138 M are VGG-16's parameters; VGG-19 has 143.67 M."
_OPEN = "The paper starts deep networks from trained shallow ones; here all weights start anew."


def _row(
    depth: int, configuration: str, repeats: tuple[int, ...], *published: Published
) -> Variant:
    return Variant(
        f"vgg_{depth}",
        {"repeats": repeats},
        published,
        f"Table 1, configuration {configuration}; start of the weights as in Section 3.1.",
        _OPEN,
    )


VARIANTS = (
    _row(
        16, "D", (2, 2, 3, 3, 3),
        Published(SHUFFLENET_TABLE_6, mflops=15300, top1_error=28.5, note=_CONVOLUTIONS),
        Published(
            MOBILENET_TABLE_8, mflops=15300, params_m=138, top1_error=28.5, note=_CONVOLUTIONS
        ),
        Published(XCEPTION_TABLE_1, top1_error=28.5, top5_error=9.9),
    ),
    _row(
        19, "E", (2, 2, 4, 4, 4),
        Published(SQUEEZENEXT, params_m=138, top1_error=31.5, top5_error=11.5, note=_138),
    ),
)  # fmt: skip


@register("VGG", PAPER, VARIANTS)
def vgg(
    num_classes: int = 1000,
    in_channels: int = 3,
    repeats: Sequence[int] = (2, 2, 3, 3, 3),
    widths: Sequence[int] = (64, 128, 256, 512, 512),
    hidden: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
) -> Network:
    """VGG (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        repeats: 3x3 convolutions before each of the five poolings.
        widths: their output channels.
        hidden: outputs of the two hidden linear layers.
        dropout: after each hidden layer.
    """
    parts: list[tuple[Stage, nn.Module]] = []
    channels = in_channels
    for number, (count, width) in enumerate(zip(repeats, widths, strict=True), start=1):
        layers: list[nn.Module] = []
        for _ in range(count):
            layers.append(ConvAct(channels, width, 3))
            channels = width
        layers.append(nn.MaxPool2d(2))
        name = "stem" if number == 1 else f"stage{number}"
        parts.append((Stage(name, width, 2**number), nn.Sequential(*layers)))
    network = Network(parts, num_classes, dropout, pooled=7, hidden=hidden)
    init_normal(network, 0.01)
    return network
