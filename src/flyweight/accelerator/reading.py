"""A network as the layers that the accelerator does, and what it leaves to something else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    axes = weight.dim() - 2
    if transposed or axes not in (1, 2):
        return None
    return Layer(
        module,
        in_channels=x.shape[1],
        out_channels=weight.shape[0],
        in_size=_sides(x.shape[2:]),
        out_size=_sides(out.shape[2:]),
        kernel=_sides(weight.shape[2:]),
        stride=_each(stride, axes, 1),
        padding=_each(padding, axes, 0),
        dilation=_each(dilation, axes, 1),
        groups=groups,
        images=x.shape[0],
    )


def _sides(shape: Sequence[int], alone: int = 1) -> Pair:
    """Height and width of a shape; one axis is a row."""
    values = [int(size) for size in shape]
    return (values[0], values[1]) if len(values) == 2 else (alone, values[0])


def _each(numbers: Sequence[int], axes: int, alone: int) -> Pair:
    """A convolution's numbers for both axes, of which one may stand for all."""
    return _sides([*numbers] * axes if len(numbers) < axes else numbers, alone)
