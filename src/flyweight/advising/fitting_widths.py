"""Channel counts that don't fit, and parts of a network that take more time than their share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flyweight.advising.findings import ARCHITECTURAL, NOTE, Costs, Finding, found
from flyweight.advising.matching import fitted
from flyweight.advising.reading import Layer, Reading
from flyweight.advising.rebuilding import Edit
from flyweight.advising.thresholds import OUT_OF_PROPORTION
from flyweight.advising.widths import Widths
from flyweight.decomposing.kinds import DEPTHWISE

_ENDS = 4
"""The stem works on maps of more than 1/4 of the input's height: before the second halving."""


def misfits(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """Convolutions whose numbers of channels aren't whole blocks."""
    block = widths.block

    def unfit(width: int) -> bool:
        return width > block and width % block > 0

    convolutions = reading.convolutions()
    layers = [one for one in convolutions if one.positions > 1 and any(map(unfit, one.widths))]
    if not layers:
        return
    scale: dict[int, float] = {}
    for one in convolutions:
        own, out = widths.of[one.node], one.widths[1]
        if unfit(out) and own not in widths.fixed:
            scale[own] = max(scale.get(own, 1.0), math.ceil(out / block) * block / out)
    edit, why = fitted(reading, widths, Edit(scale))
    counts = sorted({width for one in layers for width in one.widths if unfit(width)})
    yield found(
        "channels that don't fit", "", layers, costs, ARCHITECTURAL,
        f"Engines compute channels in blocks, of {block} on this machine: those that are left over"
        " take the time of a block, or keep the fast kernel from being used.",
        f"{len(layers)} convolutions read or make {_listed(counts)} channels",
        f"use multiples of {block}",
        edit, why,
    )  # fmt: skip


def _listed(counts: Sequence[int]) -> str:
    shown = ", ".join(map(str, counts[:5]))
    return f"{shown}, …" if len(counts) > 5 else shown


def depthwise(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """Depthwise convolutions whose share of the time is far above that of the FLOPs.

    G4 counts them among elementwise operations, since they access as much memory for their FLOPs
    (ShuffleNet V2, section 2).
    """
    layers = [one for one in reading.convolutions() if one.kind == DEPTHWISE]
    yield from _out_of_proportion(
        "depthwise convolutions", "G4", layers, reading, costs,
        "A depthwise convolution does few multiply-adds with each element that it reads.",
        "use fewer of them, or smaller kernels, where accuracy allows",
    )  # fmt: skip


def ends(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """A stem or a head that takes far more of the time than of the FLOPs."""
    convolutions = reading.convolutions()
    if not convolutions or len(convolutions[0].input) != 4:
        return
    side = convolutions[0].input[2]
    stem = [
        one
        for one in reading.layers.values()
        if len(one.output) == 4 and one.output[2] * _ENDS > side and one.input[2:] != (1, 1)
    ]
    if len(stem) < len(reading.layers):
        yield from _out_of_proportion(
            "stem", "", stem, reading, costs,
            "The first layers work on the largest maps, with few channels.",
            "reduce the image faster, or use fewer channels there",
        )  # fmt: skip
    order = list(reading.layers)
    last = max(order.index(one.node) for one in convolutions if one.positions > 1)
    head = [reading.layers[name] for name in order[last + 1 :]]
    if head:
        yield from _out_of_proportion(
            "head", "", head, reading, costs,
            "What follows the last feature map reads many weights for each image.",
            "use fewer features or classes there, or more images at a time",
        )  # fmt: skip


def overhead(reading: Reading, widths: Widths, costs: Costs) -> Iterator[Finding]:
    """G3: operations too small for what it takes to call and to feed them."""
    held = costs.overhead
    if held is None or not costs.total:
        return
    layers = [
        one
        for one in reading.layers.values()
        if (one.place.path, one.kind) in held.operations and costs.seconds.get(one.node, 0.0) > 0
    ]
    seconds = held.beyond_s + held.between_s
    if not layers:
        return
    finding = found(
        "overhead", "G3", layers, costs, NOTE,
        "A small operation takes longer to call, and to fill a core with, than to compute.",
        f"{held.count} operations take more than twice what their arithmetic and their traffic need"
        f" here: {held.beyond_s / costs.total:.0%} of the time lies beyond that need, and"
        f" {held.between_s / costs.total:.0%} between operations",
        "use fewer and larger operations, an engine that fuses more of them, or more images at a"
        " time",
    )  # fmt: skip
    yield replace(finding, seconds=seconds, share=seconds / costs.total)


def _out_of_proportion(
    key: str,
    guideline: str,
    layers: list[Layer],
    reading: Reading,
    costs: Costs,
    reason: str,
    remedy: str,
) -> Iterator[Finding]:
    share = costs.share(layers)
    of_flops = sum(one.madds for one in layers) / max(reading.madds, 1)
    if share is None or share < OUT_OF_PROPORTION * of_flops or not layers:
        return
    evidence = f"{share:.0%} of the time, {of_flops:.1%} of the FLOPs"
    yield found(key, guideline, layers, costs, NOTE, reason, evidence, remedy)
