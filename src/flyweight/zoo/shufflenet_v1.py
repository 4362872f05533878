"""ShuffleNet: An Extremely Efficient CNN for Mobile Devices (Zhang et al., 2017).

The shuffle follows the first pointwise convolution and reads the channels as (groups, n), as the
paper has it. The authors' later code shuffles after the depthwise convolution and by the inverse
permutation: the same function but for an order of the bottleneck's channels.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import UsageError
from flyweight.nn import ConvNormAct, Network, SqueezeExcite, Stage, channel_shuffle, pooled_stem
from flyweight.nn.init import init_shufflenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "ShuffleNet (Zhang, Zhou, Lin, Sun; CVPR 2018; arXiv 1707.01083)"
ARXIV_V1 = "ShuffleNet (arXiv 1707.01083 v1), Tables 1 and 2"
ARXIV_V2 = "ShuffleNet (arXiv 1707.01083 v2), Tables 1 and 2"
ARXIV_V1_TABLE_5 = "ShuffleNet (arXiv 1707.01083 v1), Table 5"
ARXIV_V2_TABLE_5 = "ShuffleNet (arXiv 1707.01083 v2), Table 5"
MOBILENET_V2 = "MobileNetV2 (arXiv 1801.04381), Table 4"
LARGE = "ShuffleNet V2 (arXiv 1807.11164), Table 6 and Appendix Table 2"
README = "README of the authors' ShuffleNetV1 code"


def _bottleneck(channels: int, ratio: float, groups: int) -> int:
    """`ratio` of the channels, as the nearest multiple of the groups; up where two are as near."""
    return max(groups, groups * math.floor(channels * ratio / groups + 0.5))


class Unit(nn.Module):
    """A ShuffleNet unit (Figure 2 (b) with stride 1, (c) with stride 2).

    Args:
        in_channels: channels read.
        out_channels: channels put out, shortcut included.
        groups: groups of the two pointwise convolutions.
        stride: 1 adds the shortcut, 2 concatenates it; so does 1 where the channels change.
        first_groups: groups of the first pointwise convolution, where they differ.
        mid_ratio: channels of the bottleneck for each channel put out.
        shuffle: whether channels are shuffled between the groups.
        se_reduction: channels put out for each hidden one of squeeze-and-excitation; None for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int,
        stride: int,
        first_groups: int,
        mid_ratio: float = 0.25,
        shuffle: bool = True,
        se_reduction: int | None = None,
    ) -> None:
        super().__init__()
        self.groups = groups if shuffle else 1
        self.stride = stride
        self.adds = stride == 1 and in_channels == out_channels
        middle = _bottleneck(out_channels, mid_ratio, groups)
        written = out_channels if self.adds else out_channels - in_channels
        self.squeeze = ConvNormAct(in_channels, middle, groups=first_groups)
        self.depthwise = ConvNormAct(middle, middle, 3, stride, groups=middle, activation=None)
        self.expand = ConvNormAct(middle, written, groups=groups, activation=None)
        self.excite = (
            nn.Identity()
            if se_reduction is None
            else SqueezeExcite(out_channels, out_channels // se_reduction)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        y = self.squeeze(x)
        if self.groups > 1:
            y = channel_shuffle(y, self.groups)
        y = self.expand(self.depthwise(y))
        if self.adds:
            y = F.relu(x + y)
        else:
            shortcut = F.avg_pool2d(x, 3, stride=2, padding=1) if self.stride == 2 else x
            y = torch.cat((shortcut, F.relu(y)), 1)
        out: Tensor = self.excite(y)
        return out


_SHAPE = (
    "Figure 2; a quarter of a unit's output is its bottleneck, and the first pointwise convolution"
    " of stage 2 is not grouped, as the text says. From the authors' code: no bias in the"
    " classifier."
)
_SCALED = (
    "The paper scales all channels by s; the first layer's (12 at 0.5x, 16 with 8 groups, 24 at"
    " 1.5x, 48 at 2x) are the authors' code's, which gives the printed multiply-adds."
)
_QUARTER = (
    "The paper scales all channels by s; the printed 13 M need a first layer of 12, not 6 channels."
)
_ROUNDED = " A bottleneck that its groups don't divide is rounded to the nearest multiple: {}."
_FIT = (
    "The paper says that two units leave stage 3 and that the maps widen, and prints no widths:"
    " these are ours, fitted to the printed multiply-adds."
)


def _row(
    name: str,
    groups: int,
    stem: int,
    width: int,
    *published: Published,
    reading: str = _SCALED,
    paper: str = f"Table 1 and {_SHAPE}",
    suffix: str = "",
    **options: object,
) -> Variant:
    """A row of Table 1, or of Table 2 with the channels of Table 1 scaled."""
    settings = {"stem": stem, "width": width, "groups": groups, **options}
    return Variant(f"shufflenet_v1_{name}_g{groups}{suffix}", settings, published, paper, reading)


def _errors(mflops: float, arxiv_v1: float, arxiv_v2: float, note: str = "") -> list[Published]:
    """Both versions of the paper print the complexity; their errors differ."""
    return [
        Published(source, mflops=mflops, top1_error=error, note=note)
        for source, error in ((ARXIV_V2, arxiv_v2), (ARXIV_V1, arxiv_v1))
    ]


def _readme(mflops: float, params_m: float, top1: float, top5: float) -> Published:
    return Published(README, 224, mflops, params_m, top1, top5)


def _mobilenet(mflops: float, params_m: float, error: float) -> Published:
    """MobileNetV2's paper prints accuracies (71.5 and 73.7)."""
    return Published(MOBILENET_V2, mflops=mflops, params_m=params_m, top1_error=error)


def _arch2(
    name: str, groups: int, stem: int, width: int, error: float, note: str = "", reading: str = ""
) -> Variant:
    """A row of "arch2" in Table 2 of arXiv v1."""
    mflops = 40 if name == "x0_5" else 13
    printed = Published(ARXIV_V1, mflops=mflops, top1_error=error, note=note)
    return _row(
        f"{name}_arch2", groups, stem, width, printed,
        reading=_FIT + reading, paper=_SHAPE, repeats=(4, 6, 4),
    )  # fmt: skip


def _unshuffled(row: Variant, error: float) -> Variant:
    """A row of Table 3 of arXiv v1, left column: without the shuffle."""
    return Variant(
        f"{row.name}_noshuffle",
        {**row.options, "shuffle": False},
        (Published("ShuffleNet (arXiv 1707.01083 v1), Table 3", top1_error=error),),
        row.from_paper,
        row.our_reading,
    )


_NOMINAL = "Table 8 prints the nominal 140 M of Table 2; Table 1 has 137 M, as counted."
_G4 = "Table 1 prints 133 M; its own channels give 134.3 M."
_G8 = "Table 1 prints 137 M; its own channels give 138.4 M, as the authors' later README says."
_HALF_G8 = "Table 2 prints 38 M for all groups; 8 give 40.5 M, as the authors' later README says."
_TEXT_RATIO = (
    "The bottleneck ratio that the table's caption states, 1:4, gives half of the printed 2.3 G;"
    " 1:2 gives 2.28 G."
)
_TABLE_RATIO = "Printed as 2.3 G."
_STEM_63 = (
    " The table's first layer has 64 channels, but 3 groups don't divide the 360 - 64 that the"
    " first unit adds to them: it has 63 here. The first unit of conv2_x widens with stride 1, so"
    " its shortcut is concatenated unpooled."
)

_ROWS = (
    _row("x0_25", 1, 12, 36, *_errors(13, 56.7, 57.1), reading=_QUARTER),
    _row("x0_25", 2, 12, 50, *_errors(13, 56.3, 56.8),
         reading=_QUARTER + _ROUNDED.format("12, 26 and 50 for 12.5, 25 and 50")),
    _row("x0_25", 3, 12, 60, *_errors(13, 55.6, 55.0), reading=_QUARTER),
    _row("x0_25", 4, 12, 68, *_errors(13, 54.5, 54.2),
         reading=_QUARTER + _ROUNDED.format("16, 36 and 68 for 17, 34 and 68")),
    _row("x0_25", 8, 8, 96, *_errors(13, 53.7, 52.7),
         reading="The paper scales all channels by s, but 8 groups don't divide the 96 - 6 that the"
         " first unit adds to the first layer's channels. 8 channels there give 12.4 M, 16 give"
         " 15.7 M; printed are 13 M."),
    _row("x0_5", 1, 12, 72, *_errors(38, 46.1, 45.1)),
    _row("x0_5", 2, 12, 100, *_errors(38, 45.1, 44.4),
         reading=_SCALED + _ROUNDED.format("26 for 25 in stage 2, up as 24 is as near")),
    _row("x0_5", 3, 12, 120, table8(40, 38, 43.2, 347, 56.8), *_errors(38, 44.4, 43.2),
         _readme(38, 0.7, 42.7, 20.0)),
    _row("x0_5", 4, 12, 136, *_errors(38, 43.7, 41.6),
         reading=_SCALED + _ROUNDED.format("36 for 34 in stage 2, up as 32 is as near")),
    _row("x0_5", 8, 16, 192, *_errors(38, 43.8, 42.3, _HALF_G8), _readme(40, 1.0, 41.2, 19.0)),
    _row("x1_0", 1, 24, 144, *_errors(143, 35.1, 33.6)),
    _row("x1_0", 2, 24, 200, *_errors(140, 34.2, 32.7)),
    _row("x1_0", 3, 24, 240, table8(140, 140, 32.6, 213, 21.8, note=_NOMINAL),
         *_errors(137, 34.1, 32.6), _readme(138, 1.9, 32.2, 12.3)),
    _row("x1_0", 4, 24, 272, *_errors(133, 34.3, 32.8, _G4)),
    _row("x1_0", 8, 24, 384, *_errors(137, 34.7, 32.4, _G8), _readme(138, 2.4, 32.0, 13.6)),
    _row("x1_5", 3, 24, 360, table8(300, 292, 28.5, 164, 10.3), *_errors(292, 31.0, 28.5),
         _mobilenet(292, 3.4, 28.5), _readme(292, 3.4, 28.4, 9.8)),
    _row("x1_5", 8, 24, 576, _readme(290, 4.3, 29.0, 10.4)),
    _row("x2_0", 3, 48, 480, table8(500, 524, 26.3, 133, 6.4), *_errors(524, 29.1, 26.3),
         _mobilenet(524, 5.4, 26.3), _readme(524, 5.4, 25.9, 8.6)),
    _row("x2_0", 3, 48, 480, Published(ARXIV_V2_TABLE_5, mflops=527, top1_error=24.7),
         reading=_SCALED + " Where the module sits and how much it reduces isn't said: on the"
         " output of every unit with reduction 16, as in its own paper, gives the printed 527 M.",
         suffix="_se", se_reduction=16),
    _row("x2_0", 8, 48, 768, _readme(522, 6.5, 27.1, 9.2)),
    _arch2("x0_25", 1, 8, 40, 56.5),
    _arch2("x0_25", 2, 8, 56, 55.3),
    _arch2("x0_25", 3, 6, 72, 55.5),
    _arch2("x0_25", 4, 8, 80, 54.3),
    _arch2("x0_25", 8, 8, 104, 53.3,
           reading=_ROUNDED.format("24, 56 and 104 for 26, 52 and 104")),
    _arch2("x0_5", 1, 16, 76, 45.7),
    _arch2("x0_5", 2, 24, 104, 44.3, "The width is our fit: 41.4 M."),
    _arch2("x0_5", 3, 12, 132, 43.8),
    _arch2("x0_5", 4, 24, 144, 43.2, "The width is our fit: 41.7 M."),
    _arch2("x0_5", 8, 24, 192, 42.7),
    _row("x0_5_shallow", 3, 12, 180,
         Published(ARXIV_V2_TABLE_5, mflops=40, top1_error=42.8, note="A width of ours, 41.6 M."),
         Published(ARXIV_V1_TABLE_5, mflops=40, top1_error=45.2, note="A width of ours, 41.6 M."),
         reading="The paper halves the number of units and prints no widths: this one is ours,"
         " fitted to the printed 40 M.",
         paper=_SHAPE, repeats=(2, 4, 2)),
    _row("50", 3, 63, 360, Published(LARGE, mflops=2300, top1_error=25.2, note=_TEXT_RATIO),
         reading="The error stands here, where the stated ratio is kept." + _STEM_63,
         paper=f"ShuffleNet V2, Appendix Table 2, with its bottleneck ratio of 1:4; {_SHAPE}",
         repeats=(3, 4, 6, 3), first_stride=1),
    _row("50", 3, 63, 360, Published(LARGE, mflops=2300, note=_TABLE_RATIO),
         reading="A bottleneck ratio of 1:2 gives the printed 2.3 G; the caption states 1:4. The"
         " error stands with shufflenet_v1_50_g3." + _STEM_63,
         paper="ShuffleNet V2, Appendix Table 2, but for the bottleneck ratio. From the authors'"
         " code: no bias in the classifier.",
         suffix="_half", repeats=(3, 4, 6, 3), first_stride=1, mid_ratio=0.5),
)  # fmt: skip
# Errors without the shuffle (Table 3 of arXiv v1).
_TABLE_3 = {
    "shufflenet_v1_x1_0_g3": 36.4,
    "shufflenet_v1_x0_5_g3": 46.1,
    "shufflenet_v1_x0_25_g3": 56.5,
    "shufflenet_v1_x0_25_arch2_g3": 56.6,
    "shufflenet_v1_x0_5_arch2_g8": 46.2,
    "shufflenet_v1_x0_25_arch2_g8": 57.3,
}
VARIANTS = (
    *_ROWS,
    *(_unshuffled(row, _TABLE_3[row.name]) for row in _ROWS if row.name in _TABLE_3),
)


@register("ShuffleNet V1", PAPER, VARIANTS)
def shufflenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: int = 24,
    width: int = 240,
    groups: int = 3,
    repeats: Sequence[int] = (4, 8, 4),
    first_stride: int = 2,
    stem_stride: int = 4,
    mid_ratio: float = 0.25,
    shuffle: bool = True,
    se_reduction: int | None = None,
    dropout: float = 0.0,
    classifier_bias: bool = False,
) -> Network:
    """ShuffleNet V1 (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        stem: channels of the first convolution.
        width: output channels of stage 2; each later stage doubles them.
        groups: groups of the pointwise convolutions.
        repeats: units of stages 2, 3 and 4 (and 5 in the network of 50 layers).
        first_stride: stride of stage 2 (1 in the network of 50 layers); the later ones have 2.
        stem_stride: of the first convolution and the pooling together; 2 (without pooling) or 1 for
            small images.
        mid_ratio: channels of a unit's bottleneck for each channel it puts out, rounded to the
            nearest multiple of the groups.
        shuffle: whether the channels are shuffled between the groups (Table 3).
        se_reduction: squeeze-and-excitation on every unit's output, with this many channels for
            each hidden one; None for none.
        dropout: before the classifier (the paper has none).
        classifier_bias: whether the classifier has a bias (not in the authors' code).

    Raises:
        UsageError: the groups don't divide the width, or what the first unit adds to the stem.
    """
    if width % groups or (width - stem) % groups:
        raise UsageError(
            f"shufflenet_v1: {groups} groups must divide width {width} and width - stem"
            f" {width - stem}"
        )
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", stem, stem_stride), pooled_stem(in_channels, stem, stem_stride))
    ]
    channels, reduction = stem, stem_stride
    for number, count in enumerate(repeats, start=2):
        out = width * 2 ** (number - 2)
        down = first_stride if number == 2 else 2
        reduction *= down
        units: list[nn.Module] = []
        for index in range(count):
            first_groups = 1 if number == 2 and index == 0 else groups
            stride = down if index == 0 else 1
            units.append(
                Unit(channels, out, groups, stride, first_groups, mid_ratio, shuffle, se_reduction)
            )
            channels = out
        parts.append((Stage(f"stage{number}", out, reduction), nn.Sequential(*units)))
    network = Network(parts, num_classes, dropout, classifier_bias)
    init_shufflenet(network)
    return network
