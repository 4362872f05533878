"""ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (Ma et al., 2018).

Two forms of the network are in use, and from 1x up they are different networks:

* "paper": in a unit with stride 2 the projection branch keeps the input's channels and the main
  branch adds the rest. Its multiply-adds are those that the paper prints (146 M at 1x). Concat,
  shuffle and split are merged, as in the authors' code: a unit's identity half is the even channels
  of its input, its convolution half the odd ones.
* "halved": both branches give half of the output (145 M at 1x). Channels are split into first and
  second half, and shuffled at the end of every unit. Most public weights have this form.

At 0.5x they are the same function up to an order of the channels.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, Stage, channel_shuffle, pooled_stem
from flyweight.nn.init import init_shufflenet
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

Form = Literal["paper", "halved"]

PAPER = "ShuffleNet V2 (Ma, Zhang, Zheng, Sun; ECCV 2018; arXiv 1807.11164)"


def _branch(channels: int, middle: int, out: int, stride: int) -> nn.Sequential:
    """1x1, 3x3 depthwise (without activation), 1x1: Figure 3 (c) and (d), right side."""
    return nn.Sequential(
        ConvNormAct(channels, middle),
        ConvNormAct(middle, middle, 3, stride, groups=middle, activation=None),
        ConvNormAct(middle, out),
    )


class BasicUnit(nn.Module):
    """The unit with stride 1 (Figure 3 (c)): half of the channels go through untouched."""

    def __init__(self, channels: int, form: Form) -> None:
        super().__init__()
        self.form = form
        self.main = _branch(channels // 2, channels // 2, channels // 2, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        if self.form == "paper":
            # Not x[:, 0::2]: OpenVINO is slow at slices with a step.
            even, odd = x.unflatten(1, (x.shape[1] // 2, 2)).unbind(2)
            return torch.cat((even, self.main(odd)), 1)
        identity, rest = x.chunk(2, 1)
        return channel_shuffle(torch.cat((identity, self.main(rest)), 1), 2)


class DownUnit(nn.Module):
    """The unit with stride 2 (Figure 3 (d)): no split, both branches read all channels."""

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__()
        self.form = form
        kept = in_channels if form == "paper" else out_channels // 2
        main = out_channels - kept
        middle = out_channels // 2
        self.projection = nn.Sequential(
            ConvNormAct(in_channels, in_channels, 3, 2, groups=in_channels, activation=None),
            ConvNormAct(in_channels, kept),
        )
        self.main = _branch(in_channels, middle, main, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / 2, width / 2), rounded up."""
        out = torch.cat((self.projection(x), self.main(x)), 1)
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
    size: str, widths: tuple[int, ...], *published: Published, form: Form = "paper"
) -> Variant:
    name = f"shufflenet_v2_x{size}" + ("" if form == "paper" else f"_{form}")
    options = {"widths": widths, "form": form, "classifier_bias": form != "paper"}
    return Variant(name, options, published, *_SOURCES[form])


_WIDTHS = {
    "0_5": (24, 48, 96, 192, 1024),
    "1_0": (24, 116, 232, 464, 1024),
    "1_5": (24, 176, 352, 704, 1024),
    "2_0": (24, 244, 488, 976, 2048),
}

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
    _row("0_5", _WIDTHS["0_5"], table8(40, 41, 39.7, 417, 57.0, params_m=1.4)),
    _row("1_0", _WIDTHS["1_0"], table8(140, 146, 30.6, 341, 24.4, params_m=2.3)),
    _row("1_5", _WIDTHS["1_5"], table8(300, 299, 27.4, 255, 11.8, params_m=3.5)),
    _row("2_0", _WIDTHS["2_0"], table8(500, 591, 25.1, 217, 6.7, params_m=7.4)),
    *(_row(size, _WIDTHS[size], row, form="halved") for size, row in TORCHVISION.items()),
)


@register("ShuffleNet V2", PAPER, VARIANTS)
def shufflenet_v2(
    num_classes: int = 1000,
    in_channels: int = 3,
    widths: Sequence[int] = _WIDTHS["1_0"],
    form: Form = "paper",
    dropout: float = 0.0,
    classifier_bias: bool = False,
) -> Network:
    """ShuffleNet V2 (Table 5).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        widths: output channels of conv1, stages 2, 3 and 4, and conv5.
        form: "paper" or "halved"; the module's docstring says how they differ.
        dropout: before the classifier (the authors' code has 0.2 at 2x, none elsewhere).
        classifier_bias: whether the classifier has a bias (not in the authors' code).
    """
    stem, *stages, last = widths
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", stem, 4), pooled_stem(in_channels, stem))
    ]
    channels = stem
    for number, (width, repeats) in enumerate(zip(stages, (4, 8, 4), strict=True), start=2):
        units: list[nn.Module] = [DownUnit(channels, width, form)]
        units += [BasicUnit(width, form) for _ in range(repeats - 1)]
        parts.append((Stage(f"stage{number}", width, 2 ** (number + 1)), nn.Sequential(*units)))
        channels = width
    parts.append((Stage("conv5", last, 32), ConvNormAct(channels, last)))
    network = Network(parts, num_classes, dropout, classifier_bias)
    init_shufflenet(network)
    return network
