"""GoogLeNet: Going Deeper with Convolutions (Szegedy et al., 2015)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from flyweight.errors import unknown
from flyweight.nn import ConvAct, ConvNormAct, LocalResponseNorm, Network, Stage
from flyweight.nn.init import init_truncated, init_xavier
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "GoogLeNet (Szegedy et al.; CVPR 2015; arXiv 1409.4842)"

Form = Literal["paper", "batch_norm"]

# Table 1, by stage, a row a module: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
MODULES = {
    "stage3": (
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
    ),
    "stage4": (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    "stage5": (
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    ),
}


class Convolutions:
    """Makes the convolutions of a form: with bias as in the paper, or with batch norm.

    Args:
        form: "paper" or "batch_norm".
        norm_eps: epsilon of batch norm.
    """

    def __init__(self, form: Form, norm_eps: float) -> None:
        self.normalised = form == "batch_norm"
        self.norm_eps = norm_eps

    def __call__(self, channels: int, out: int, kernel: int = 1, stride: int = 1) -> nn.Module:
        """A convolution and a ReLU."""
        if self.normalised:
            return ConvNormAct(channels, out, kernel, stride, norm_eps=self.norm_eps)
        return ConvAct(channels, out, kernel, stride)


class Inception(nn.Module):
    """An Inception module (Figure 2 (b)): four branches, concatenated.

    Args:
        conv: makes its convolutions.
        channels: channels read.
        widths: outputs of its convolutions, as a row of Table 1 lists them.
        large: kernel size of the branch that the paper calls 5x5.
    """

    def __init__(
        self, conv: Convolutions, channels: int, widths: tuple[int, ...], large: int
    ) -> None:
        super().__init__()
        ones, reduce3, threes, reduce5, fives, pool = widths
        self.one = conv(channels, ones)
        self.three = nn.Sequential(conv(channels, reduce3), conv(reduce3, threes, 3))
        self.five = nn.Sequential(conv(channels, reduce5), conv(reduce5, fives, large))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(channels, pool))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height, width)."""
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pool(x)), 1)


def pool_by_2(kernel: int = 3) -> nn.MaxPool2d:
    """Max pooling with stride 2; sizes are rounded up, as Caffe does."""
    return nn.MaxPool2d(kernel, 2, ceil_mode=True)


_TABLE_1 = "Table 1 and Figure 3, with 5x5 kernels, biases and local response normalisation."
_1500 = (
    "Its shapes give 1583 M. The rows of the GoogLeNet paper's Table 1 add up to 1502 M, with 34 M"
    " for the first convolution, whose shape gives 118 M."
)
_1550 = (
    "Its shapes give 1583 M and 7.0 M. The GoogLeNet paper's Table 1 adds up to 6798 K parameters;"
    " where the 1550 M come from isn't said."
)

VARIANTS = (
    Variant(
        "googlenet",
        {"form": "paper"},
        (
            Published(
                "ShuffleNet (arXiv 1707.01083 v2), Table 6",
                mflops=1500,
                top1_error=31.3,
                note=_1500,
            ),
            Published(
                "MobileNets (arXiv 1704.04861), Table 8",
                mflops=1550,
                params_m=6.8,
                top1_error=30.2,
                note=_1550,
            ),
        ),
        _TABLE_1 + " Dropout of 0.4, too.",
        "The auxiliary classifiers, for training only, are left out. Padding, the constants of the"
        " normalisation and the start of the weights (biases at 0) are those of the BVLC version in"
        " Caffe, which ShuffleNet's table measures.",
    ),
    Variant(
        "googlenet_bn",
        {"form": "batch_norm", "dropout": 0.2},
        (),
        "The modules of Table 1; all else is torchvision's, whose weights come from TensorFlow.",
        "Not the paper's network: batch norm in place of biases and local normalisation, 3x3"
        " kernels in the branch that the paper calls 5x5, 2x2 pooling before stage 5.",
    ),
)


@register("GoogLeNet", PAPER, VARIANTS)
def googlenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    form: Form = "paper",
    dropout: float = 0.4,
    norm_eps: float = 1e-3,
) -> Network:
    """GoogLeNet, also called Inception V1 (Table 1), without auxiliary classifiers.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        form: "paper", or "batch_norm" for the version that TensorFlow and torchvision publish.
        dropout: before the classifier.
        norm_eps: epsilon of batch norm, in the form that has it.
    """
    if form not in get_args(Form):
        raise unknown("form", form, get_args(Form))
    paper = form == "paper"
    conv = Convolutions(form, norm_eps)
    start: list[nn.Module] = [pool_by_2(), conv(64, 64), conv(64, 192, 3)]
    if paper:
        start = [pool_by_2(), LocalResponseNorm(), *start[1:], LocalResponseNorm()]
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", 64, 2), conv(in_channels, 64, 7, 2)),
        (Stage("stage2", 192, 4), nn.Sequential(*start)),
    ]
    channels, stride = 192, 4
    for name, rows in MODULES.items():
        stride *= 2
        layers: list[nn.Module] = [pool_by_2(2 if name == "stage5" and not paper else 3)]
        for row in rows:
            layers.append(Inception(conv, channels, row, large=5 if paper else 3))
            channels = row[0] + row[2] + row[4] + row[5]
        parts.append((Stage(name, channels, stride), nn.Sequential(*layers)))
    network = Network(parts, num_classes, dropout)
    if paper:
        init_xavier(network)
    else:
        init_truncated(network, 0.01)
    return network
