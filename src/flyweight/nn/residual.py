"""What ResNet, ResNeXt and SENet share: the sum with a shortcut, and stages of such blocks."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.nn.blocks import ConvNormAct
from flyweight.nn.network import Stage

Block = Callable[[int, int, int], nn.Module]
"""Channels read, channels put out, and stride, to a block."""


class Residual(nn.Module):
    """ReLU of the sum of a branch and a shortcut (He et al., 2016, Figure 2).

    Args:
        branch: the layers F(x), the last one linear.
        shortcut: an identity, or a projection where the shapes differ.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        return F.relu(self.shortcut(x) + self.branch(x))


def shortcut(in_channels: int, out_channels: int, stride: int, kernel: int = 1) -> nn.Module:
    """An identity, or a linear projection where channels or size change (option B of ResNet)."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return ConvNormAct(in_channels, out_channels, kernel, stride, activation=None)


def residual_stages(
    channels: int, first: int, repeats: Sequence[int], block: Block
) -> list[tuple[Stage, nn.Module]]:
    """Stages 2 and on, after a stem of stride 4 (ResNet, Table 1: conv2_x to conv5_x).

    Every stage doubles the channels; from stage 3 on its first block has stride 2.

    Args:
        channels: what the stem puts out.
        first: what stage 2 puts out.
        repeats: blocks of each stage.
        block: makes one.
    """
    parts: list[tuple[Stage, nn.Module]] = []
    for number, count in enumerate(repeats, start=2):
        out = first * 2 ** (number - 2)
        blocks: list[nn.Module] = []
        for index in range(count):
            blocks.append(block(channels, out, 2 if index == 0 and number > 2 else 1))
            channels = out
        parts.append((Stage(f"stage{number}", out, 2**number), nn.Sequential(*blocks)))
    return parts
