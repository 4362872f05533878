"""MobileNets: Efficient CNNs for Mobile Vision Applications (Howard et al., 2017)."""

from torch import nn

from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.blocks import Activation, Padding
from flyweight.nn.init import init_mobilenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "MobileNets (Howard et al.; 2017; arXiv 1704.04861)"
TABLE_6 = "MobileNets (arXiv 1704.04861), Table 6"
TABLE_7 = "MobileNets (arXiv 1704.04861), Table 7"
TABLE_9 = "MobileNets (arXiv 1704.04861), Table 9"

# Table 1: stride and output channels of the 13 depthwise separable blocks, by stage.
# The table's last block says stride 2; its input and output sizes say 1.
BLOCKS = (
    ((1, 64),),
    ((2, 128), (1, 128)),
    ((2, 256), (1, 256)),
    ((2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512)),
    ((2, 1024), (1, 1024)),
)


def _row(size: str, width: float, *published: Published) -> Variant:
    return Variant(
        f"mobilenet_v1_x{size}",
        {"width": width},
        published,
        "Table 1, all channels times the width multiplier.",
        "The last depthwise convolution has stride 1: the table prints 2, which its own output"
        " size contradicts.",
    )


VARIANTS = (
    _row(
        "0_25", 0.25,
        table8(40, 41, 49.4, 502, 36.4, params_m=0.5),
        Published(TABLE_6, mflops=41, params_m=0.5, top1_error=49.4),
    ),
    _row(
        "0_5", 0.5,
        table8(140, 149, 36.3, 382, 16.5, params_m=1.3),
        Published(TABLE_6, mflops=149, params_m=1.3, top1_error=36.3),
        Published(TABLE_9, 160, mflops=76, params_m=1.32, top1_error=39.8),
    ),
    _row(
        "0_75", 0.75,
        table8(300, 325, 31.6, 314, 10.6, params_m=2.6),
        Published(TABLE_6, mflops=325, params_m=2.6, top1_error=31.6),
    ),
    _row(
        "1_0", 1.0,
        table8(500, 569, 29.4, 247, 6.5, params_m=4.2),
        Published(TABLE_6, mflops=569, params_m=4.2, top1_error=29.4),
        Published(TABLE_7, 192, mflops=418, params_m=4.2, top1_error=30.9),
        Published(TABLE_7, 160, mflops=290, params_m=4.2, top1_error=32.8),
        Published(TABLE_7, 128, mflops=186, params_m=4.2, top1_error=35.6),
    ),
)  # fmt: skip


@register("MobileNet V1", PAPER, VARIANTS)
def mobilenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.001,
    activation: Activation = "relu",
    padding: Padding = "symmetric",
    norm_eps: float = 1e-5,
) -> Network:
    """MobileNet V1 (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        width: the width multiplier, times the channels of every layer.
        dropout: before the classifier.
        activation: "relu" as in the paper, "relu6" as in TensorFlow's code and public weights.
        padding: "symmetric", or "same" for weights trained by TensorFlow.
        norm_eps: epsilon of batch norm (1e-3 in TensorFlow's code).
    """

    def conv(channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> ConvNormAct:
        return ConvNormAct(channels, out, kernel, stride, groups, activation, padding, norm_eps)

    channels = int(32 * width)
    stride = 2
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", channels, stride), conv(in_channels, channels, 3, 2))
    ]
    for number, rows in enumerate(BLOCKS, start=1):
        blocks: list[nn.Module] = []
        for block_stride, full_width in rows:
            out = int(full_width * width)
            depthwise = conv(channels, channels, 3, block_stride, groups=channels)
            blocks.append(nn.Sequential(depthwise, conv(channels, out, 1, 1)))
            channels = out
            stride *= block_stride
        parts.append((Stage(f"stage{number}", channels, stride), nn.Sequential(*blocks)))
    network = Network(parts, num_classes, dropout)
    init_mobilenet(network)
    return network
