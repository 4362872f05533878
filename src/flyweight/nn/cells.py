"""Cells that a search has found: pairs of operations on earlier states, added and concatenated.

NASNet (Zoph et al., 2018, arXiv 1707.07012) and PNASNet (Liu et al., 2018, arXiv 1712.00559)
share all of this; they differ in the table of pairs. Details that the papers leave out are as in
their authors' code (nets/nasnet of TensorFlow's slim). Every map is padded as TensorFlow's "SAME"
does, so that a stride of 2 halves any size and rounds up: the maps that a cell adds always match.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.nn.blocks import ConvNormAct, SamePadConv2d
from flyweight.nn.network import Network, Stage

Operation = Literal["sep3", "sep5", "sep7", "avg3", "max3", "identity"]
States = tuple[Tensor, Tensor]
"""The outputs of the cell before the last one and of the last one."""

CURRENT, PREVIOUS = 0, 1
"""The first two states of a cell: the output of the last cell, and of the one before it."""


@dataclass(frozen=True)
class Design:
    """A cell as its paper's figure draws it.

    Attributes:
        pairs: two operations, each with the number of the state it reads. Their sum is the next
            state: the first pair's is state 2.
        output: the states that are concatenated.
    """

    pairs: tuple[tuple[tuple[Operation, int], tuple[Operation, int]], ...]
    output: tuple[int, ...]


class SamePool(nn.Module):
    """3x3 pooling with TensorFlow's "SAME" padding, which averages leave out.

    Args:
        kind: "max" or "average".
        stride: 1 or 2.
    """

    def __init__(self, kind: Literal["max", "average"], stride: int) -> None:
        super().__init__()
        self.kind = kind
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same, both sides / stride, rounded up."""
        # At stride 2 an even side is padded on the right alone, which is what `ceil_mode` does.
        padding = [1 if self.stride == 1 else side % 2 for side in x.shape[2:]]
        ceil = self.stride > 1
        if self.kind == "max":
            return F.max_pool2d(x, 3, self.stride, padding, ceil_mode=ceil)
        return F.avg_pool2d(x, 3, self.stride, padding, ceil, count_include_pad=False)


class ReluConvNorm(nn.Sequential):
    """ReLU, 1x1 convolution without bias, batch norm: a cell adds what no ReLU has cut."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, norm_eps: float = 1e-3
    ) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)


class SeparableConv(nn.Sequential):
    """ReLU, depthwise and pointwise convolution, batch norm: all of it twice."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, norm_eps: float
    ) -> None:
        layers: list[nn.Module] = []
        for channels, step in ((in_channels, stride), (out_channels, 1)):
            layers += [
                nn.ReLU(),
                SamePadConv2d(channels, channels, kernel, step, groups=channels, bias=False)
                if step > 1
                else nn.Conv2d(
                    channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False
                ),
                nn.Conv2d(channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels, eps=norm_eps),
            ]
        super().__init__(*layers)


class FactorizedReduction(nn.Module):
    """Half of the size: even and odd pixels go through a 1x1 convolution each.

    Of an odd number of output channels, the odd pixels get the larger half.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_eps: float) -> None:
        super().__init__()
        half = out_channels // 2
        self.even = nn.Conv2d(in_channels, half, 1, 2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - half, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / 2, width / 2), rounded up."""
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        reduced: Tensor = self.norm(torch.cat((self.even(x), self.odd(shifted)), 1))
        return reduced


def _operation(
    name: Operation, in_channels: int, out_channels: int, stride: int, norm_eps: float
) -> nn.Module:
    """An operation of a pair; a 1x1 convolution changes the channels where it would keep them."""
    if name in ("sep3", "sep5", "sep7"):
        return SeparableConv(in_channels, out_channels, int(name[3:]), stride, norm_eps)
    if name == "identity":
        if stride == 1 and in_channels == out_channels:
            return nn.Identity()
        return ReluConvNorm(in_channels, out_channels, stride, norm_eps)
    pool = SamePool("max" if name == "max3" else "average", stride)
    if in_channels == out_channels:
        return pool
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(pool, conv, nn.BatchNorm2d(out_channels, eps=norm_eps))


Adjust = Literal["keep", "project", "halve"]
"""How the previous input gets the width of a cell: as it is, projected, or also halved in size."""


class Cell(nn.Module):
    """A cell: two earlier cells' outputs in, adjusted to its width; the pairs' sums out.

    Args:
        design: its pairs.
        previous: channels of the output of the cell before the last one.
        current: channels of the last cell's output.
        filters: channels of every state.
        stride: 2 halves the size, in the operations that read the two inputs.
        adjust: how the previous input is adjusted; the current one gets a 1x1 convolution.
        norm_eps: epsilon of batch norm.
    """

    def __init__(
        self,
        design: Design,
        previous: int,
        current: int,
        filters: int,
        stride: int,
        adjust: Adjust,
        norm_eps: float = 1e-3,
    ) -> None:
        super().__init__()
        self.design = design
        self.adjust_current = ReluConvNorm(current, filters, norm_eps=norm_eps)
        self.adjust_previous: nn.Module = nn.Identity()
        if adjust == "project":
            self.adjust_previous = ReluConvNorm(previous, filters, norm_eps=norm_eps)
        elif adjust == "halve":
            self.adjust_previous = FactorizedReduction(previous, filters, norm_eps)
        widths = [filters, previous if adjust == "keep" else filters]
        self.left, self.right = nn.ModuleList(), nn.ModuleList()
        for pair in design.pairs:
            for side, (name, state) in zip((self.left, self.right), pair, strict=True):
                step = stride if state in (CURRENT, PREVIOUS) else 1
                side.append(_operation(name, widths[state], filters, step, norm_eps))
            widths.append(filters)

    def forward(self, states: States) -> States:
        """Map (batch, channels, height, width) of two cells to those of the last one and this."""
        previous, current = states
        values = [self.adjust_current(current), self.adjust_previous(previous)]
        for left, right, pair in zip(self.left, self.right, self.design.pairs, strict=True):
            (_, left_state), (_, right_state) = pair
            values.append(left(values[left_state]) + right(values[right_state]))
        return current, torch.cat([values[state] for state in self.design.output], 1)


class CellStem(nn.Module):
    """3x3 convolution with stride 2, unpadded, and batch norm; its output stands for two cells'."""

    def __init__(self, in_channels: int, out_channels: int, norm_eps: float) -> None:
        super().__init__()
        self.first = ConvNormAct(
            in_channels, out_channels, 3, 2, activation=None, padding="valid", norm_eps=norm_eps
        )

    def forward(self, x: Tensor) -> States:
        """Map (batch, in, height, width) to (batch, out, height / 2, width / 2), twice."""
        x = self.first(x)
        return x, x


class CellNetwork(Network):
    """A network whose stages hand on the outputs of two cells; a ReLU comes before the pooling."""

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to the last cell's output."""
        _, current = cast(States, super().forward_features(x))
        return current

    def features(self, x: Tensor, stages: Sequence[str | int] | None = None) -> list[Tensor]:
        """The output of the last cell of some stages, as `Network.features` describes it."""
        found = cast(list[States], super().features(x, stages))
        return [current for _, current in found]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last feature map to scores (batch, classes), or to (batch, num_features)."""
        return super().forward_head(F.relu(x), pre_logits)


def cell_network(
    stages: Sequence[Sequence[tuple[Design, int]]],
    stem_cell: Design,
    filters: int,
    stem: int,
    num_classes: int,
    in_channels: int,
    dropout: float,
    norm_eps: float,
) -> CellNetwork:
    """Stem convolution, two stem cells with stride 2, and stages of cells (NASNet, Figure 2).

    Args:
        stages: for each, its cells' designs and strides; each stage doubles the filters.
        stem_cell: the design of the two stem cells, with a quarter and a half of the filters.
        filters: channels of every state in the first stage.
        stem: channels of the first convolution.
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        dropout: before the classifier.
        norm_eps: epsilon of batch norm.
    """
    plan = [
        ("stem1", filters // 4, [(stem_cell, 2)]),
        ("stem2", filters // 2, [(stem_cell, 2)]),
        *(
            (f"stage{number}", filters * 2 ** (number - 1), list(cells))
            for number, cells in enumerate(stages, start=1)
        ),
    ]
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", stem, 2), CellStem(in_channels, stem, norm_eps))
    ]
    previous = current = stem
    total = 2
    adjust: Adjust = "keep"
    for name, width, rows in plan:
        cells: list[nn.Module] = []
        for design, stride in rows:
            cells.append(Cell(design, previous, current, width, stride, adjust, norm_eps))
            previous, current = current, len(design.output) * width
            total *= stride
            adjust = "halve" if stride == 2 else "project"
        parts.append((Stage(name, current, total), nn.Sequential(*cells)))
    network = CellNetwork(parts, num_classes, dropout)
    init_fan_out(network)
    return network


def init_fan_out(network: nn.Module) -> None:
    """The start of slim's NASNet code: variance 2 / fan of the outputs, biases 0.

    The fan is a kernel's area times the outputs of a group, so 9 for a 3x3 depthwise convolution.
    Values are normal, cut off at two deviations.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        fan = module.weight.shape[0]
        if isinstance(module, nn.Conv2d):
            fan = fan // module.groups * math.prod(module.kernel_size)
        # The cut takes variance away; TensorFlow's code makes up for it with this factor.
        std = math.sqrt(1.3 * 2 / fan)
        nn.init.trunc_normal_(module.weight, 0.0, std, -2 * std, 2 * std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
