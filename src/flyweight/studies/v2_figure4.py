"""ShuffleNet V2, Figure 4: which block reads the channels of which, and how heavily."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from flyweight.errors import UsageError, WeightsError
from flyweight.nn import Network
from flyweight.studies.study import Study
from flyweight.studies.tables import Chart, Column, Table, Value
from flyweight.zoo import create_model
from flyweight.zoo.densenet import DenseLayer
from flyweight.zoo.shufflenet_v2 import BasicUnit
from flyweight.zoo.weights import load_pretrained

NETWORK = "shufflenet_v2_x1_0"
STAGE = "stage3"
"""The longest stage, of eight blocks."""
_COUNTED = "4 (b)"
_WEIGHED = "weights, "


class _Writes(nn.Module):
    """Stands for convolutions: keeps what they read, and writes a number for every channel."""

    def __init__(self, channels: int, number: float) -> None:
        super().__init__()
        self.channels, self.number = channels, number
        self.read = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """(1, channels, 1, 1) to the same with its own channels."""
        self.read = x.flatten()
        return torch.full((1, self.channels, 1, 1), self.number)


def _conv(block: nn.Module, path: str) -> nn.Conv2d:
    found = block.get_submodule(path)
    assert isinstance(found, nn.Conv2d)
    return found


def _reader(block: nn.Module) -> nn.Conv2d:
    """The first convolution of a block."""
    return _conv(block, "main.0.conv" if isinstance(block, BasicUnit) else "reduce.conv")


def _traced(block: nn.Module, number: float) -> tuple[nn.Module, _Writes]:
    """A block whose convolutions are stood for; channels go through the rest of it as they do."""
    block = copy.deepcopy(block).eval()
    if isinstance(block, BasicUnit):
        writes = _Writes(_conv(block, "main.2.conv").out_channels, number)
        block.add_module("main", writes)
        block.add_module("extra", nn.Identity())
    else:
        writes = _Writes(_conv(block, "grow.conv").out_channels, number)
        block.add_module("reduce", writes)
        block.add_module("grow", nn.Identity())
    return block, writes


def _blocks(network: Network, stage: str) -> list[nn.Module]:
    """The blocks of a stage that channels go through, without the first one of ShuffleNet V2."""
    parts = network.stages[stage].children()
    return [part for part in parts if isinstance(part, BasicUnit | DenseLayer)]


def _width(block: nn.Module) -> int:
    """Channels of the block's input."""
    if isinstance(block, BasicUnit):
        return 2 * _reader(block).in_channels
    return _reader(block).in_channels


def directly_connected(network: Network, stage: str) -> dict[tuple[int, int], int]:
    """How many channels of block s are untouched behind block l: the pixels of Figure 4 (b).

    The channels of block s are numbered and led through the blocks after it, whose convolutions
    write zeros: nothing but split, concatenation and shuffle acts on them.

    Args:
        network: a ShuffleNet V2.
        stage: one of its stages; block 1 is its unit with stride 2, which convolves all channels,
            so that nothing connects the stages.

    Returns:
        By (s, l), from 1, with s <= l.
    """
    blocks = _blocks(network, stage)
    found = {}
    for start in range(len(blocks) + 1):
        width = _width(blocks[0])
        x = torch.arange(1.0, width + 1).reshape(1, width, 1, 1)
        found[start + 1, start + 1] = width
        for index in range(start, len(blocks)):
            traced, _ = _traced(blocks[index], 0.0)
            x = traced(x)
            found[start + 1, index + 2] = len(set(x.flatten().tolist()) - {0.0})
    return found


@dataclass(frozen=True)
class Connection:
    """What the first convolution of a block reads of what an earlier one wrote.

    Attributes:
        channels: how many channels.
        norm: sum of the absolute values of its weights for them (their l1-norm).
        mean: their mean.
    """

    channels: int
    norm: float
    mean: float


def weights_between(network: Network, stage: str) -> dict[tuple[int, int], Connection]:
    """How heavily block l reads what block s wrote, from a network's weights.

    Args:
        network: a ShuffleNet V2, or a DenseNet.
        stage: one of its stages. Block 1 is what comes before the others: ShuffleNet V2's unit with
            stride 2, or what a block of DenseNet starts from.

    Returns:
        By (s, l), from 1, with s < l; without those of which nothing is read.
    """
    blocks = _blocks(network, stage)
    x = torch.ones(1, _width(blocks[0]), 1, 1)
    found = {}
    for index, block in enumerate(blocks):
        traced, writes = _traced(block, float(index + 2))
        x = traced(x)
        weight = _reader(block).weight.detach().abs()
        for source in range(1, index + 2):
            read = weight[:, writes.read == source]
            if read.numel():
                found[source, index + 2] = Connection(
                    read.shape[1], float(read.sum()), float(read.mean())
                )
    return found


def _stages(network: Network) -> Iterator[str]:
    return (info.name for info in network.stage_info if _blocks(network, info.name))


def _pair_columns(*more: Column) -> tuple[Column, ...]:
    return (Column("s-l", "label"), Column("block s", "label"), Column("block l", "label"), *more)


def _counted() -> Table:
    found = directly_connected(create_model(NETWORK), STAGE)
    width = found[1, 1]
    columns = _pair_columns(
        Column("channels", "computed"),
        Column("c r^(l-s)", "published", digits=2),
        Column("share", "computed", digits=3),
    )
    rows = [
        (f"{start}-{end}", start, end, count, width * 0.5 ** (end - start), count / width)
        for (start, end), count in found.items()
    ]
    return Table(f"{_COUNTED}, {NETWORK}, {STAGE}", columns, tuple(rows))


def _weighed(network: Network, stage: str, name: str) -> Table:
    found = weights_between(network, stage)
    most = max(one.norm for one in found.values())
    greatest = max(one.mean for one in found.values())
    columns = _pair_columns(
        Column("channels", "computed"),
        Column("l1-norm", "computed", digits=3),
        Column("mean weight", "computed", digits=5),
        Column("l1-norm / largest", "computed", digits=3),
        Column("mean / largest", "computed", digits=3),
    )
    rows: list[tuple[Value, ...]] = [
        (
            f"{start}-{end}", start, end, one.channels, one.norm, one.mean, one.norm / most,
            one.mean / greatest,
        )
        for (start, end), one in found.items()
    ]  # fmt: skip
    return Table(f"{_WEIGHED}{stage}, {name}", columns, tuple(rows))


def _read(model: str, weights: Path) -> Network:
    """A network with trained weights, of which its classifier may be missing.

    Raises:
        UsageError: a network of another architecture.
        WeightsError: a file that can't be read, or that lacks a block's weights.
    """
    pretrained = load_pretrained(model, weights, partial=True)
    network = pretrained.model
    stages = list(_stages(network))
    if not stages:
        raise UsageError(f"figure4 reads weights of ShuffleNet V2 and DenseNet, not of {model}")
    begins = tuple(f"stages.{stage}." for stage in stages)
    missing = [key for key in pretrained.loaded.fresh if key.startswith(begins)]
    if missing:
        raise WeightsError(f"{weights}: nothing for {missing[0]} and {len(missing) - 1} others")
    return network


def _tables(model: str, weights: Path | None) -> tuple[Table, ...]:
    if weights is None:
        return (_counted(),)
    network = _read(model, weights)
    weighed = (_weighed(network, stage, weights.name) for stage in _stages(network))
    return (_counted(), *weighed)


def _charts(stages: Sequence[str]) -> tuple[Chart, ...]:
    by_count = Chart(
        "heat", "channels that connect block s to block l", _COUNTED, "block s", "block l", "share"
    )
    by_weight = [
        Chart("heat", f"{what} of the weights between blocks, {stage}", f"{_WEIGHED}{stage},",
              "block s", "block l", column)
        for stage in stages
        for what, column in (("l1-norm", "l1-norm / largest"), ("mean", "mean / largest"))
    ]  # fmt: skip
    return (by_count, *by_weight)


def figure4(model: str = NETWORK, weights: Path | None = None) -> Study:
    """Figure 4: (b) computed; (a), and the same for ShuffleNet V2, where there are weights.

    Args:
        model: the network that the weights are for.
        weights: a file of trained weights; None for none.
    """
    return Study(
        "figure4",
        "feature reuse between blocks",
        "ShuffleNet V2, Figure 4",
        "the channels that directly connect two blocks fall to half with every block between them",
        computed=partial(_tables, model, weights),
        charts=_charts([f"stage{number}" for number in range(1, 6)]),
        reading="the text's r = (1 - c') / c is read as 1 - c' / c. Blocks are those of a stage, as"
        " units with stride 2 convolve all channels. Figure 4 (a), the weights between DenseNet's"
        " layers, needs trained weights, and so does its counterpart here: --weights FILE --model"
        " NAME reads those of a ShuffleNet V2 or a DenseNet",
    )
