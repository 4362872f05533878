"""Convolution, batch norm and activation: the blocks that the families here are made of."""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import UsageError, unknown

Padding = Literal["symmetric", "same", "valid"]
"""kernel // 2 on all sides, as TensorFlow's "SAME" does, or none."""
Activation = Literal["relu", "relu6", "leaky_relu"]
Kernel = int | tuple[int, int]
"""One side of a square in pixels, or (height, width)."""


_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.1, inplace=True),  # Darknet's slope
}


def activation_layer(name: Activation) -> nn.Module:
    """A fresh activation.

    Raises:
        UsageError: an unknown name.
    """
    if name not in _ACTIVATIONS:
        raise unknown("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]()


class SamePadConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME" does: what is odd goes right and bottom.

    At stride 2 on an even size that pads right and bottom only, so weights trained with it lose
    accuracy under symmetric padding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, ceil(height / s), ceil(width / s))."""
        pads: list[int] = []
        for size, kernel, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def _convolution(
    in_channels: int,
    out_channels: int,
    kernel: Kernel,
    stride: int,
    groups: int,
    padding: Padding,
    bias: bool,
) -> nn.Conv2d:
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    # A 1x1 convolution needs no padding, and at stride 1 both rules pad alike.
    same = padding == "same" and max(sides) > 1 and stride > 1
    if padding not in get_args(Padding):
        raise unknown("padding", padding, get_args(Padding))
    pads = (0, 0) if same or padding == "valid" else (sides[0] // 2, sides[1] // 2)
    conv = SamePadConv2d if same else nn.Conv2d
    return conv(in_channels, out_channels, sides, stride, pads, groups=groups, bias=bias)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, and an activation unless it is None.

    Args:
        in_channels: channels read.
        out_channels: channels written.
        kernel: kernel size in pixels: one side of a square, or (height, width).
        stride: stride in pixels.
        groups: groups of the convolution; `in_channels` makes it depthwise.
        activation: "relu", "relu6", "leaky_relu", or None for a linear output.
        padding: "symmetric" pads kernel // 2 on all sides, "same" as TensorFlow does, "valid" not.
        norm_eps: the epsilon of batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Kernel = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = "relu",
        padding: Padding = "symmetric",
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv = _convolution(
            in_channels, out_channels, kernel, stride, groups, padding, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)
        if activation is not None:
            self.act = activation_layer(activation)


class NormActConv(nn.Sequential):
    """Batch norm, ReLU, and a convolution without bias: "pre-activation" (DenseNet, Section 3)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Kernel = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.act = nn.ReLU(inplace=True)
        self.conv = _convolution(
            in_channels, out_channels, kernel, stride, groups, "symmetric", bias=False
        )


class ConvAct(nn.Sequential):
    """Convolution with bias, and an activation unless it is None: networks before batch norm."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Kernel = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = "relu",
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        self.conv = _convolution(
            in_channels, out_channels, kernel, stride, groups, padding, bias=True
        )
        if activation is not None:
            self.act = activation_layer(activation)


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (Hu et al., 2018, Section 3): channels weighted by their averages.

    Args:
        channels: channels read, weighted and put out.
        hidden: outputs of the first of the two layers.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        scale: Tensor = self.expand(F.relu(self.reduce(self.pool(x))))
        return x * scale.sigmoid()


def pooled_stem(in_channels: int, out_channels: int, stride: int = 4) -> nn.Sequential:
    """3x3 convolution and 3x3 max pooling, both with stride 2 (ShuffleNet V1, Table 1).

    Maps (batch, in, height, width) to (batch, out, height / 4, width / 4), rounded up. A stem for
    small images leaves the pooling out (stride 2), and the convolution's stride too (stride 1).

    Raises:
        UsageError: another stride than 1, 2 or 4.
    """
    if stride not in (1, 2, 4):
        raise UsageError(f"the stride of the stem must be 1, 2 or 4, not {stride}")
    pool = nn.MaxPool2d(3, 2, padding=1) if stride == 4 else nn.Identity()
    return nn.Sequential(ConvNormAct(in_channels, out_channels, 3, min(stride, 2)), pool)


def classifier_head(features: int, num_classes: int, bias: bool = True) -> nn.Module:
    """The last linear layer, or an identity for `num_classes` 0 (features instead of scores)."""
    return nn.Linear(features, num_classes, bias) if num_classes else nn.Identity()
