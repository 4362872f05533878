"""Convolution, batch norm and activation: the block that every family here is made of."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Padding = Literal["symmetric", "same"]
Activation = Literal["relu", "relu6"]

_ACTIVATIONS: dict[str, type[nn.ReLU] | type[nn.ReLU6]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


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


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, and an activation unless it is None.

    Args:
        in_channels: channels read.
        out_channels: channels written.
        kernel: square kernel size in pixels.
        stride: stride in pixels.
        groups: groups of the convolution; `in_channels` makes it depthwise.
        activation: "relu", "relu6" or None for a linear output.
        padding: "symmetric" pads kernel // 2 on all sides, "same" as TensorFlow does.
        norm_eps: the epsilon of batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = "relu",
        padding: Padding = "symmetric",
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        # A 1x1 convolution needs no padding, and at stride 1 both rules pad alike.
        same = padding == "same" and kernel > 1 and stride > 1
        conv = SamePadConv2d if same else nn.Conv2d
        self.conv = conv(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=0 if same else kernel // 2,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)
        if activation is not None:
            self.act = _ACTIVATIONS[activation](inplace=True)


def pooled_stem(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution and 3x3 max pooling, both with stride 2 (ShuffleNet V1, Table 1).

    Maps (batch, in, height, width) to (batch, out, height / 4, width / 4), rounded up.
    """
    return nn.Sequential(
        ConvNormAct(in_channels, out_channels, 3, 2), nn.MaxPool2d(3, 2, padding=1)
    )


def classifier_head(features: int, num_classes: int, bias: bool = True) -> nn.Module:
    """The last linear layer, or an identity for `num_classes` 0 (features instead of scores)."""
    return nn.Linear(features, num_classes, bias) if num_classes else nn.Identity()
