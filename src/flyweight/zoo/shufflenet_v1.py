"""ShuffleNet: An Extremely Efficient CNN for Mobile Devices (Zhang et al., 2017)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, Stage, channel_shuffle, pooled_stem
from flyweight.nn.init import init_shufflenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "ShuffleNet (Zhang, Zhou, Lin, Sun; CVPR 2018; arXiv 1707.01083)"
ARXIV_V1 = "ShuffleNet (arXiv 1707.01083 v1), Tables 1 and 2"
ARXIV_V2 = "ShuffleNet (arXiv 1707.01083 v2), Tables 1 and 2"


class Unit(nn.Module):
    """A ShuffleNet unit (Figure 2 (b) with stride 1, (c) with stride 2).

    Args:
        in_channels: channels read.
        out_channels: channels put out, shortcut included.
        groups: groups of the two pointwise convolutions.
        stride: 1 adds the shortcut, 2 concatenates it.
        first_groups: groups of the first pointwise convolution, where they differ.
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, stride: int, first_groups: int
    ) -> None:
        super().__init__()
        self.groups = groups
        self.stride = stride
        middle = out_channels // 4
        added = out_channels - in_channels if stride == 2 else out_channels
        self.squeeze = ConvNormAct(in_channels, middle, groups=first_groups)
        self.depthwise = ConvNormAct(middle, middle, 3, stride, groups=middle, activation=None)
        self.expand = ConvNormAct(middle, added, groups=groups, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        y = self.squeeze(x)
        if self.groups > 1:
            y = channel_shuffle(y, self.groups)
        y = self.expand(self.depthwise(y))
        if self.stride == 1:
            return F.relu(x + y)
        shortcut = F.avg_pool2d(x, 3, stride=2, padding=1)
        return torch.cat((shortcut, F.relu(y)), 1)


def _row(size: str, groups: int, stem: int, width: int, *published: Published) -> Variant:
    """A row of Table 1, or of Table 2 with the channels of Table 1 scaled."""
    return Variant(
        f"shufflenet_v1_x{size}_g{groups}",
        {"stem": stem, "width": width, "groups": groups},
        published,
        "Table 1 and Figure 2; a quarter of a unit's output is its bottleneck, and the first"
        " pointwise convolution of stage 2 is not grouped, as the text says. From the authors'"
        " code: no bias in the classifier.",
        "The paper scales all channels by s; the first layer's (12 at 0.5x, 24 at 1.5x, 48 at 2x)"
        " are the authors' code's, which gives the printed multiply-adds.",
    )


def _errors(mflops: float, arxiv_v1: float, arxiv_v2: float, note: str = "") -> list[Published]:
    """Both versions of the paper print the complexity; their errors differ."""
    return [
        Published(source, mflops=mflops, top1_error=error, note=note)
        for source, error in ((ARXIV_V2, arxiv_v2), (ARXIV_V1, arxiv_v1))
    ]


_NOMINAL = "Table 8 prints the nominal 140 M of Table 2; Table 1 has 137 M, as counted."
_G4 = "Table 1 prints 133 M; its own channels give 134.3 M."
_G8 = "Table 1 prints 137 M; its own channels give 138.4 M, as the authors' later README says."

VARIANTS = (
    _row("0_5", 3, 12, 120, table8(40, 38, 43.2, 347, 56.8), *_errors(38, 44.4, 43.2)),
    _row(
        "1_0", 3, 24, 240,
        table8(140, 140, 32.6, 213, 21.8, note=_NOMINAL), *_errors(137, 34.1, 32.6),
    ),
    _row("1_5", 3, 24, 360, table8(300, 292, 28.5, 164, 10.3), *_errors(292, 31.0, 28.5)),
    _row("2_0", 3, 48, 480, table8(500, 524, 26.3, 133, 6.4), *_errors(524, 29.1, 26.3)),
    _row("1_0", 1, 24, 144, *_errors(143, 35.1, 33.6)),
    _row("1_0", 2, 24, 200, *_errors(140, 34.2, 32.7)),
    _row("1_0", 4, 24, 272, *_errors(133, 34.3, 32.8, _G4)),
    _row("1_0", 8, 24, 384, *_errors(137, 34.7, 32.4, _G8)),
)  # fmt: skip


@register("ShuffleNet V1", PAPER, VARIANTS)
def shufflenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: int = 24,
    width: int = 240,
    groups: int = 3,
    repeats: Sequence[int] = (4, 8, 4),
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
        repeats: units of stages 2, 3 and 4.
        dropout: before the classifier (the paper has none).
        classifier_bias: whether the classifier has a bias (not in the authors' code).
    """
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", stem, 4), pooled_stem(in_channels, stem))
    ]
    channels = stem
    for number, count in enumerate(repeats, start=2):
        out = width * 2 ** (number - 2)
        units: list[nn.Module] = []
        for index in range(count):
            first_groups = 1 if number == 2 and index == 0 else groups
            units.append(Unit(channels, out, groups, 2 if index == 0 else 1, first_groups))
            channels = out
        parts.append((Stage(f"stage{number}", out, 2 ** (number + 1)), nn.Sequential(*units)))
    network = Network(parts, num_classes, dropout, classifier_bias)
    init_shufflenet(network)
    return network
