"""A network on the accelerator: the dataflow of each layer, its cycles, traffic and energy."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from flyweight.accelerator.dataflows import (
    Work,
    dram_words,
    output_stationary,
    weight_stationary,
)
from flyweight.accelerator.hardware import Accelerator, Dataflow, choices
from flyweight.accelerator.layers import Layer
from flyweight.accelerator.reading import LeftOut, Workload

PARTS = ("mac", "register", "hop", "buffer", "dram")
"""Where energy goes, as the fields of `Energy` are called."""


@dataclass(frozen=True)
class LayerResult:
    """A layer on the accelerator.

    Attributes:
        layer: its shapes.
        work: in the dataflow that was picked.
        other_cycles: of the array in the other dataflow.
        dram_words: between DRAM and buffer.
        dram_cycles: that they take, with the latency.
        elements: processing elements of the array.
        energy: by part, in multiply-adds.
    """

    layer: Layer
    work: Work
    other_cycles: float
    dram_words: int
    dram_cycles: float
    elements: int
    energy: dict[str, float]

    @property
    def dataflow(self) -> Dataflow:
        """The one that was picked."""
        return self.work.dataflow

    @property
    def cycles(self) -> float:
        """Until the layer is done: transfers overlap with computing, the longer one counts."""
        return max(self.work.cycles, self.dram_cycles)

    @property
    def utilisation(self) -> float:
        """Share of the elements' cycles in which they do a multiply-add."""
        return self.work.madds / (self.cycles * self.elements)

    @property
    def bound(self) -> str:
        """What it waits for: "dram" or "array"."""
        return "dram" if self.dram_cycles > self.work.cycles else "array"

    @property
    def total_energy(self) -> float:
        """In multiply-adds."""
        return sum(self.energy.values())

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        work = dataclasses.asdict(self.work)
        return {
            **dataclasses.asdict(self.layer),
            "kind": self.layer.kind,
            "madds": self.layer.madds,
            "dataflow": work.pop("dataflow"),
            "cycles": self.cycles,
            "utilisation": self.utilisation,
            "bound": self.bound,
            "array_cycles": work.pop("cycles"),
            "waiting_cycles": work.pop("waiting"),
            "other_dataflow_cycles": self.other_cycles,
            "executed_madds": work.pop("madds"),
            **work,
            "dram_words": self.dram_words,
            "dram_cycles": self.dram_cycles,
            "energy": self.energy,
        }


@dataclass(frozen=True)
class Simulation:
    """A network on an accelerator; time is the sum over the layers, one after another.

    Attributes:
        workload: the network.
        accelerator: what it ran on.
        layers: in order.
    """

    workload: Workload
    accelerator: Accelerator
    layers: tuple[LayerResult, ...]

    @property
    def cycles(self) -> float:
        """Of all layers."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def seconds(self) -> float:
        """At the accelerator's clock."""
        return self.cycles / self.accelerator.clock_hz

    @property
    def energy(self) -> dict[str, float]:
        """Of all layers by part, in multiply-adds."""
        return {part: sum(layer.energy[part] for layer in self.layers) for part in PARTS}

    @property
    def total_energy(self) -> float:
        """In multiply-adds."""
        return sum(self.energy.values())

    @property
    def utilisation(self) -> float:
        """Share of the elements' cycles in which they do a multiply-add."""
        done = sum(layer.work.madds for layer in self.layers)
        return done / (self.cycles * self.accelerator.elements)

    @property
    def dram_bytes(self) -> int:
        """Between DRAM and buffer."""
        return self.accelerator.word_bytes * sum(layer.dram_words for layer in self.layers)

    @property
    def left_out(self) -> dict[str, LeftOut]:
        """What wasn't simulated, by kind."""
        return dict(self.workload.left_out)

    def to_json(self) -> dict[str, Any]:
        """As JSON types: sums, every layer, every field of the accelerator with its source."""
        return {
            "network": self.workload.network,
            "input_size": list(self.workload.input_size),
            "simulated": True,
            "accelerator": {one.name: one.value for one in choices(self.accelerator)},
            "sources": {one.name: one.source for one in choices(self.accelerator)},
            "madds": self.workload.madds,
            "cycles": self.cycles,
            "seconds": self.seconds,
            "utilisation": self.utilisation,
            "dram_bytes": self.dram_bytes,
            "energy": self.energy,
            "total_energy": self.total_energy,
            "left_out": {k: dataclasses.asdict(v) for k, v in self.left_out.items()},
            "layers": [layer.to_json() for layer in self.layers],
        }


def simulate(workload: Workload, accelerator: Accelerator) -> Simulation:
    """Simulate a network, layer by layer."""
    return Simulation(
        workload,
        accelerator,
        tuple(simulate_layer(layer, accelerator) for layer in workload.layers),
    )


def simulate_layer(layer: Layer, accelerator: Accelerator) -> LayerResult:
    """Simulate one layer in the dataflow that is faster, or the one that is asked for.

    Where the DRAM makes both take the same time, the one that leaves the array idle for longer is
    taken; where that is the same too, the one of less energy.
    """
    words = dram_words(layer, accelerator)
    bytes_a_cycle = accelerator.bandwidth / accelerator.clock_hz
    results = {}
    both = weight_stationary(layer, accelerator), output_stationary(layer, accelerator)
    for work, other in (both, both[::-1]):
        results[work.dataflow] = LayerResult(
            layer,
            work,
            other.cycles,
            words,
            words * accelerator.word_bytes / bytes_a_cycle + accelerator.latency,
            accelerator.elements,
            _energy(work, words, accelerator),
        )
    if accelerator.picking != "fastest":
        return results[accelerator.picking]
    return min(results.values(), key=lambda one: (one.cycles, one.work.cycles, one.total_energy))


def _energy(work: Work, words: int, accelerator: Accelerator) -> dict[str, float]:
    """By part: accesses times the energy of one."""
    price = accelerator.energy
    if work.dataflow == "weight":
        registers, hops = price.weight_registers, price.weight_hops
    else:
        registers, hops = price.output_registers, price.output_hops
    return {
        "mac": price.mac * work.madds,
        "register": price.register * registers * work.madds,
        "hop": price.hop * hops * work.madds,
        "buffer": price.buffer * work.buffer_words,
        "dram": price.dram * words,
    }
