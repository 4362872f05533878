"""Widths at which a changed network has the FLOPs that it had."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flyweight.advising.reading import Layer, Reading, args_of
from flyweight.advising.rebuilding import CannotBuildError, Edit, rebuilt
from flyweight.advising.widths import Widths

LEAST_FLOPS = 0.98
"""Of the original's that an alternative must have: what it gains mustn't come from less work."""
MOST_FLOPS = 1.25
"""Of the original's that it may have; widths are whole blocks, so they can't be met exactly."""
_STEPS = 6
_NARROWED = 12
"""Classes that are tried a block narrower: each takes a count of the whole network."""
_RIDGE = 1e-3


@dataclass(frozen=True)
class Wish:
    """A relation that two widths should have: `sign_in * log f_in + sign_out * log f_out = value`.

    Attributes:
        layer: the convolution between them.
        sign_in: of its input's factor.
        sign_out: of its output's.
        value: natural logarithm.
        source: the node that it will read; "" for the one that it reads.
    """

    layer: Layer
    sign_in: int
    sign_out: int
    value: float
    source: str = ""


def input_of(reading: Reading, layer: Layer) -> str:
    """The node that a layer reads."""
    return str(args_of(reading.nodes[layer.node])[0])


def factors(reading: Reading, widths: Widths, wishes: Sequence[Wish]) -> dict[int, float]:
    """Factors for the classes of widths that come closest to some wishes, by least squares.

    Wishes count by their layers' multiply-adds. Classes that can't change have the factor 1, and
    are left out.
    """
    pairs = [
        (widths.of[wish.source or input_of(reading, wish.layer)], widths.of[wish.layer.node])
        for wish in wishes
    ]
    free = sorted({one for pair in pairs for one in pair} - widths.fixed)
    if not free:
        return {}
    column = {one: index for index, one in enumerate(free)}
    rows = np.zeros((len(wishes) + len(free), len(free)))
    values = np.zeros(len(rows))
    for row, (wish, (before, after)) in enumerate(zip(wishes, pairs, strict=True)):
        weight = math.sqrt(wish.layer.madds)
        for sign, one in ((wish.sign_in, before), (wish.sign_out, after)):
            if one in column:
                rows[row, column[one]] += sign * weight
        values[row] = wish.value * weight
    # Where the wishes leave it open, both sides of a layer take half of what it asks for.
    scale = _RIDGE * float(np.abs(rows).max())
    rows[len(wishes) :] = np.eye(len(free)) * scale
    for one, index in column.items():
        halves = [
            sign * wish.value / 2
            for wish, pair in zip(wishes, pairs, strict=True)
            for sign, side in zip((wish.sign_in, wish.sign_out), pair, strict=True)
            if side == one
        ]
        values[len(wishes) + index] = scale * sum(halves) / len(halves)
    solved = np.linalg.lstsq(rows, values, rcond=None)[0]
    return {one: math.exp(solved[column[one]]) for one in free}


def fitted(reading: Reading, widths: Widths, edit: Edit) -> tuple[Edit | None, str]:
    """`matched`, or why there is no such edit: for a finding."""
    if not (edit.scale or edit.paths or edit.dropped):
        return None, "the widths are those of the input or of the output"
    try:
        return matched(reading, widths, edit), ""
    except CannotBuildError as error:
        return None, str(error)


def matched(reading: Reading, widths: Widths, edit: Edit) -> Edit:
    """The edit with all its factors multiplied so that the FLOPs are the original's.

    Raises:
        CannotBuildError: there are no such widths, or what is to be built can't be.
    """
    wanted = reading.madds
    low: tuple[float, int] | None = None
    high: tuple[float, int] | None = None
    by = 1.0
    for _ in range(_STEPS):
        madds = _madds(reading, widths, edit, by)
        ratio = madds / wanted
        if ratio >= LEAST_FLOPS and (high is None or madds < high[1]):
            high = (by, madds)
        if ratio < LEAST_FLOPS and (low is None or by > low[0]):
            low = (by, madds)
        if LEAST_FLOPS <= ratio <= 2 - LEAST_FLOPS:
            break
        if low and high:
            by = math.sqrt(low[0] * high[0])
        else:
            by *= math.sqrt(wanted / madds) * (1.02 if ratio < LEAST_FLOPS else 0.98)
    if high is None:
        raise CannotBuildError("no widths give the same FLOPs")
    found, madds = _narrowed(reading, widths, _scaled(edit, high[0]), high[1])
    if madds > MOST_FLOPS * wanted:
        raise CannotBuildError("no widths give the same FLOPs")
    return found


def _narrowed(reading: Reading, widths: Widths, edit: Edit, madds: int) -> tuple[Edit, int]:
    """One class after the other a block narrower, as long as the FLOPs allow it.

    One factor for all of them moves all of them at once: 16 and 192 channels would be 64 and 64,
    and are 48 and 64 thereby.

    Returns:
        The edit and its multiply-adds.
    """
    wanted, tried = reading.madds, 0
    for own in sorted(edit.scale, key=lambda one: -max(widths.counts.get(one, {0}))):
        if madds <= (2 - LEAST_FLOPS) * wanted or tried == _NARROWED:
            break
        factor = _block_narrower(widths, edit, own)
        if factor is None:
            continue
        tried += 1
        narrower = replace(edit, scale={**edit.scale, own: factor})
        found = _madds(reading, widths, narrower, 1.0)
        if found >= LEAST_FLOPS * wanted:
            edit, madds = narrower, found
    return edit, madds


def _block_narrower(widths: Widths, edit: Edit, own: int) -> float | None:
    """The factor at which a class has a block fewer; None where it has no more than one."""
    counts = widths.counts.get(own)
    if not counts:
        return None
    unit, step = widths.unit_and_step(own, max(counts), shuffled=not edit.groups)
    steps = round(unit * edit.scale[own] / step)
    return (steps - 1) * step / unit if steps > 1 else None


def _madds(reading: Reading, widths: Widths, edit: Edit, by: float) -> int:
    return rebuilt(reading, widths, _scaled(edit, by), made=False).madds


def _scaled(edit: Edit, by: float) -> Edit:
    return replace(edit, scale={one: factor * by for one, factor in edit.scale.items()})
