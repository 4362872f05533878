"""How many operations a graph has, and how many bytes of channels it moves about."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten

MOVING = {
    aten.cat.default, aten.stack.default, aten.index_select.default, aten.index.Tensor,
    aten.channel_shuffle.default, aten.native_channel_shuffle.default, aten.repeat.default,
    aten.repeat_interleave.self_int, aten.flip.default, aten.roll.default,
    aten.slice.Tensor, aten.narrow.default, aten.select.int, aten.split.Tensor,
    aten.split_with_sizes.default, aten.chunk.default, aten.unbind.int,
    aten.transpose.int, aten.permute.default, aten.swapaxes.default, aten.movedim.int,
}  # fmt: skip
"""What only moves elements. A view that must become contiguous later counts where it is made."""
_FREE = {
    aten.view.default, aten._unsafe_view.default, aten.reshape.default, aten.flatten.using_ints,
    aten.unflatten.int, aten.clone.default, aten.contiguous.default, aten.detach.default,
    aten.alias.default, aten.dropout.default, aten.dropout_.default, aten.squeeze.dim,
    aten.unsqueeze.default, aten.sym_size.int, aten.feature_dropout.default,
}  # fmt: skip


@dataclass(frozen=True)
class Movement:
    """What a graph does for one input.

    Attributes:
        operations: all that compute or move; views and identities don't.
        moves: those that only move elements.
        moved_bytes: what those read and write: every element that they put out, twice.
    """

    operations: int
    moves: int
    moved_bytes: int


def movement(module: fx.GraphModule, example: Tensor) -> tuple[Movement, Any]:
    """Run a graph once and add up what it moves; and what it puts out.

    An engine that fuses or views moves less; this counts every operation as executed by itself.
    """
    counter = _Counter(module)
    with torch.no_grad():
        output = counter.run(example)
    return Movement(counter.operations, counter.moves, counter.moved_bytes), output


class _Counter(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.operations = self.moves = self.moved_bytes = 0

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        result = super().call_function(target, args, kwargs)
        is_operation = isinstance(target, torch._ops.OpOverload) and target not in _FREE
        self.operations += is_operation
        if target in MOVING:
            results = result if isinstance(result, list | tuple) else [result]
            self.moves += 1
            self.moved_bytes += sum(
                2 * t.numel() * t.element_size() for t in results if isinstance(t, Tensor)
            )
        return result
