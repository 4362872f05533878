"""The four guidelines of ShuffleNet V2 (section 2, Tables 1 to 4): networks of ten equal blocks."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.verdicts import reference_is_fastest

BLOCKS = 10
SIZE = 56
"""Height and width of the input."""
SCALES = (1, 2, 4)
"""By which the tables multiply all channels: x1, x2, x4."""


def _case(
    label: str, build: Callable[[], nn.Module], channels: int, speed: float, note: str = ""
) -> Case:
    return Case(label, build, (channels, SIZE, SIZE), (speed,), note)


def _series(name: str, unit: str, cases: Sequence[Case], reference: int = 0) -> Series:
    return Series(name, (Published("speed", unit, speed=True),), tuple(cases), reference)


def _study(
    name: str, title: str, table: int, claim: str, series: Sequence[Series], reading: str = ""
) -> Study:
    return Study(
        name, title, f"ShuffleNet V2, Table {table}", claim, tuple(series),
        judges=(reference_is_fastest,), cost="bound", reading=reading,
    )  # fmt: skip


def _stacked(block: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(*(block() for _ in range(BLOCKS)))


def _pointwise(inputs: int, outputs: int, groups: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False)


# G1: equal channel width minimizes memory access cost.


def unequal(c1: int, c2: int) -> nn.Module:
    """Ten blocks of a 1x1 convolution from c1 to c2 channels, and one back."""
    return _stacked(lambda: nn.Sequential(_pointwise(c1, c2), _pointwise(c2, c1)))


_G1 = {
    "GPU": ("batches/s", ((128, 128), (90, 180), (52, 312), (36, 432)),
            ((1480, 1296, 876, 748), (723, 586, 489, 392), (232, 206, 189, 163))),
    "ARM": ("images/s", ((32, 32), (22, 44), (13, 78), (9, 108)),
            ((76.2, 72.9, 69.1, 57.6), (21.7, 20.5, 17.9, 15.1), (5.3, 5.1, 4.6, 4.4))),
}  # fmt: skip


def _g1() -> Study:
    series = []
    for platform, (unit, pairs, published) in _G1.items():
        for scale, speeds in zip(SCALES, published, strict=True):
            cases = [
                _case(ratio, partial(unequal, c1 * scale, c2 * scale), c1 * scale, speed)
                for ratio, (c1, c2), speed in zip(
                    ("1:1", "1:2", "1:6", "1:12"), pairs, speeds, strict=True
                )
            ]
            series.append(_series(f"{platform} x{scale}", unit, cases))
    return _study(
        "g1", "input to output channels of 1x1 convolutions", 1,
        "at equal FLOPs, equal channel widths are the fastest", series,
    )  # fmt: skip


# G2: excessive group convolution increases memory access cost.


def grouped(channels: int, groups: int) -> nn.Module:
    """Ten 1x1 group convolutions."""
    return _stacked(lambda: _pointwise(channels, channels, groups))


_G2 = {
    "GPU": ("batches/s", ((1, 128), (2, 180), (4, 256), (8, 360)),
            ((2451, 1725, 1026, 634), (1289, 873, 644, 445), (437, 341, 338, 230))),
    "CPU": ("images/s", ((1, 64), (2, 90), (4, 128), (8, 180)),
            ((40.0, 35.0, 32.9, 27.8), (10.2, 9.5, 8.7, 7.5), (2.3, 2.2, 2.1, 1.8))),
}  # fmt: skip


def _g2_case(groups: int, channels: int, speed: float) -> Case:
    note = ""
    if channels % groups:  # 180 channels in 8 groups
        channels += groups - channels % groups
        note = f"{channels} channels: 8 groups don't divide 180 (corrected by the author)"
    return _case(f"g={groups}", partial(grouped, channels, groups), channels, speed, note)


def _g2() -> Study:
    series = [
        _series(
            f"{platform} x{scale}", unit,
            [_g2_case(g, c * scale, v) for (g, c), v in zip(rows, speeds, strict=True)],
        )
        for platform, (unit, rows, published) in _G2.items()
        for scale, speeds in zip(SCALES, published, strict=True)
    ]  # fmt: skip
    return _study(
        "g2", "groups of 1x1 convolutions", 2,
        "at equal FLOPs, a network with more groups, and so with more channels, is slower", series,
    )  # fmt: skip


# G3: network fragmentation reduces the degree of parallelism.


class Parallel(nn.Module):
    """Convolutions of the same input, added up."""

    def __init__(self, channels: int, branches: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_pointwise(channels, channels) for _ in range(branches))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width), likewise."""
        found: Tensor = self.branches[0](x)
        for branch in list(self.branches)[1:]:
            found = found + branch(x)
        return found


class Concatenated(nn.Module):
    """Convolutions of the same input, side by side."""

    def __init__(self, channels: int, branches: int) -> None:
        super().__init__()
        each = channels // branches
        self.branches = nn.ModuleList(_pointwise(channels, each) for _ in range(branches))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width), likewise."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def fragment_width(channels: int, fragments: int) -> int:
    """Channels of each of n fragments so that together they have the FLOPs of one: c / sqrt(n)."""
    return round(channels / math.sqrt(fragments))


def fragmented(channels: int, fragments: int, parallel: bool, joined: str = "add") -> nn.Module:
    """Ten blocks of 1x1 convolutions, one after another or beside each other.

    Args:
        channels: of the block of one convolution.
        fragments: how many a block has.
        parallel: whether they read the same input.
        joined: what becomes of parallel ones, "add" or "concat"; the paper doesn't say.
    """
    width = fragment_width(channels, fragments)
    if not parallel:
        row = [(width, width)] * fragments
        return _stacked(lambda: nn.Sequential(*(_pointwise(*widths) for widths in row)))
    if joined == "concat":
        return _stacked(lambda: Concatenated(channels, fragments))
    return _stacked(lambda: Parallel(width, fragments))


_FRAGMENTS = ((1, False), (2, False), (4, False), (2, True), (4, True))
_G3 = {
    "GPU": ("batches/s", (128, 256, 512),
            ((2446, 1790, 752, 1537, 691), (1274, 909, 745, 803, 572), (434, 336, 349, 320, 292))),
    "CPU": ("images/s", (64, 128, 256),
            ((40.2, 38.6, 38.4, 33.4, 35.0), (10.1, 10.1, 10.1, 9.1, 8.4),
             (2.3, 2.2, 2.3, 2.2, 2.1))),
}  # fmt: skip


def _g3(joined: str) -> Study:
    series = []
    for platform, (unit, widths, published) in _G3.items():
        for channels, speeds in zip(widths, published, strict=True):
            cases = []
            for (fragments, parallel), speed in zip(_FRAGMENTS, speeds, strict=True):
                kind = "" if fragments == 1 else "-parallel" if parallel else "-series"
                whole = parallel and joined == "concat"
                cases.append(
                    _case(
                        f"{fragments}-fragment{kind}",
                        partial(fragmented, channels, fragments, parallel, joined),
                        channels if whole else fragment_width(channels, fragments),
                        speed,
                    )
                )
            name = f"{platform} c={channels}"
            series.append(_series(name if joined == "add" else f"{name}, {joined}", unit, cases))
    return _study(
        "g3", "fragments of a block", 3,
        "at equal FLOPs, one large operation is faster than several small ones", series,
        reading=f"parallel fragments are joined by {joined}; the figure that shows it is missing",
    )  # fmt: skip


# G4: element-wise operations are non-negligible.


class Bottleneck(nn.Module):
    """ResNet's unit of three convolutions, with or without its ReLUs and its shortcut."""

    def __init__(self, channels: int, middle: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        self.reduce, self.expand = _pointwise(channels, middle), _pointwise(middle, channels)
        self.spatial = nn.Conv2d(middle, middle, 3, padding=1, bias=False)
        self.relu, self.shortcut = relu, shortcut

    def _activated(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.relu else x

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width), likewise."""
        y = self._activated(self.reduce(x))
        y = self.expand(self._activated(self.spatial(y)))
        return self._activated(x + y if self.shortcut else y)


def bottlenecks(channels: int, relu: bool, shortcut: bool, middle: int = 4) -> nn.Module:
    """Ten bottleneck units; `middle` is what the channels are divided by in between."""
    return _stacked(lambda: Bottleneck(channels, channels // middle, relu, shortcut))


_KEPT = ((True, True), (True, False), (False, True), (False, False))
_G4 = {
    "GPU": ("batches/s",
            ((2427, 2647, 2672, 2842), (2066, 2256, 2121, 2376), (1436, 1735, 1458, 1782))),
    "CPU": ("images/s", ((56.7, 61.9, 57.3, 66.3), (16.9, 18.8, 18.2, 20.2), (5.0, 5.2, 5.1, 5.4))),
}  # fmt: skip


def _g4(middle: int) -> Study:
    def label(relu: bool, shortcut: bool) -> str:
        kept = [name for name, there in (("ReLU", relu), ("shortcut", shortcut)) if there]
        return " and ".join(kept) or "neither"

    reading = "" if middle == 4 else f", middle 1/{middle}"
    series = [
        _series(
            f"{platform} c={channels}{reading}", unit,
            [
                _case(label(*kept), partial(bottlenecks, channels, *kept, middle), channels, speed)
                for kept, speed in zip(_KEPT, speeds, strict=True)
            ],
            reference=3,
        )
        for platform, (unit, published) in _G4.items()
        for channels, speeds in zip((32, 64, 128), published, strict=True)
    ]  # fmt: skip
    return _study(
        "g4", "ReLU and shortcut of the bottleneck unit", 4,
        "without ReLU and shortcut, which have hardly any FLOPs, the unit is faster", series,
        reading=f"the unit's middle has 1/{middle} of its channels; the paper doesn't say",
    )  # fmt: skip


def guidelines(joined: str = "add", middle: int = 4) -> Sequence[Study]:
    """The four studies, with a reading of what the paper leaves open.

    Args:
        joined: how G3's parallel fragments are joined, "add" or "concat".
        middle: what G4's channels are divided by in the middle of a unit.
    """
    return (_g1(), _g2(), _g3(joined), _g4(middle))
