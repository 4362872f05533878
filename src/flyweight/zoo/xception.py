"""Xception: Deep Learning with Depthwise Separable Convolutions (Chollet, 2017)."""

from collections.abc import Sequence

from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "Xception (Chollet; CVPR 2017; arXiv 1610.02357)"


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 and pointwise convolution with nothing between them, then batch norm.

    Args:
        in_channels: channels read.
        out_channels: channels put out.
        stride: of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)


class Block(nn.Module):
    """Separable convolutions, a ReLU before each, and a shortcut around them (Figure 5).

    Args:
        in_channels: channels read.
        widths: output channels of the separable convolutions.
        stride: 2 ends in 3x3 max pooling, with a 1x1 convolution as shortcut; 1 adds the input.
        leading_act: whether the first ReLU is there (not in the first block).
    """

    def __init__(
        self, in_channels: int, widths: Sequence[int], stride: int, leading_act: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *widths[:-1]), widths, strict=True):
            if layers or leading_act:
                # Not in place: the shortcut reads the same map.
                layers.append(nn.ReLU())
            layers.append(SeparableConv(before, after))
        if stride == 2:
            layers.append(nn.MaxPool2d(3, 2, padding=1))
        self.main = nn.Sequential(*layers)
        self.shortcut: nn.Module = (
            ConvNormAct(in_channels, widths[-1], 1, 2, activation=None)
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        out: Tensor = self.main(x) + self.shortcut(x)
        return out


def init_glorot(network: nn.Module) -> None:
    """Keras's start: uniform after Glorot and Bengio (2010), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


VARIANTS = (
    Variant(
        "xception",
        {},
        (Published("Xception (arXiv 1610.02357), Table 1", 299, top1_error=21.0, top5_error=5.5),),
        "Figure 5; batch norm after every convolution and separable convolution, and no"
        " activation between depthwise and pointwise convolution (Section 4.7). Dropout before"
        " the classifier as in Section 4.3. The first two convolutions are not padded, and"
        " weights start after Glorot and Bengio, as in the author's Keras code.",
        "Without the optional hidden layers before the classifier. Pooling and strided"
        " convolutions pad both sides alike; Keras pads right and bottom first on even sizes.",
    ),
)


@register("Xception", PAPER, VARIANTS)
def xception(
    num_classes: int = 1000,
    in_channels: int = 3,
    entry: Sequence[int] = (128, 256, 728),
    middle: int = 8,
    last: Sequence[int] = (1024, 1536, 2048),
    dropout: float = 0.5,
) -> Network:
    """Xception (Figure 5).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        entry: output channels of the entry flow's blocks.
        middle: blocks of the middle flow.
        last: output channels of the exit flow's block and of its two last separable convolutions.
        dropout: before the classifier.
    """
    stem = nn.Sequential(
        ConvNormAct(in_channels, 32, 3, 2, padding="valid"),
        ConvNormAct(32, 64, 3, padding="valid"),
    )
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", 64, 2), stem)]
    channels, stride = 64, 2
    for number, width in enumerate(entry, start=1):
        stride *= 2
        block = Block(channels, (width, width), 2, leading_act=number > 1)
        parts.append((Stage(f"entry{number}", width, stride), block))
        channels = width
    blocks = [Block(channels, (channels,) * 3, 1) for _ in range(middle)]
    parts.append((Stage("middle", channels, stride), nn.Sequential(*blocks)))
    final = nn.Sequential(
        Block(channels, (channels, last[0]), 2),
        SeparableConv(last[0], last[1]),
        nn.ReLU(inplace=True),
        SeparableConv(last[1], last[2]),
        nn.ReLU(inplace=True),
    )
    parts.append((Stage("exit", last[2], stride * 2), final))
    network = Network(parts, num_classes, dropout)
    init_glorot(network)
    return network
