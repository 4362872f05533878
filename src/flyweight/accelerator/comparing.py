"""Where networks spend their time on an accelerator: the same kinds of layers beside each other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flyweight.accelerator.layers import Layer
from flyweight.accelerator.simulation import LayerResult, Simulation

KINDS = ("first layer", "1x1", "larger kernels", "grouped", "depthwise", "linear")
"""Of layers, by what the array makes of them; the first one has few channels on a large map."""


@dataclass(frozen=True)
class Part:
    """A network's layers of one kind.

    Attributes:
        kind: one of `KINDS`.
        layers: how many.
        cycles: of all of them.
        share: of the network's cycles.
        utilisation: share of the elements' cycles in which they do a multiply-add.
        energy: in multiply-adds.
    """

    kind: str
    layers: int
    cycles: float
    share: float
    utilisation: float
    energy: float


def parts(simulation: Simulation) -> dict[str, Part]:
    """The kinds of layers that a network has, in the order of `KINDS`."""
    found: dict[str, list[LayerResult]] = defaultdict(list)
    for number, result in enumerate(simulation.layers):
        found["first layer" if number == 0 else _kind(result.layer)].append(result)
    return {kind: _part(kind, found[kind], simulation) for kind in KINDS if kind in found}


def _kind(layer: Layer) -> str:
    if layer.linear:
        return "linear"
    if layer.depthwise:
        return "depthwise"
    if layer.groups > 1:
        return "grouped"
    return "1x1" if layer.taps == 1 else "larger kernels"


def _part(kind: str, layers: Sequence[LayerResult], simulation: Simulation) -> Part:
    cycles = sum(one.cycles for one in layers)
    return Part(
        kind,
        len(layers),
        cycles,
        cycles / simulation.cycles,
        sum(one.work.madds for one in layers) / (cycles * simulation.accelerator.elements),
        sum(one.total_energy for one in layers),
    )


def over_first(simulations: Sequence[Simulation]) -> list[dict[str, Any]]:
    """Each network's time and energy over the first one's, as JSON types."""
    first = simulations[0]
    return [
        {
            "network": one.workload.network,
            "time": one.cycles / first.cycles,
            "energy": one.total_energy / first.total_energy,
        }
        for one in simulations
    ]
