"""MobileNetV2: Inverted Residuals and Linear Bottlenecks (Sandler et al., 2018)."""

import math
from typing import Literal, get_args

from torch import Tensor, nn

from flyweight.errors import unknown
from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.blocks import Activation, Padding
from flyweight.nn.init import init_mobilenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

Rounding = Literal["tensorflow", "megvii"]

PAPER = "MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen; CVPR 2018; arXiv 1801.04381)"
TABLE_4 = "MobileNetV2 (arXiv 1801.04381), Table 4"
SHUFFLENET_V2 = "ShuffleNet V2 (arXiv 1807.11164), Table 8, its authors' implementation"
README = "README of TensorFlow's MobileNetV2 code"

# Table 2, by stage: expansion t, output channels c, repeats n, stride of the first block s.
BLOCKS = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least `divisor`, never below 90 % of `channels`.

    The rule of TensorFlow's code; the paper doesn't print one.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def widths(width: float, rounding: Rounding) -> tuple[int, list[list[int]], int]:
    """The channels at a width multiplier: of the stem, of each row of `BLOCKS`, of the last layer.

    "tensorflow" rounds to multiples of 8, and the last layer never has less than 1280 channels.
    "megvii" rounds up to multiples of 4, scales the last layer too, but not the first row's 16:
    of all rules tried, it comes nearest to what ShuffleNet V2's Table 8 prints.

    Raises:
        UsageError: an unknown rounding.
    """
    if rounding == "tensorflow":
        rows = [[round_channels(row[1] * width) for row in stage] for stage in BLOCKS]
        return round_channels(32 * width), rows, round_channels(1280 * max(1.0, width))
    if rounding != "megvii":
        raise unknown("rounding", rounding, get_args(Rounding))

    def up(channels: int) -> int:
        # 1280 * 1.1 is a little more than 1408 in floating point.
        return math.ceil(round(channels * width, 6) / 4) * 4

    (first,), *later = BLOCKS
    return up(32), [[first[1]], *([up(row[1]) for row in stage] for stage in later)], up(1280)


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project linearly (Figure 3 (b), Table 1).

    Args:
        in_channels: channels read.
        out_channels: channels put out; equal ones at stride 1 add the input.
        expansion: t, times the input channels; 1 leaves the first convolution out.
        stride: of the depthwise convolution.
        activation: after the first two convolutions.
        padding: "symmetric" or "same".
        norm_eps: epsilon of batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        stride: int,
        activation: Activation,
        padding: Padding,
        norm_eps: float,
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = (
            ConvNormAct(in_channels, wide, activation=activation, norm_eps=norm_eps)
            if expansion > 1
            else nn.Identity()
        )
        self.depthwise = ConvNormAct(wide, wide, 3, stride, wide, activation, padding, norm_eps)
        self.project = ConvNormAct(wide, out_channels, activation=None, norm_eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


_TEXT = "The text counts 19 blocks, its table lists 17."


def _row(size: str, width: float, *published: Published) -> Variant:
    return Variant(
        f"mobilenet_v2_x{size}",
        {"width": width},
        published,
        "Table 2 and Figure 3 (b).",
        "Channels are rounded to multiples of 8 as in TensorFlow's code; the last convolution"
        f" widens above 1.0 and stays 1280 below. {_TEXT}",
    )


def _megvii(name: str, width: float, published: Published) -> Variant:
    """A width that only the authors of ShuffleNet V2 trained, or at that input size."""
    return Variant(
        f"mobilenet_v2_{name}",
        {"width": width, "rounding": "megvii"},
        (published,),
        "Table 2 and Figure 3 (b).",
        "From the ShuffleNet V2 authors' own implementation, which is not public. Channels are"
        " rounded up to multiples of 4, the first block's 16 stays, and the last convolution is"
        " scaled: no rule tried gives all of the figures that they print (39, 43, 141, 145, 587),"
        f" and this one comes nearest (38.6, 45.4, 141.1, 141.7, 572). {_TEXT}",
    )


def _readme(params_m: float, *rows: tuple[int, float]) -> list[Published]:
    """Rows of the README, which rounds multiply-adds down: (input size, mflops)."""
    return [Published(README, size, mflops=mflops, params_m=params_m) for size, mflops in rows]


def _gap(counted: float, printed: int) -> str:
    """What remains between the count with our rounding and the printed one."""
    gap = 100 * (counted / printed - 1)
    return f"The authors' rounding of channels is unknown: ours gives {counted} M ({gap:+.1f} %)."


_BIG = "The paper prints 585 M and 6.9 M; TensorFlow's own README 582 M and 6.06 M, as counted."

VARIANTS = (
    _megvii("x0_15", 0.15, table8(40, 39, 55.1, 351, 33.6, note=_gap(38.6, 39))),
    _row(
        "0_35", 0.35,
        *_readme(1.66, (224, 59), (192, 43), (160, 30), (128, 20), (96, 11)),
    ),
    _megvii(
        "x0_4", 0.4, table8(40, 43, 43.4, 333, 33.2, resolution=160, note=_gap(45.4, 43))
    ),
    _row("0_5", 0.5, *_readme(1.95, (224, 97), (192, 71), (160, 50), (128, 32), (96, 18))),
    _megvii("x0_6", 0.6, table8(140, 141, 33.3, 249, 14.9, note=_gap(141.1, 141))),
    _row(
        "0_75", 0.75,
        *_readme(2.61, (224, 209), (192, 153), (160, 107), (128, 69), (96, 39)),
    ),
    _megvii(
        "x0_75_megvii", 0.75,
        table8(140, 145, 32.1, 235, 15.9, resolution=192, note=_gap(141.7, 145)),
    ),
    _row(
        "1_0", 1.0,
        table8(300, 300, 28.0, 180, 8.9, params_m=3.4),
        Published(TABLE_4, mflops=300, params_m=3.4, top1_error=28.0),
        Published(
            SHUFFLENET_V2, mflops=301, top1_error=28.3, gpu_batches_per_s=180,
            arm_images_per_s=8.9,
        ),
        Published(README, 192, mflops=221, params_m=3.47, top1_error=29.3),
        Published(README, 160, mflops=154, params_m=3.47, top1_error=31.2),
        Published(README, 128, mflops=99, params_m=3.47, top1_error=34.7),
        Published(README, 96, mflops=56, params_m=3.47, top1_error=39.7),
    ),
    _row("1_3", 1.3, Published(README, mflops=509, params_m=5.34, top1_error=25.6)),
    _row(
        "1_4", 1.4,
        table8(500, 585, 25.3, 137, 5.4, params_m=6.9, note=_BIG),
        Published(TABLE_4, mflops=585, params_m=6.9, top1_error=25.3, note=_BIG),
        Published(
            SHUFFLENET_V2, mflops=587, top1_error=26.7, gpu_batches_per_s=137,
            arm_images_per_s=5.4, note="Their rounding of channels is unknown.",
        ),
    ),
)  # fmt: skip


@register("MobileNet V2", PAPER, VARIANTS)
def mobilenet_v2(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    rounding: Rounding = "tensorflow",
    dropout: float = 0.2,
    activation: Activation = "relu6",
    padding: Padding = "symmetric",
    norm_eps: float = 1e-5,
) -> Network:
    """MobileNetV2 (Table 2).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        width: the width multiplier.
        rounding: of channels: "tensorflow" or "megvii"; `widths` says how they differ.
        dropout: before the classifier.
        activation: "relu6" as in the paper.
        padding: "symmetric", or "same" for weights trained by TensorFlow.
        norm_eps: epsilon of batch norm (1e-3 in TensorFlow's code).
    """
    channels, outputs, last = widths(width, rounding)
    stride = 2
    stem = ConvNormAct(in_channels, channels, 3, 2, 1, activation, padding, norm_eps)
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", channels, stride), stem)]
    for number, (rows, outs) in enumerate(zip(BLOCKS, outputs, strict=True), start=1):
        blocks: list[nn.Module] = []
        for (expansion, _, repeats, first_stride), out in zip(rows, outs, strict=True):
            stride *= first_stride
            for index in range(repeats):
                step = first_stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(channels, out, expansion, step, activation, padding, norm_eps)
                )
                channels = out
        parts.append((Stage(f"stage{number}", channels, stride), nn.Sequential(*blocks)))
    final = ConvNormAct(channels, last, activation=activation, norm_eps=norm_eps)
    parts.append((Stage("last", last, stride), final))
    network = Network(parts, num_classes, dropout)
    init_mobilenet(network)
    return network
