"""From steps that work on positions to nodes: pools, padding, slices, enlarging."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from flyweight.graph.maps import Ids
from flyweight.graph.program import Channelwise, Operand
from flyweight.native.missing import MissingError, called
from flyweight.native.nodes import Pick, Pool, area

aten = torch.ops.aten

_REDUCTIONS = {
    aten.mean.dim: "AVERAGE", aten.sum.dim_IntList: "TOTAL", aten.amax.default: "LARGEST",
    aten.amin.default: "SMALLEST",
}  # fmt: skip
_ADAPTIVE = {
    aten.adaptive_avg_pool2d.default: "AVERAGE", aten.adaptive_avg_pool1d.default: "AVERAGE",
    aten.adaptive_max_pool2d.default: "LARGEST",
}  # fmt: skip
_AVERAGES = (aten.avg_pool2d.default, aten.avg_pool1d.default)
_LARGEST = (aten.max_pool2d.default, aten.max_pool1d.default)
_PADS = (aten.pad.default, aten.constant_pad_nd.default)
_PICKS = (
    *_PADS, aten.slice.Tensor, aten.flip.default, aten.upsample_nearest2d.vec,
    aten.upsample_nearest2d.default, aten._upsample_nearest_exact2d.vec,
)  # fmt: skip


def on_positions(step: Channelwise) -> Pool | Pick:
    """The node of a step that works on the positions of each channel.

    Raises:
        MissingError: an operation that the engine hasn't.
    """
    target, (x, *rest) = step.target, step.args
    assert isinstance(x, Operand)
    if target in _REDUCTIONS:
        return _reduction(step, x, rest)
    if target in _ADAPTIVE:
        return Pool(x, step.out, step.where, _ADAPTIVE[target], (1, 1), (1, 1), (0, 0),
                    adaptive=True)  # fmt: skip
    if target in _AVERAGES:
        return _average(step, x, rest)
    if target in _LARGEST:
        axes = len(x.space)
        kernel, stride, padding, dilation = _windows(axes, rest[:2], rest[2:3], rest[3:4])
        return Pool(x, step.out, step.where, "LARGEST", kernel, stride, padding, dilation)
    if target in _PICKS:
        return _pick(step, x, rest)
    raise MissingError(called(target))


def pair(sizes: int | Sequence[int], axes: int, alone: int = 1) -> tuple[int, int]:
    """(vertical, horizontal) of a number for each axis, or for all; `alone` where no axis is."""
    given = [sizes] if isinstance(sizes, int) else list(sizes)
    if axes == 1:
        return alone, int(given[0])
    return int(given[0]), int(given[-1])


def _reduction(step: Channelwise, x: Operand, rest: Sequence[Any]) -> Pool:
    """Over all positions, or over one axis of two that stay two (see `rephrasing`)."""
    dims = {dim % (len(x.space) + 2) - 2 for dim in rest[0]}
    kept = [1 if i in dims else size for i, size in enumerate(x.space)]
    if len(dims) < len(x.space) and list(step.out.space) != kept:
        raise MissingError(f"{called(step.target)} over some of the positions")
    kernel = [size if i in dims else 1 for i, size in enumerate(x.space)]
    whole = area(tuple(kernel))
    return Pool(x, step.out, step.where, _REDUCTIONS[step.target], whole, whole, (0, 0))


def _windows(
    axes: int, sizes: Sequence[Any], padding: Sequence[Any], dilation: Sequence[Any] = ()
) -> tuple[tuple[int, int], ...]:
    kernel = sizes[0]
    stride = sizes[1] if len(sizes) > 1 and sizes[1] else kernel
    return (
        pair(kernel, axes),
        pair(stride, axes),
        pair(padding[0] if padding else 0, axes, 0),
        pair(dilation[0] if dilation else 1, axes),
    )


def _average(step: Channelwise, x: Operand, rest: Sequence[Any]) -> Pool:
    names = ("kernel", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    given = {**dict(zip(names, rest, strict=False)), **step.kwargs}
    kernel, stride, padding, _ = _windows(
        len(x.space), [given["kernel"], given.get("stride")], [given.get("padding") or 0]
    )
    divisor = given.get("divisor_override")
    counting = "WITH_PADDING" if given.get("count_include_pad", True) else "INSIDE"
    return Pool(
        x, step.out, step.where, "AVERAGE", kernel, stride, padding,
        counting="FIXED" if divisor else counting, divisor=float(divisor or 1.0),
    )  # fmt: skip


def _pick(step: Channelwise, x: Operand, rest: Sequence[Any]) -> Pick:
    """Where pixels come from, asked from PyTorch: what the operation makes of their numbers."""
    names = ("pads", "mode", "value") if step.target == aten.pad.default else ("pads", "value")
    given = {**dict(zip(names, rest, strict=False)), **step.kwargs}
    pads = step.target in _PADS and given.get("mode", "constant") == "constant"
    fill = float(given.get("value") or 0.0) if pads else 0.0
    height, width = area(x.space)
    rows = torch.arange(height, dtype=torch.float64)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.float64).expand(height, width)
    found: list[Ids] = []
    for axis, numbers in enumerate((rows, columns)):
        image = numbers.reshape(1, 1, *x.space)
        if pads:
            made = aten.constant_pad_nd.default(image, given["pads"], -1.0)
        else:
            made = step.target(image, *rest, **step.kwargs)
        found.append(made.reshape(area(step.out.space)).amax(1 - axis).numpy().astype(np.int64))
    return Pick(x, step.out, step.where, found[0], found[1], fill)
