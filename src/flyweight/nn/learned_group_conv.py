"""Learned group convolution (CondenseNet, Section 3.1): in training, and condensed for evaluation.

In training a layer has all its weights, and groups of filters lose the inputs that matter least to
them, a fraction of 1 / C in each of C - 1 stages. What is left is a group convolution whose groups
read inputs of their own choice.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import UsageError
from flyweight.nn.shuffle import channel_shuffle


def condensing_stage(progress: float, condense: int) -> int:
    """How many of the C - 1 condensing stages are over: they share the first half of training.

    Args:
        progress: the part of training that is over, from 0 to 1.
        condense: C, the condensation factor; 1 / C of the weights stay in the end.
    """
    return sum(progress >= stage / (2 * (condense - 1)) for stage in range(1, condense))


class InputMask(nn.Module):
    """Which inputs each group of filters still reads.

    Filter i belongs to group i % groups, so that channel shuffle after a group convolution puts
    the filters in the same order.

    Args:
        groups: groups of filters.
        inputs: inputs of every filter.
        condense: C; each condensing stage takes inputs / C from every group.
    """

    kept: Tensor

    def __init__(self, groups: int, inputs: int, condense: int) -> None:
        super().__init__()
        if groups < 1 or condense < 1 or inputs % condense:
            raise UsageError(
                f"{inputs} inputs can't be condensed by {condense} in {groups} groups:"
                " the factor must divide the inputs, and both be 1 or more"
            )
        self.groups = groups
        self.inputs = inputs
        self.condense = condense
        self.register_buffer("kept", torch.ones(groups, inputs, dtype=torch.bool))

    @property
    def stage(self) -> int:
        """The condensing stages that are over."""
        pruned = self.inputs - int(self.kept[0].sum())
        return pruned // (self.inputs // self.condense)

    @property
    def finished(self) -> bool:
        """Whether all condensing stages are over."""
        return self.stage == self.condense - 1

    def forward(self, weight: Tensor) -> Tensor:
        """The weight (filters, inputs, ...) with zeros where a filter doesn't read an input.

        No gradient reaches weights that are pruned.
        """
        kept = self.kept.repeat(weight.shape[0] // self.groups, 1)
        return weight * kept.reshape(*kept.shape, *(1,) * (weight.dim() - 2))

    @torch.no_grad()
    def prune(self, weight: Tensor, stage: int) -> None:
        """Take from every group the inputs with the smallest L1 norms, until `stage` is over.

        What is pruned stays pruned: a stage that is over already changes nothing.
        """
        count = (stage - self.stage) * (self.inputs // self.condense)
        if count <= 0:
            return
        norms = self._by_group(weight.abs()).sum(0).masked_fill(~self.kept, torch.inf)
        least = norms.argsort(dim=1, stable=True)[:, :count]
        self.kept.scatter_(1, least, False)

    def group_lasso(self, weight: Tensor) -> Tensor:
        """The sum of the L2 norms of every group's weights for every input (Section 3.1)."""
        norms: Tensor = torch.linalg.vector_norm(self._by_group(self(weight)), dim=0)
        return norms.sum()

    def indices(self) -> Tensor:
        """The inputs that are left, in order: (groups, inputs / C) once all stages are over."""
        return self.kept.nonzero()[:, 1].reshape(self.groups, -1)

    def _by_group(self, weight: Tensor) -> Tensor:
        """(filters of a group, groups, inputs), for kernels of 1x1."""
        return weight.reshape(-1, self.groups, self.inputs)


class LearnedGroupConv(nn.Module):
    """Batch norm, ReLU and a 1x1 convolution that learns its groups.

    Args:
        in_channels: channels read.
        out_channels: channels put out.
        groups: G, groups of filters.
        condense: C, the condensation factor.
        dropout: before the convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, condense: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.act = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.mask = InputMask(groups, in_channels, condense)

    @property
    def weight(self) -> Tensor:
        """The convolution's weight, with what is pruned."""
        return self.conv.weight

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height, width)."""
        x = self.dropout(self.act(self.norm(x)))
        return F.conv2d(x, self.mask(self.conv.weight))

    def condensed(self) -> "CondensedGroupConv":
        """The group convolution that gives the same outputs; all stages must be over."""
        groups, index = self.mask.groups, self.mask.indices()
        weight = self.conv.weight.detach()
        out = CondensedGroupConv(
            weight.shape[1], weight.shape[0], groups, self.mask.condense, self.dropout.p
        ).to(weight)
        filters = [weight[group::groups][:, read] for group, read in enumerate(index)]
        state = {
            f"norm.{key}": value[index.flatten()] if value.dim() else value
            for key, value in self.norm.state_dict().items()
        }
        state |= {"index": index.flatten(), "conv.weight": torch.cat(filters)}
        out.load_state_dict(state)
        return out.train(self.training)


class CondensedGroupConv(nn.Module):
    """What becomes of a learned group convolution: select, batch norm, ReLU, convolve, shuffle.

    Args:
        in_channels: channels read.
        out_channels: channels put out.
        groups: G, groups of the convolution, which read in_channels / C channels each.
        condense: C, the condensation factor.
        dropout: before the convolution.
    """

    index: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, condense: int, dropout: float
    ) -> None:
        super().__init__()
        selected = groups * (in_channels // condense)
        self.in_channels = in_channels
        self.groups = groups
        # A fresh layer reads the channels in order; a condensed one brings its own choice.
        self.register_buffer("index", torch.arange(selected) % in_channels)
        self.norm = nn.BatchNorm2d(selected)
        self.act = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(selected, out_channels, 1, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height, width)."""
        x = self.act(self.norm(x.index_select(1, self.index)))
        return channel_shuffle(self.conv(self.dropout(x)), self.groups)


class LearnedLinear(nn.Linear):
    """A linear layer that keeps half of its inputs: a single group, C = 2."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.mask = InputMask(1, in_features, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in) to (batch, out)."""
        return F.linear(x, self.mask(self.weight), self.bias)

    def condensed(self) -> "CondensedLinear":
        """The layer of half the inputs that gives the same outputs; the stage must be over."""
        out = CondensedLinear(self.in_features, self.out_features).to(self.weight)
        index = self.mask.indices().flatten()
        state = {"index": index, "weight": self.weight.detach()[:, index]}
        out.load_state_dict(state | {"bias": self.bias.detach()})
        return out.train(self.training)


class CondensedLinear(nn.Linear):
    """A linear layer that reads half of its inputs, by number."""

    index: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features // 2, out_features)
        self.register_buffer("index", torch.arange(in_features // 2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in) to (batch, out)."""
        return F.linear(x.index_select(1, self.index), self.weight, self.bias)
