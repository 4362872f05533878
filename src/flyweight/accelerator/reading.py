"""A network as the layers that the accelerator does, and what it leaves to something else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from flyweight.accelerator.layers import Layer, Pair
from flyweight.counting.formulas import count, is_view
from flyweight.counting.trace import Call, trace
from flyweight.errors import UsageError
from flyweight.nn import label

_aten = torch.ops.aten
_CONVOLUTIONS = (_aten.convolution, _aten._convolution)
_LINEAR = (_aten.addmm, _aten.mm)


@dataclass(frozen=True)
class LeftOut:
    """Operations of one kind that aren't simulated.

    Attributes:
        calls: how many.
        madds: their multiply-adds; None where no rule counts them.
    """

    calls: int
    madds: int | None


@dataclass(frozen=True)
class Workload:
    """What a network asks of the accelerator.

    Attributes:
        network: its name.
        input_size: batch first.
        layers: convolutions and linear layers, in the order in which they run.
        left_out: everything else, by kind: pooling, sums, activations, norms.
    """

    network: str
    input_size: tuple[int, ...]
    layers: tuple[Layer, ...]
    left_out: Mapping[str, LeftOut]

    @property
    def madds(self) -> int:
        """Multiply-adds of the layers."""
        return sum(layer.madds for layer in self.layers)


def read_network(model: nn.Module, input_size: Sequence[int]) -> Workload:
    """The convolutions and linear layers of one forward pass. The module is not changed.

    Batch norm and activations cost the accelerator nothing (they are folded into the layer before
    them); pooling and sums are ignored, as in the paper. What was left out is listed.

    Args:
        model: any module of one input.
        input_size: of the input, batch first.

    Raises:
        UsageError: a network that doesn't run on this input, or has no layer to simulate.
    """
    if not input_size or any(size < 1 for size in input_size):
        raise UsageError(f"input size {tuple(input_size)}: every number must be 1 or more")
    layers: list[Layer] = []
    left_out: dict[str, LeftOut] = {}
    for call in trace(model, input_size)[1]:
        layer = _layer(call)
        if layer is not None:
            layers.append(layer)
        elif not is_view(call[1]):
            _, op, args, kwargs, out = call
            counts = count(op, args, kwargs, out)
            kind = str(op.overloadpacket) if counts is None else counts.kind
            before = left_out.get(kind, LeftOut(0, 0))
            madds = None if counts is None else (before.madds or 0) + counts.madds
            left_out[kind] = LeftOut(before.calls + 1, madds)
    if not layers:
        raise UsageError(f"{label(model)} has no convolution or linear layer to simulate")
    return Workload(label(model), tuple(input_size), tuple(layers), left_out)


def _layer(call: Call) -> Layer | None:
    """The layer of a call; None where the accelerator has nothing to do with it."""
    module, op, args, _, out = call
    if op.overloadpacket in _LINEAR:
        rows, weight = args[-2:]
        return Layer(
            module, weight.shape[0], weight.shape[1], (1, 1), (1, 1),
            images=rows.shape[0], linear=True,
        )  # fmt: skip
    if op.overloadpacket not in _CONVOLUTIONS:
        return None
    x, weight, _, stride, padding, dilation, transposed, _, groups = args[:9]
    if transposed or weight.dim() not in (3, 4):
        return None
    return Layer(
        module,
        in_channels=x.shape[1],
        out_channels=weight.shape[0],
        in_size=_pair(x.shape[2:], 1),
        out_size=_pair(out.shape[2:], 1),
        kernel=_pair(weight.shape[2:], 1),
        stride=_pair(stride, 1, weight.dim() - 2),
        padding=_pair(padding, 0, weight.dim() - 2),
        dilation=_pair(dilation, 1, weight.dim() - 2),
        groups=groups,
        images=x.shape[0],
    )


def _pair(sizes: Sequence[Any], missing: int, dimensions: int = 2) -> Pair:
    """Two numbers: one axis is a row, and one number may stand for both axes."""
    values = [int(size) for size in sizes]
    if len(values) == 2:
        return values[0], values[1]
    return (values[0], values[0]) if len(sizes) < dimensions else (missing, values[0])
