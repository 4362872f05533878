"""G1 and G2 of ShuffleNet V2, looked for in any network: widths and groups."""

import math
from collections.abc import Iterator

from flyweight.advising.findings import ARCHITECTURAL, Costs, Finding, found
from flyweight.advising.fragments import parallel
from flyweight.advising.matching import Wish, factors, fitted
from flyweight.advising.reading import Layer, Reading
from flyweight.advising.rebuilding import Edit
from flyweight.advising.shuffles import shuffles
from flyweight.advising.thresholds import GROUPS, OVER_BOUND
from flyweight.advising.widths import Widths

_ONLY_COLOURS = 4
"""Channels of an input that are no feature maps."""


def unequal_widths(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G1: 1x1 convolutions whose memory access is far above its bound, since widths differ.

    Fragments beside each other are narrow because there are several: that is G3.
    """
    parts = {one.node for join in parallel(reading) for one in join.operations}
    layers = [
        layer
        for layer in reading.convolutions()
        if layer.pointwise
        and layer.node not in parts
        and layer.groups < layer.widths[0]
        and layer.widths[0] > _ONLY_COLOURS
        and layer.over_bound >= OVER_BOUND
        and layer.positions > 1
    ]
    if not layers:
        return
    worst = max(layers, key=lambda layer: layer.over_bound)
    over = sum(one.elements for one in layers) / sum(one.access_bound for one in layers)
    narrow, wide = sorted(worst.widths)
    wishes = [Wish(one, 1, -1, math.log(one.widths[1] / one.widths[0])) for one in layers]
    edit, why = fitted(reading, widths, Edit(factors(reading, widths, wishes)))
    yield found(
        "unequal widths", "G1", layers, costs, ARCHITECTURAL,
        "At equal FLOPs a 1x1 convolution reads and writes least where its input and output have"
        " the same number of channels.",
        f"{_counted(layers)} access {over:.2f} times the least memory for their FLOPs;"
        f" the worst goes between {narrow} and {wide} channels ({worst.over_bound:.2f} times)",
        "bring the widths closer together: fewer channels where there are most, more where there"
        " are few",
        edit, why,
    )  # fmt: skip


def groups(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G2: group convolutions that aren't depthwise."""
    layers = [
        one for one in reading.convolutions() if GROUPS <= one.groups < min(one.widths)
    ]  # fmt: skip
    if not layers:
        return
    most = max(one.groups for one in layers)
    wishes = [Wish(one, 1, 1, -math.log(one.groups)) for one in layers]
    wanted = Edit(
        factors(reading, widths, wishes), dict.fromkeys((one.node for one in layers), 1),
        {move.node: move.source for move in shuffles(reading)},
    )  # fmt: skip
    edit, why = fitted(reading, widths, wanted)
    yield found(
        "groups", "G2", layers, costs, ARCHITECTURAL,
        "At equal FLOPs a group convolution has more channels than a dense one, so it reads and"
        " writes more.",
        f"{_counted(layers)} in up to {most} groups hold"
        f" {sum(one.madds for one in layers) / max(reading.madds, 1):.0%} of the FLOPs",
        "use dense convolutions with fewer channels; then there is no need for a shuffle",
        edit, why,
    )  # fmt: skip


def _counted(layers: list[Layer]) -> str:
    return f"{len(layers)} convolution{'s' if len(layers) != 1 else ''}"
