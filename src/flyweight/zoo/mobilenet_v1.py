"""MobileNets: Efficient CNNs for Mobile Vision Applications (Howard et al., 2017)."""

from torch import nn

from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.blocks import Activation, Padding
from flyweight.nn.init import init_mobilenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "MobileNets (Howard et al.; 2017; arXiv 1704.04861)"
TABLE_4 = "MobileNets (arXiv 1704.04861), Table 4"
TABLE_5 = "MobileNets (arXiv 1704.04861), Table 5"
TABLE_6 = "MobileNets (arXiv 1704.04861), Table 6"
TABLE_7 = "MobileNets (arXiv 1704.04861), Table 7"
TABLE_9 = "MobileNets (arXiv 1704.04861), Table 9"
FIGURE_4 = "MobileNets (arXiv 1704.04861), Figure 4 (plotted without figures)"
SHUFFLENET = "ShuffleNet (arXiv 1707.01083 v2), Table 5"
MOBILENET_V2 = "MobileNetV2 (arXiv 1801.04381), Table 4"
SQUEEZENEXT = "SqueezeNext (arXiv 1803.10615), table of hardware performance"

# Table 1: stride and output channels of the 13 depthwise separable blocks, by stage.
# The table's last block says stride 2; its input and output sizes say 1.
BLOCKS = (
    ((1, 64),),
    ((2, 128), (1, 128)),
    ((2, 256), (1, 256)),
    ((2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512)),
    ((2, 1024), (1, 1024)),
)


_STRIDE = (
    "The last depthwise convolution has stride 1: the table prints 2, which its own output size"
    " contradicts."
)


def _row(size: str, width: float, *published: Published) -> Variant:
    """A width; the resolutions of Section 4.4 that no table prints are points of Figure 4."""
    printed = {row.resolution for row in published}
    plotted = [Published(FIGURE_4, side) for side in (192, 160, 128) if side not in printed]
    return Variant(
        f"mobilenet_v1_x{size}",
        {"width": width},
        (*published, *plotted),
        "Table 1, all channels times the width multiplier.",
        _STRIDE,
    )


_OTHERS = "Counted by others, who don't say how; the paper's own figure is 569."

VARIANTS = (
    _row(
        "0_25", 0.25,
        table8(40, 41, 49.4, 502, 36.4, params_m=0.5),
        Published(TABLE_6, mflops=41, params_m=0.5, top1_error=49.4),
        Published(SHUFFLENET, mflops=41, top1_error=49.4),
    ),
    _row(
        "0_5", 0.5,
        table8(140, 149, 36.3, 382, 16.5, params_m=1.3),
        Published(TABLE_6, mflops=149, params_m=1.3, top1_error=36.3),
        Published(SHUFFLENET, mflops=149, top1_error=36.3),
        Published(TABLE_9, 160, mflops=76, params_m=1.32, top1_error=39.8),
    ),
    _row(
        "0_75", 0.75,
        table8(300, 325, 31.6, 314, 10.6, params_m=2.6),
        Published(TABLE_6, mflops=325, params_m=2.6, top1_error=31.6),
        Published(SHUFFLENET, mflops=325, top1_error=31.6),
    ),
    _row(
        "1_0", 1.0,
        table8(500, 569, 29.4, 247, 6.5, params_m=4.2),
        Published(TABLE_6, mflops=569, params_m=4.2, top1_error=29.4),
        Published(TABLE_7, 192, mflops=418, params_m=4.2, top1_error=30.9),
        Published(TABLE_7, 160, mflops=290, params_m=4.2, top1_error=32.8),
        Published(TABLE_7, 128, mflops=186, params_m=4.2, top1_error=35.6),
        Published(SHUFFLENET, mflops=569, top1_error=29.4),
        Published(MOBILENET_V2, mflops=575, params_m=4.2, top1_error=29.4, note=_OTHERS),
        Published(
            SQUEEZENEXT, mflops=574, params_m=4.2, top1_error=32.5, top5_error=13.41,
            note=_OTHERS + " The errors are of a training there; 29.1 and 10.1 in brackets.",
        ),
    ),
    Variant(
        "mobilenet_v1_conv",
        {"separable": False},
        (Published(TABLE_4, mflops=4866, params_m=29.3, top1_error=28.3),),
        "Table 4: full convolutions instead of depthwise separable ones.",
        "Each pair of a depthwise and a pointwise convolution becomes one 3x3 convolution with"
        " batch norm and ReLU, which gives the printed figures. " + _STRIDE,
    ),
    Variant(
        "mobilenet_v1_shallow",
        {"repeats": 0},
        (Published(TABLE_5, mflops=307, params_m=2.9, top1_error=34.7),),
        "Table 5: without the five blocks of 512 channels on 14x14 maps.",
        _STRIDE,
    ),
)  # fmt: skip


@register("MobileNet V1", PAPER, VARIANTS)
def mobilenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    repeats: int = 5,
    separable: bool = True,
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
        repeats: blocks of 512 channels with stride 1: 5, or 0 in the shallow network (Table 5).
        separable: whether blocks are depthwise and pointwise, or one 3x3 convolution (Table 4).
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
    *early, (first_512, *_), late = BLOCKS
    table = (*early, (first_512, *[(1, 512)] * repeats), late)
    for number, rows in enumerate(table, start=1):
        blocks: list[nn.Module] = []
        for block_stride, full_width in rows:
            out = int(full_width * width)
            if separable:
                depthwise = conv(channels, channels, 3, block_stride, groups=channels)
                blocks.append(nn.Sequential(depthwise, conv(channels, out, 1, 1)))
            else:
                blocks.append(conv(channels, out, 3, block_stride))
            channels = out
            stride *= block_stride
        parts.append((Stage(f"stage{number}", channels, stride), nn.Sequential(*blocks)))
    network = Network(parts, num_classes, dropout)
    init_mobilenet(network)
    return network
