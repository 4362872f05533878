"""The steps of a plan as tables of C, their weights packed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand
from flyweight.native.literals import braces, number
from flyweight.native.nodes import (
    Convolution,
    Elementwise,
    Finish,
    Limits,
    Neighbours,
    Pick,
    Pool,
    Softmax,
    area,
)
from flyweight.native.packing import Pack
from flyweight.native.plan import Buffer, Plan, Step

KINDS = ("segment", "group", "part", "border", "convolution", "depthwise", "pooling", "elementwise",
         "picking", "nearby", "gathering", "softmaxing", "link", "chain", "winograd")  # fmt: skip


@dataclass
class Tables:
    """Rows of each kind of table, as C writes them, and what they refer to."""

    plan: Plan
    pack: Pack = field(default_factory=Pack)
    rows: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def add(self, kind: str, rows: Iterable[str]) -> int:
        """Put rows down; the number of the first."""
        table = self.rows[kind]
        at = len(table)
        table.extend(rows)
        return at

    def buffer(self, channel: int) -> Buffer:
        """Where a channel lies."""
        return self.plan.buffer_of(channel)


def place(
    buffer: Buffer, channel: int = 0, step: tuple[int, int] = (1, 1), turned: bool = False
) -> str:
    """Where pixel (0, 0) of a channel lies, and every `step`-th further one."""
    if turned:
        return braces(buffer.at(0, 0, channel), buffer.row, buffer.pixel)
    return braces(buffer.at(0, 0, channel), buffer.pixel * step[1], buffer.row * step[0])


def place_of(tables: Tables, x: Operand) -> str:
    """Where pixel (0, 0) of the first channel of a run lies, wherever that is."""
    channel = int(x.ids[0])
    buffer = tables.buffer(channel)
    return place(buffer, channel - buffer.first)


def segments(
    tables: Tables,
    ids: Ids,
    taps: list[tuple[int, int]],
    step: tuple[int, int] = (1, 1),
    turned: bool = False,
) -> tuple[int, int, list[int]]:
    """Inputs read through the table: channels at taps (y, x) away from each pixel.

    Inputs of buffers that are laid out alike are one segment.

    Returns:
        The number of the first segment, how many, and which input comes when: numbers of
        channel x taps + tap.
    """
    by_layout: dict[tuple[int, int], list[int]] = {}
    buffers = [tables.buffer(int(channel)) for channel in ids]
    for k, buffer in enumerate(buffers):
        by_layout.setdefault((buffer.pixel, buffer.row), []).append(k)
    rows: list[str] = []
    order: list[int] = []
    for members in by_layout.values():
        first = buffers[members[0]]
        starts = [buffers[k].at(0, 0, int(ids[k]) - buffers[k].first) for k in members]
        away = np.array([y * first.row + x * first.pixel for y, x in taps], dtype=np.int64)
        offsets = away[:, None] + np.array(starts, dtype=np.int64) - first.at(0, 0)
        order += [k * len(taps) + t for t in range(len(taps)) for k in members]
        index = tables.pack.index(offsets.ravel())
        rows.append(braces(place(first, 0, step, turned), offsets.size, index))
    return tables.add("segment", rows), len(rows), order


def limits(value: Limits) -> str:
    """As C has them."""
    return braces(number(value.low), number(value.high))


def finish(tables: Tables, value: Finish, padded: int) -> str:
    """As C has it; `padded` is how many channels are computed."""
    residual, slopes = braces(0, 0, 0), 0
    if value.residual is not None:
        residual = place_of(tables, value.residual)
    if value.curve is not None and value.curve.slopes is not None:
        slopes = tables.pack.put(value.curve.slopes, padded)
    curve = value.curve.name if value.curve else "NO_CURVE"
    slope = number(value.curve.slope if value.curve else 0.0)
    adds = int(value.residual is not None)
    return braces(limits(value.before), adds, residual, limits(value.after), curve, slope, slopes)


NEXT = "NEXT"


def tell_next(tables: Tables, weights: int) -> None:
    """Let the convolution before know where the weights after its own are."""
    rows = tables.rows["convolution"]
    if rows:
        rows[-1] = rows[-1].replace(NEXT, str(weights))


def parts(
    tables: Tables,
    x: Operand,
    step: tuple[int, int] = (1, 1),
    pad: tuple[int, int] = (0, 0),
    other: Operand | None = None,
    weights: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
) -> tuple[int, int]:
    """Runs of channels that lie side by side: the number of the first row, and how many.

    Args:
        tables: where they go.
        x: what is read.
        step: how many input pixels from an output to the next.
        pad: how far before the first pixel the first output reads.
        other: a second operand, in one run.
        weights: (taps, channels) and a number for each channel.
    """
    lanes = tables.plan.isa.lanes
    rows, column = [], 0
    for start, count in _runs(tables, x.ids):
        buffer = tables.buffer(start)
        at = buffer.at(-pad[0], -pad[1], start - buffer.first)
        there = braces(at, buffer.pixel * step[1], buffer.row * step[0])
        second = braces(0, 0, 0)
        if other is not None:
            channel = int(other.ids[0])
            its = tables.buffer(channel)
            only = area(other.space) == (1, 1)
            second = braces(
                its.at(0, 0, channel - its.first + column),
                0 if only else its.pixel, 0 if only else its.row,
            )  # fmt: skip
        packed = [0, 0]
        for i, tensor in enumerate(weights):
            if tensor is not None:
                mine = tensor[..., column : column + count]
                padded = torch.zeros(*mine.shape[:-1], -(-count // lanes) * lanes)
                padded[..., :count] = mine
                if padded.dim() == 2:  # a vector of channels after the other, with all its taps
                    padded = padded.reshape(len(padded), -1, lanes).transpose(0, 1).contiguous()
                packed[i] = tables.pack.put(padded)
        rows.append(braces(there, second, count, column, *packed))
        column += count
    return tables.add("part", rows), len(rows)


def _runs(tables: Tables, ids: Ids) -> list[tuple[int, int]]:
    """Channels that lie side by side in one buffer: (the first, how many)."""
    found: list[tuple[int, int]] = []
    for channel in ids.tolist():
        if found:
            first, count = found[-1]
            if channel == first + count and tables.buffer(first) is tables.buffer(channel):
                found[-1] = (first, count + 1)
                continue
        found.append((channel, 1))
    return found


def depthwise(tables: Tables, step: Step, node: Convolution) -> int:
    """A depthwise convolution; the number of its row."""
    channels, _, kernel_y, kernel_x = node.weight.shape
    taps = node.weight.detach().reshape(channels, -1).T
    bias = torch.zeros(channels) if node.bias is None else node.bias.detach()
    # The C code multiplies by the stride itself.
    first, count = parts(tables, node.x, pad=node.padding, weights=(taps, bias))
    return tables.add(
        "depthwise",
        [
            braces(
                place(step.out), step.out.height, step.out.width, f"parts + {first}", count,
                kernel_y, kernel_x, *node.stride, *node.dilation,
                finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip


def pooling(tables: Tables, step: Step, node: Pool) -> int:
    """A pool; the number of its row."""
    first, count = parts(tables, node.x)
    return tables.add(
        "pooling",
        [
            braces(
                place(step.out), step.out.height, step.out.width, *area(node.x.space),
                f"parts + {first}", count, *node.kernel, *node.stride, *node.padding,
                *node.dilation, int(node.adaptive), node.kind, node.counting,
                number(node.divisor), finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip


def elementwise(tables: Tables, step: Step, node: Elementwise) -> int:
    """An elementwise operation; the number of its row."""
    first, count = parts(tables, node.x, other=node.other, weights=(node.scale, node.shift))
    return tables.add(
        "elementwise",
        [
            braces(
                place(step.out), step.out.height, step.out.width, f"parts + {first}", count,
                node.operation, finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip


def picking(tables: Tables, step: Step, node: Pick) -> int:
    """Pixels from elsewhere; the number of its row."""
    first, count = parts(tables, node.x)
    return tables.add(
        "picking",
        [
            braces(
                place(step.out), step.out.height, step.out.width, f"parts + {first}", count,
                tables.pack.index(node.rows), tables.pack.index(node.columns), number(node.fill),
                finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip


def nearby(tables: Tables, step: Step, node: Neighbours) -> int:
    """Sums over neighbouring channels; the number of its row."""
    return tables.add(
        "nearby",
        [
            braces(
                place(step.out), place_of(tables, node.x), step.out.height,
                step.out.width, step.out.channels, node.before, node.after, number(node.scale),
                number(node.shift), finish(tables, node.finish, step.out.pixel),
            )
        ],
    )  # fmt: skip


def gathering(
    tables: Tables, out: str, ids: Ids, size: tuple[int, int], channel: int, turned: bool = False
) -> int:
    """Channels put side by side; the number of its row.

    Args:
        tables: where it goes.
        out: the place of the first pixel of the first one.
        ids: which channels.
        size: height and width of the output.
        channel: from a channel of the output to the next.
        turned: whether rows of the output are columns of the channels.
    """
    rows, runs = [], _same_layout(tables, ids)
    for start, stop in runs:
        first, _, _ = segments(tables, ids[start:stop], [(0, 0)], turned=turned)
        rows.append(first)
    height, width = size
    return tables.add(
        "gathering",
        [braces(out, height, width, f"segments + {rows[0]}", len(rows), channel)],
    )


def _same_layout(tables: Tables, ids: Ids) -> list[tuple[int, int]]:
    """Runs of channels, in their order, whose buffers are laid out alike."""
    runs: list[tuple[int, int]] = []
    known = None
    for k, channel in enumerate(ids.tolist()):
        buffer = tables.buffer(channel)
        layout = (buffer.pixel, buffer.row)
        if layout == known:
            runs[-1] = (runs[-1][0], k + 1)
        else:
            runs.append((k, k + 1))
        known = layout
    return runs


def softmaxing(tables: Tables, step: Step, node: Softmax) -> int:
    """A softmax; the number of its row."""
    return tables.add(
        "softmaxing",
        [
            braces(
                place(step.out), place_of(tables, node.x), step.out.height,
                step.out.width, step.out.channels, int(node.logarithm),
            )
        ],
    )  # fmt: skip


def border(tables: Tables, buffer: Buffer) -> int:
    """The zeros around a buffer; the number of their row."""
    top, left, bottom, right = buffer.border
    return tables.add(
        "border",
        [
            braces(
                buffer.offset, buffer.pixel, buffer.row, buffer.height, buffer.width, top, left,
                bottom, right,
            )
        ],
    )  # fmt: skip
