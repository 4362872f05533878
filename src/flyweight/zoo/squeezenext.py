"""SqueezeNext: Hardware-Aware Neural Network Design (Gholami et al., 2018).

What the paper leaves out is in its authors' network files (Caffe): 1.0-23, 1.0-G-23, 1.0-23v5,
2.0-23 and 2.0-23v5. They differ in how a stage begins:

* "parallel": the projection that fits the shortcut reads the same input as the block's branch
  (version 1).
* "series": the projection comes first, and a block with a plain shortcut follows (version 5).
"""

import itertools
from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import unknown
from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.init import init_xavier
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

Projection = Literal["parallel", "series"]

PAPER = "SqueezeNext (Gholami, Kwon, Wu, Tai, Yue, Jin, Zhao, Keutzer; 2018; arXiv 1803.10615)"
ACCURACY = "SqueezeNext (arXiv 1803.10615), table of accuracy"
WIDER = "SqueezeNext (arXiv 1803.10615), table of wider networks"
HARDWARE = "SqueezeNext (arXiv 1803.10615), table of hardware performance"

WIDTHS = (32, 64, 128, 256)
STEM = 64
LAST = 128


class Block(nn.Module):
    """The SqueezeNext block (Figures 1 and 2): two squeezes, two separable filters, an expansion.

    Args:
        in_channels: channels read.
        out_channels: channels put out.
        stride: of the first convolution that reads the input.
        groups: of the first squeeze and of the two separable convolutions.
        flat_first: whether the 1x3 filter comes before the 3x1 one (kernels in rows x columns).
        projection: None for a plain shortcut, or where its 1x1 convolution stands.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        groups: int,
        flat_first: bool,
        projection: Projection | None,
    ) -> None:
        super().__init__()
        self.series = projection == "series"
        self.projection = (
            ConvNormAct(in_channels, out_channels, 1, stride) if projection else nn.Identity()
        )
        if self.series:
            in_channels, stride = out_channels, 1
        half, quarter = out_channels // 2, out_channels // 4
        kernels = ((1, 3), (3, 1)) if flat_first else ((3, 1), (1, 3))
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, half, 1, stride, groups),
            ConvNormAct(half, quarter),
            ConvNormAct(quarter, half, kernels[0], groups=groups),
            ConvNormAct(half, half, kernels[1], groups=groups),
            ConvNormAct(half, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        shortcut = self.projection(x)
        y: Tensor = self.branch(shortcut if self.series else x)
        return F.relu(shortcut + y)


class Node(nn.Module):
    """A node of iterative deep aggregation (Yu et al., 2018): a stage joined to those before it.

    Args:
        in_channels: channels of the aggregate so far, on maps of twice the side.
        out_channels: channels of the stage, and of the new aggregate.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.projection = ConvNormAct(in_channels, out_channels, 1, 2)
        self.join = ConvNormAct(2 * out_channels, out_channels)

    def forward(self, aggregate: Tensor, x: Tensor) -> Tensor:
        """Map the aggregate and the stage's (batch, out, height, width) to that shape."""
        joined: Tensor = self.join(torch.cat((self.projection(aggregate), x), 1))
        return joined


class AggregatedNetwork(Network):
    """A `Network` whose last stage reads an aggregate of the others, not the one before it.

    Args:
        stages: as for `Network`: the stem, those that are aggregated, and the last one.
        num_classes: as for `Network`.
        dropout: likewise.
        classifier_bias: likewise.
    """

    def __init__(
        self,
        stages: Sequence[tuple[Stage, nn.Module]],
        num_classes: int,
        dropout: float,
        classifier_bias: bool,
    ) -> None:
        super().__init__(stages, num_classes, dropout, classifier_bias)
        joined = self.stage_info[1:-1]
        self.nodes = nn.ModuleDict(
            {
                info.name: Node(before.channels, info.channels)
                for before, info in itertools.pairwise(joined)
            }
        )

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to the last stage's feature map."""
        return self.features(x, [-1])[0]

    def features(self, x: Tensor, stages: Sequence[str | int] | None = None) -> list[Tensor]:
        """The feature maps of some stages, as `Network.features` gives them."""
        names = [info.name for info in self.stage_info]
        wanted = names if stages is None else [self._stage_name(stage) for stage in stages]
        found: dict[str, Tensor] = {}
        aggregate = x
        for name, stage in self.stages.items():
            if len(found) == len(set(wanted)):
                break
            x = stage(aggregate if name == names[-1] else x)
            aggregate = self.nodes[name](aggregate, x) if name in self.nodes else x
            if name in wanted:
                found[name] = x
        return [found[name] for name in wanted]


_FILES = (
    "Figures 1 to 3; from the authors' network files (there are five: 1.0-23, 1.0-G-23, 1.0-23v5,"
    " 2.0-23 and 2.0-23v5): batch norm and ReLU after every convolution, also after the last one of"
    " a block and after the projection; no bias anywhere, the classifier included; 3x1 first in odd"
    " blocks, 1x3 first in even ones."
)
_PARALLEL = (
    "The text doesn't say how a stage begins; as in the authors' file of version 1, the projection"
    " and the branch read the same input."
)
_SERIES = (
    "The text doesn't say how a stage begins; as in the authors' file of version 5, the projection"
    " comes before the whole block, which gives the printed parameters of versions 2 to 4 too."
)
_GROUPS = (
    " Nor does it say which convolutions have groups; in the file they are the first squeeze and"
    " the two separable ones of every block."
)
_DEEPER = (
    " How many blocks each stage has isn't printed. The 23 layers of the name are 21 blocks and two"
    " more; these 32 or 42 blocks, in about the same proportions, give the printed parameters."
)
_IDA = (
    " There is no code for IDA. As in Deep Layer Aggregation (Yu et al., 2018): from stage 2 on, a"
    " strided 1x1 convolution brings the aggregate to the stage's width, and a 1x1 convolution"
    " joins both. That gives the printed parameters; joining the aggregate as it is doesn't."
)


_DEPTHS_34 = (9, 9, 12, 2)
_DEPTHS_44 = (12, 12, 16, 2)


def _row(name: str, options: dict[str, object], *published: Published) -> Variant:
    reading = _SERIES if options.get("projection") == "series" else _PARALLEL
    reading += _GROUPS if "groups" in options else ""
    reading += _DEEPER if options.get("depths") in (_DEPTHS_34, _DEPTHS_44) else ""
    reading += _IDA if "aggregated" in options else ""
    return Variant(f"squeezenext_{name}", options, published, _FILES, reading)


def _accuracy(params_m: float, top1: float, top5: float, source: str = ACCURACY) -> Published:
    """A row of the tables that print accuracies; ours are errors."""
    return Published(source, 227, None, params_m, round(100 - top1, 2), round(100 - top5, 2))


def _hardware(mflops: float, params_m: float, top1: float, top5: float) -> Published:
    """A row of the table of hardware performance, likewise."""
    return Published(
        HARDWARE, 227, mflops, params_m, round(100 - top1, 2), round(100 - top5, 2),
        note="The authors' tool also counts pooling, batch norm and additions: about 1 % more.",
    )  # fmt: skip


_V2: dict[str, object] = {"stem_kernel": 5, "projection": "series"}
_V3, _V4, _V5 = ({**_V2, "depths": d} for d in ((4, 8, 8, 1), (2, 10, 8, 1), (2, 4, 14, 1)))
_34: dict[str, object] = {"depths": _DEPTHS_34}
_44: dict[str, object] = {"depths": _DEPTHS_44}

VARIANTS = (
    _row("x1_0_23", {}, _accuracy(0.72, 59.05, 82.60), _hardware(282, 0.72, 59.05, 82.60)),
    _row("x1_0_23_v2", _V2, _hardware(228, 0.74, 58.55, 82.09)),
    _row("x1_0_23_v3", _V3, _hardware(228, 0.74, 58.18, 81.96)),
    _row("x1_0_23_v4", _V4, _hardware(228, 0.77, 59.09, 82.41)),
    _row("x1_0_23_v5", _V5, _hardware(228, 0.94, 59.24, 82.41)),
    _row("x1_0_23_g", {"groups": 2}, _accuracy(0.54, 57.16, 80.23)),
    _row("x1_0_23_ida", {"aggregated": True}, _accuracy(0.9, 60.35, 83.56)),
    _row("x1_0_34", _34, _accuracy(1.0, 61.39, 84.31)),
    _row("x1_0_34_ida", {**_34, "aggregated": True}, _accuracy(1.3, 62.56, 84.93)),
    _row("x1_0_44", _44, _accuracy(1.2, 62.64, 85.15)),
    _row("x1_0_44_ida", {**_44, "aggregated": True}, _accuracy(1.5, 63.75, 85.97)),
    _row("x1_5_23", {"width": 1.5}, _accuracy(1.4, 63.52, 85.66, WIDER)),
    _row("x1_5_34", {"width": 1.5, **_34}, _accuracy(2.1, 66.00, 87.40, WIDER)),
    _row("x1_5_44", {"width": 1.5, **_44}, _accuracy(2.6, 67.28, 88.15, WIDER)),
    _row(
        "x2_0_23", {"width": 2.0},
        _accuracy(2.4, 67.18, 88.17, WIDER), _hardware(749, 2.4, 67.18, 88.17),
    ),
    _row("x2_0_34", {"width": 2.0, **_34}, _accuracy(3.8, 68.46, 88.78, WIDER)),
    _row("x2_0_44", {"width": 2.0, **_44}, _accuracy(4.4, 69.59, 89.53, WIDER)),
    _row("x2_0_23_v4", {"width": 2.0, **_V4}, _hardware(708, 2.56, 66.95, 87.89)),
    _row(
        "x2_0_23_v5", {"width": 2.0, **_V5},
        _accuracy(3.2, 67.44, 88.20, WIDER), _hardware(708, 3.23, 67.44, 88.20),
        Published(WIDER, 227, top1_error=30.2, top5_error=10.5, note="In brackets in the table."),
    ),
)  # fmt: skip


@register("SqueezeNext", PAPER, VARIANTS)
def squeezenext(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    depths: Sequence[int] = (6, 6, 8, 1),
    stem_kernel: int = 7,
    projection: Projection = "parallel",
    groups: int = 1,
    aggregated: bool = False,
    dropout: float = 0.0,
    classifier_bias: bool = False,
) -> Network:
    """SqueezeNext (Figure 3).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        width: times the channels of the four stages; the stem's 64 and the last 128 stay.
        depths: blocks of the four stages.
        stem_kernel: kernel size of the first convolution: 7, or 5 from version 2 on.
        projection: where a stage's first block projects: "parallel" or "series".
        groups: of the first squeeze and of the separable convolutions.
        aggregated: whether the stages are joined by iterative deep aggregation (IDA).
        dropout: before the classifier (none in the authors' files).
        classifier_bias: whether the classifier has a bias (not in the authors' files).

    Raises:
        UsageError: an unknown projection.
    """
    if projection not in get_args(Projection):
        raise unknown("projection", projection, get_args(Projection))
    stem = nn.Sequential(
        ConvNormAct(in_channels, STEM, stem_kernel, 2, padding="valid"),
        # Caffe's pooling rounds up.
        nn.MaxPool2d(3, 2, ceil_mode=True),
    )
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", STEM, 4), stem)]
    channels, stride, built = STEM, 4, 0
    for number, (full_width, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=1):
        out = int(full_width * width)
        blocks: list[nn.Module] = []
        for index in range(depth):
            step = 2 if index == 0 and number > 1 else 1
            fit = projection if index == 0 else None
            flat_first = built % 2 == 1
            blocks.append(Block(channels, out, step, groups, flat_first, fit))
            channels, stride, built = out, stride * step, built + 1
        parts.append((Stage(f"stage{number}", out, stride), nn.Sequential(*blocks)))
    parts.append((Stage("last", LAST, stride), ConvNormAct(channels, LAST)))
    kind = AggregatedNetwork if aggregated else Network
    network = kind(parts, num_classes, dropout, classifier_bias)
    init_xavier(network)
    return network
