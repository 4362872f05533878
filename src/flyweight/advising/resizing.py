"""Shapes and constants of operations whose input has other sizes than when it was captured."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from flyweight.advising.widths import reshaped

aten = torch.ops.aten

_VIEWS = (aten.view.default, aten._unsafe_view.default, aten.reshape.default)


def broadcast(held: tuple[int, ...], old: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """The shape of a constant that is broadcast against an operand of another shape than before."""
    sizes = list(held)
    for back in range(1, min(len(held), len(old)) + 1):
        if sizes[-back] == old[-back]:
            sizes[-back] = int(new[-back])
    return tuple(sizes)


def resized_args(
    target: Any, node: fx.Node, args: list[Any], old: list[int], new: list[int]
) -> list[Any]:
    """The sizes that are written into an operation's arguments, for an input of another shape."""
    if target in _VIEWS:
        out = [int(size) for size in node.meta["val"].shape]
        return [args[0], reshaped(old, new, out)]
    if target is aten.expand.default:
        grown = [-1 if a == b else b for a, b in zip(old[-len(old) :], args[1][-len(old) :],
                                                     strict=True)]  # fmt: skip
        return [args[0], grown]
    if target is aten.split.Tensor:
        dim = args[2] if len(args) > 2 else 0
        parts = math.ceil(old[dim] / args[1])
        return [args[0], math.ceil(new[dim] / parts), *args[2:]]
    if target is aten.split_with_sizes.default:
        dim = args[2] if len(args) > 2 else 0
        ends = [round(sum(args[1][: k + 1]) * new[dim] / old[dim]) for k in range(len(args[1]))]
        return [args[0], [b - a for a, b in zip([0, *ends], ends, strict=False)], *args[2:]]
    if target is aten.slice.Tensor and len(args) > 3:
        dim = args[1]
        if new[dim] != old[dim]:
            bounds = [
                round(min(at, old[dim]) * new[dim] / old[dim]) if isinstance(at, int) else at
                for at in args[2:4]
            ]
            return [*args[:2], *bounds, *args[4:]]
    return args


def for_any_batch(
    target: Any, args: list[Any], read: Sequence[int], made: Sequence[int]
) -> list[Any]:
    """A view's arguments without the number of images, which the capture wrote into them.

    Args:
        target: the operation.
        args: its arguments.
        read: shape of what it reads.
        made: shape of what it puts out, where its arguments leave a size open.
    """
    if target in _VIEWS and len(args[1]) > 1 and read and args[1][0] == read[0]:
        sizes = zip(args[1][1:], made[1:], strict=True)
        return [args[0], [-1, *(size if given == -1 else given for given, size in sizes)]]
    return args


def resized(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A constant of another shape, made of its own values; weights keep the size of their sums."""
    if tuple(tensor.shape) == shape:
        return tensor.detach().clone()
    found = tensor.detach()
    for dim, (old, new) in enumerate(zip(tensor.shape, shape, strict=True)):
        if old != new:
            found = found.index_select(dim, torch.arange(new) % old)
    if found.dim() > 1 and found.is_floating_point():
        found = found * (math.prod(tensor.shape[1:]) / math.prod(shape[1:]))
    return found.contiguous()
