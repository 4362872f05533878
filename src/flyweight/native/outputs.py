"""Where the elements of an output come from."""

import math

import numpy as np

from flyweight.graph.maps import ChannelMap, Ids
from flyweight.native.literals import braces
from flyweight.native.tables import Tables, gathering


def put_out(tables: Tables, output: ChannelMap) -> tuple[list[int], int]:
    """An output in the order of its dimensions.

    Channels that lie equally far apart in the output are copied together: all of them in
    (batch, channels, positions), a few where a view came before a permutation.

    Returns:
        The rows of the table of gatherings, and how many floats the output has for an image.
    """
    ids = output.ids.ravel()
    offsets, by_axis, size = _strides(output)
    shapes = [(one.height, one.width) for one in map(tables.buffer, ids.tolist())]
    rows = []
    for start, stop in _runs(offsets, shapes):
        height, width = shapes[start]
        down, right = by_axis.get(0, 0), by_axis.get(1, 0)
        if height == 1:  # the one axis of (batch, channels, positions) lies along a row
            down, right = 0, by_axis.get(1, by_axis.get(0, 0))
        apart = int(offsets[start + 1] - offsets[start]) if stop - start > 1 else 0
        where = braces(int(offsets[start]), right, down)
        rows.append(gathering(tables, where, ids[start:stop], (height, width), apart))
    return rows, size


def _strides(output: ChannelMap) -> tuple[Ids, dict[int, int], int]:
    """For each channel its offset, for each axis of positions its stride; and the whole size."""
    atoms = [atom for dim in output.dims[1:] for atom in dim]
    size = math.prod(atom.size for atom in atoms)
    offsets = np.zeros(1, dtype=np.int64)
    by_axis: dict[int, int] = {}
    left = size
    for atom in atoms:
        left //= atom.size
        if atom.kind == "space":
            by_axis[atom.axis] = left
        else:
            offsets = (offsets[:, None] + left * np.arange(atom.size)).ravel()
    return offsets, by_axis, size


def _runs(offsets: Ids, shapes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Channels that are equally far apart: (the first, the one behind the last)."""
    found: list[tuple[int, int]] = []
    apart = np.diff(offsets)
    for k in range(len(offsets)):
        start = found[-1][0] if found else k
        alike = k > start and apart[k - 1] == apart[start] and shapes[k] == shapes[start]
        if alike:
            found[-1] = (start, k + 1)
        else:
            found.append((k, k + 1))
    return found
