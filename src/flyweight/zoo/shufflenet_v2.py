"""ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (Ma et al., 2018).

Two forms of the network are in use, and from 1x up they are different networks:

* "paper": in a unit with stride 2 the projection branch keeps the input's channels and the main
  branch adds the rest. Its multiply-adds are those that the paper prints (146 M at 1x). Concat,
  shuffle and split are merged, as in the authors' code: a unit's identity half is the even channels
  of its input, its convolution half the odd ones.
* "halved": both branches give half of the output (145 M at 1x). Channels are split into first and
  second half, and shuffled at the end of every unit. Most public weights have this form.

At 0.5x they are the same function up to an order of the channels.

The paper's other networks are options of either form: squeeze-and-excitation and a residual path
(Appendix Figure 2), 50 and 164 layers (Appendix Table 2), and "V2*" with a larger receptive field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import unknown
from flyweight.nn import ConvNormAct, Network, SqueezeExcite, Stage, channel_shuffle, pooled_stem
from flyweight.nn.init import init_shufflenet
from flyweight.zoo import shufflenet_v2_deep
from flyweight.zoo.published import V2_TABLE_8, Published, Variant, table8
from flyweight.zoo.registry import register

Form = Literal["paper", "halved"]
SeOn = Literal["branch", "concat"]
ExtraDepthwise = Literal["basic", "all"]

PAPER = "ShuffleNet V2 (Ma, Zhang, Zheng, Sun; ECCV 2018; arXiv 1807.11164)"
TABLE_7 = "ShuffleNet V2 (arXiv 1807.11164), Table 7"
README = "README of the authors' ShuffleNetV2 code"


@dataclass(frozen=True)
class Kind:
    """What a network's units have in common.

    Attributes:
        form: "paper" or "halved".
        se_on: what squeeze-and-excitation weights, if anything: the convolutions' branch or the
            concatenation of both.
        residual: whether units with stride 1 add the convolutions' input to their output.
        extra_depthwise: which units have one more 3x3 depthwise convolution, if any.
    """

    form: Form
    se_on: SeOn | None
    residual: bool
    extra_depthwise: ExtraDepthwise | None


def _depthwise(channels: int, stride: int = 1) -> ConvNormAct:
    return ConvNormAct(channels, channels, 3, stride, groups=channels, activation=None)


def _branch(channels: int, middle: int, out: int, stride: int, linear: bool) -> nn.Sequential:
    """1x1, 3x3 depthwise (without activation), 1x1: Figure 3 (c) and (d), right side."""
    return nn.Sequential(
        ConvNormAct(channels, middle),
        _depthwise(middle, stride),
        ConvNormAct(middle, out, activation=None if linear else "relu"),
    )


def _excite(channels: int, hidden: int, present: bool) -> nn.Module:
    return SqueezeExcite(channels, hidden) if present else nn.Identity()


class BasicUnit(nn.Module):
    """The unit with stride 1 (Figure 3 (c)): half of the channels go through untouched."""

    def __init__(self, channels: int, kind: Kind) -> None:
        super().__init__()
        half = channels // 2
        self.form = kind.form
        self.residual = kind.residual
        self.extra = _depthwise(half) if kind.extra_depthwise else nn.Identity()
        self.main = _branch(half, half, half, stride=1, linear=kind.residual)
        self.excite = _excite(half, half, kind.se_on == "branch")
        self.excite_all = _excite(channels, half, kind.se_on == "concat")

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        if self.form == "paper":
            # Not x[:, 0::2]: OpenVINO is slow at slices with a step.
            identity, rest = x.unflatten(1, (x.shape[1] // 2, 2)).unbind(2)
        else:
            identity, rest = x.chunk(2, 1)
        y = self.excite(self.main(self.extra(rest)))
        if self.residual:
            y = F.relu(rest + y)
        out: Tensor = self.excite_all(torch.cat((identity, y), 1))
        return out if self.form == "paper" else channel_shuffle(out, 2)


class DownUnit(nn.Module):
    """The unit with stride 2 (Figure 3 (d)): no split, both branches read all channels.

    With stride 1 it starts the networks for large models, whose first stage widens only.
    """

    def __init__(self, in_channels: int, out_channels: int, kind: Kind, stride: int = 2) -> None:
        super().__init__()
        self.form = kind.form
        kept = in_channels if kind.form == "paper" else out_channels // 2
        main = out_channels - kept
        middle = out_channels // 2
        self.projection = nn.Sequential(
            _depthwise(in_channels, stride), ConvNormAct(in_channels, kept)
        )
        self.extra = _depthwise(in_channels) if kind.extra_depthwise == "all" else nn.Identity()
        self.main = _branch(in_channels, middle, main, stride, linear=False)
        self.excite = _excite(main, main, kind.se_on == "branch")
        self.excite_all = _excite(out_channels, middle, kind.se_on == "concat")

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / s, width / s), rounded up."""
        y = self.excite(self.main(self.extra(x)))
        out: Tensor = self.excite_all(torch.cat((self.projection(x), y), 1))
        return out if self.form == "paper" else channel_shuffle(out, 2)


_SOURCES = {
    "paper": (
        "Table 5 and Figure 3 (c), (d); from the authors' code: no bias in the classifier.",
        "Figure 3 doesn't say how a stride-2 unit divides its output between the branches; as in"
        " the authors' code the projection keeps the input's channels, which gives the printed"
        " multiply-adds (rounded up).",
    ),
    "halved": (
        "Table 5 and Figure 3 (c), (d).",
        "Both branches of a stride-2 unit give half of the output: not the paper's multiply-adds"
        " from 1x up, but the form of most public weights.",
    ),
}


def _row(
    size: str,
    widths: tuple[int, ...],
    *published: Published,
    form: Form = "paper",
    reading: str = "",
    **options: object,
) -> Variant:
    paper, common = _SOURCES[form]
    name = f"shufflenet_v2_{size}" + ("" if form == "paper" else f"_{form}")
    settings = {"widths": widths, "form": form, "classifier_bias": form != "paper", **options}
    return Variant(name, settings, published, paper, f"{common} {reading}".strip())


def _star(level: int, size: str) -> Variant:
    """A network of Table 7, which prints the level of complexity only."""
    return _row(
        f"x{size}_star",
        _WIDTHS[size],
        Published(TABLE_7, mflops=level, note="Table 7 prints the level of complexity only."),
        reading=_STAR,
        extra_depthwise="basic",
    )


_WIDTHS = {
    "0_5": (24, 48, 96, 192, 1024),
    "1_0": (24, 116, 232, 464, 1024),
    "1_5": (24, 176, 352, 704, 1024),
    "2_0": (24, 244, 488, 976, 2048),
}
_SE_593 = (
    "With the module on the branch it is 593.8 M; on the concatenation it is the printed 597 M"
    " (shufflenet_v2_x2_0_se_concat)."
)
_SE_BRANCH = (
    "Where the module of squeeze-and-excitation sits is in a figure that isn't in the text. Here:"
    " after the branch's last ReLU, with as many hidden values as the branch puts out, half of a"
    " unit's channels, as Appendix Table 2 says and the authors' code of the large network has it."
)
_SE_CONCAT = (
    "Squeeze-and-excitation on the concatenation, with half as many hidden values as channels:"
    " the place that gives the printed multiply-adds. The paper's error stands with the network"
    " that has it on the branch."
)
_STAR = (
    "One more 3x3 depthwise convolution before the first 1x1 of each basic unit, with batch norm"
    ' and without activation, like the other one. "Each building block" may mean the units with'
    ' stride 2 too: extra_depthwise="all".'
)


def _readme(mflops: float, params_m: float, top1_error: float, top5_error: float) -> Published:
    return Published(README, 224, mflops, params_m, top1_error, top5_error)


TORCHVISION = {
    size: Published("torchvision's documentation", 224, mflops, params_m, error)
    for size, mflops, params_m, error in (
        ("0_5", 40, 1.366792, 39.4),
        ("1_0", 145, 2.278604, 30.6),
        ("1_5", 296, 3.503624, 27.0),
        ("2_0", 583, 7.393996, 23.8),
    )
}

# Table 5 (channels of conv1, stages 2 to 4 and conv5; weights) and Table 8.
VARIANTS = (
    _row("x0_5", _WIDTHS["0_5"], table8(40, 41, 39.7, 417, 57.0, params_m=1.4),
         _readme(41, 1.4, 38.9, 17.4)),
    _row("x1_0", _WIDTHS["1_0"], table8(140, 146, 30.6, 341, 24.4, params_m=2.3),
         _readme(146, 2.3, 30.6, 11.1)),
    _row("x1_5", _WIDTHS["1_5"], table8(300, 299, 27.4, 255, 11.8, params_m=3.5),
         _readme(299, 3.5, 27.4, 9.4)),
    _row("x2_0", _WIDTHS["2_0"], table8(500, 591, 25.1, 217, 6.7, params_m=7.4),
         _readme(591, 7.4, 25.0, 7.6)),
    *(_row(f"x{size}", _WIDTHS[size], row, form="halved") for size, row in TORCHVISION.items()),
    _row("x2_0_se", _WIDTHS["2_0"], table8(500, 597, 24.6, 161, 5.6, note=_SE_593),
         reading=_SE_BRANCH, se_on="branch"),
    _row("x2_0_se_concat", _WIDTHS["2_0"], Published(V2_TABLE_8, mflops=597),
         reading=_SE_CONCAT, se_on="concat"),
    *(_star(level, size) for level, size in zip((40, 140, 300, 500), _WIDTHS, strict=True)),
    *shufflenet_v2_deep.VARIANTS,
)  # fmt: skip


def _stem(
    in_channels: int, channels: int, more: Sequence[int], stride: int
) -> tuple[nn.Sequential, int]:
    """The stem and its output channels: `more` 3x3 convolutions before the pooling."""
    first, pool = pooled_stem(in_channels, channels, stride)
    layers: list[nn.Module] = [first]
    for width in more:
        layers.append(ConvNormAct(channels, width, 3))
        channels = width
    return nn.Sequential(*layers, pool), channels


@register("ShuffleNet V2", PAPER, VARIANTS)
def shufflenet_v2(
    num_classes: int = 1000,
    in_channels: int = 3,
    widths: Sequence[int] = _WIDTHS["1_0"],
    form: Form = "paper",
    repeats: Sequence[int] = (4, 8, 4),
    first_stride: int = 2,
    stem_convs: Sequence[int] = (),
    stem_stride: int = 4,
    se_on: SeOn | None = None,
    residual: bool = False,
    extra_depthwise: ExtraDepthwise | None = None,
    dropout: float = 0.0,
    classifier_bias: bool = False,
) -> Network:
    """ShuffleNet V2 (Table 5).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        widths: output channels of conv1, stages 2, 3, 4 (and 5), and the last convolution.
        form: "paper" or "halved"; the module's docstring says how they differ.
        repeats: units of each stage.
        first_stride: stride of stage 2 (1 in the networks for large models); later ones have 2.
        stem_convs: output channels of further 3x3 convolutions between conv1 and the pooling.
        stem_stride: of conv1 and pooling together; 2 (without pooling) or 1 for small images.
        se_on: squeeze-and-excitation on the "branch" of convolutions, on the "concat" of both
            branches, or None.
        residual: whether units with stride 1 add the convolutions' input to their output.
        extra_depthwise: one more 3x3 depthwise convolution before the first 1x1 of the "basic"
            units (with stride 1), of "all", or None.
        dropout: before the classifier (the authors' code has 0.2 at 2x, none elsewhere).
        classifier_bias: whether the classifier has a bias (not in the authors' code).

    Raises:
        UsageError: an unknown form, place of squeeze-and-excitation, or set of units.
    """
    for option, value, known in (
        ("form", form, get_args(Form)),
        ("se_on", se_on, get_args(SeOn)),
        ("extra_depthwise", extra_depthwise, get_args(ExtraDepthwise)),
    ):
        if value is not None and value not in known:
            raise unknown(option, value, known)
    kind = Kind(form, se_on, residual, extra_depthwise)
    first, *stages, last = widths
    stem, channels = _stem(in_channels, first, stem_convs, stem_stride)
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", channels, stem_stride), stem)]
    reduction = stem_stride
    for number, (width, count) in enumerate(zip(stages, repeats, strict=True), start=2):
        stride = first_stride if number == 2 else 2
        reduction *= stride
        units: list[nn.Module] = [DownUnit(channels, width, kind, stride)]
        units += [BasicUnit(width, kind) for _ in range(count - 1)]
        parts.append((Stage(f"stage{number}", width, reduction), nn.Sequential(*units)))
        channels = width
    parts.append((Stage(f"conv{len(stages) + 2}", last, reduction), ConvNormAct(channels, last)))
    network = Network(parts, num_classes, dropout, classifier_bias)
    init_shufflenet(network)
    return network
