"""All that would help a network on an accelerator, what it brings together, and how it is said."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from flyweight.accelerator.advice import (
    Lost,
    Move,
    Swap,
    advise_moves,
    advise_stem,
    lost_cycles,
)
from flyweight.accelerator.simulation import LayerResult, Simulation, simulate

WORTH = 0.02
"""Of the network's simulated time that a change must save: less is nobody's reason to change a
network (the project's studies count from the same share on)."""
BADLY_USED = 2 / 3
"""Maps on which the array does less than this part of what it does on the best smaller ones: the
authors call a fall by about half, in SqueezeNext's first module, a significant drop."""


@dataclass(frozen=True)
class Early:
    """Large maps, on whose few channels the array is used badly.

    Attributes:
        size: rows and columns of the maps.
        channels: the fewest and the most that its layers read.
        share: of the network's cycles.
        utilisation: over its layers.
        later: the best utilisation on smaller maps.
    """

    size: tuple[int, int]
    channels: tuple[int, int]
    share: float
    utilisation: float
    later: float


def badly_used(simulation: Simulation) -> list[Early]:
    """Large maps on which the array does far less than on the smaller ones behind them.

    The first layer isn't counted among them: it always has few channels, and is looked at alone.
    """
    layers: dict[tuple[int, int], list[LayerResult]] = defaultdict(list)
    for one in simulation.layers[1:]:
        if not one.layer.linear and one.layer.out_size != (1, 1):
            layers[one.layer.out_size].append(one)
    used = {
        size: sum(one.work.madds for one in own) / sum(one.cycles * one.elements for one in own)
        for size, own in layers.items()
    }
    found = []
    for size, own in layers.items():
        later = max((used[other] for other in used if other < size), default=0.0)
        share = sum(one.cycles for one in own) / simulation.cycles
        if used[size] < BADLY_USED * later and share >= WORTH:
            channels = [one.layer.group_inputs for one in own]
            few = (min(channels), max(channels))
            found.append(Early(size, few, share, used[size], later))
    return found


@dataclass(frozen=True)
class HardwareAdvice:
    """What would help a network on an accelerator, all of it simulated.

    Attributes:
        simulation: the network as it is.
        lost: layers that leave the array idle for longest.
        early: large maps on which it is used badly.
        stem: the first layer with a smaller kernel; None where that saves less than `WORTH`.
        moves: blocks that would be faster in later stages: all but one of each stage move.
        together: the network with all of that, simulated as one; None where nothing would help.
    """

    simulation: Simulation
    lost: tuple[Lost, ...]
    early: tuple[Early, ...]
    stem: Swap | None
    moves: tuple[Move, ...]
    together: Simulation | None

    def share(self, cycles: float) -> float:
        """Cycles as a part of the network's."""
        return cycles / self.simulation.cycles

    @property
    def ratio(self) -> float:
        """The simulated time with all advice over that without."""
        return 1.0 if self.together is None else self.share(self.together.cycles)

    def summary(self) -> str:
        """In a sentence or two."""
        name, where = self.simulation.workload.network, self.simulation.accelerator.name
        if self.together is None:
            return f"Nothing found that would help {name} on an array of {where} (simulated)."
        madds = self.together.workload.madds / self.simulation.workload.madds
        return (
            f"Changed and trained again, {name} would take {self.ratio:.2f} of its time on an array"
            f" of {where} (simulated, not measured), with {madds:.2f} of its multiply-adds."
        )

    def reasons(self) -> list[str]:
        """Why it takes as long as it does, a sentence each without its full stop."""
        return [
            f"layers on maps of {one.size[0]}x{one.size[1]}, with {one.channels[0]} to"
            f" {one.channels[1]} channels, take {one.share:.0%} of the simulated time and keep"
            f" {one.utilisation:.0%} of the array busy, where later ones keep {one.later:.0%}"
            for one in self.early
        ] + [
            f"{one.result.layer.name or '(itself)'} leaves the array idle for"
            f" {self.share(one.cycles):.1%} of the simulated time: {one.reason}"
            for one in self.lost
        ]

    def proposals(self) -> list[str]:
        """What to change, likewise."""
        found = []
        if self.stem is not None:
            before, after = self.stem.before.layer, self.stem.after.layer
            found.append(
                f"{before.name or '(itself)'}: a kernel of {after.kind} instead of {before.kind}"
                f" takes {self.share(self.stem.saved):.1%} off the simulated time"
            )
        for move in self.moves:
            many = move.source.blocks - 1
            found.append(
                f"a block of {move.source.name} moved to {move.target.name} takes"
                f" {self.share(move.saved):.1%} off the simulated time, at"
                f" {move.madds / move.source.madds:+.0%} of its multiply-adds ({many} could:"
                f" {self.share(many * move.saved):.1%})"
            )
        return found


def advise_hardware(simulation: Simulation) -> HardwareAdvice:
    """What SqueezeNext's authors would change, and what all of it brings, simulated as one."""
    stem = advise_stem(simulation)
    if stem is not None and stem.saved < WORTH * simulation.cycles:
        stem = None
    moves = [
        move
        for move in advise_moves(simulation)
        if (move.source.blocks - 1) * move.saved >= WORTH * simulation.cycles
    ]
    together = _changed(simulation, stem, moves) if stem or moves else None
    return HardwareAdvice(
        simulation, tuple(lost_cycles(simulation)), tuple(badly_used(simulation)), stem,
        tuple(moves), together,
    )  # fmt: skip


def _changed(simulation: Simulation, stem: Swap | None, moves: Sequence[Move]) -> Simulation:
    """The network with a smaller first kernel, and with all blocks but one of each stage moved."""
    layers = [one.layer for one in simulation.layers]
    if stem is not None:
        layers[0] = stem.after.layer
    named = {layer.name: layer for layer in layers}
    gone: set[str] = set()
    for move in moves:
        moved = move.source.members[1:]
        gone.update(name for block in moved for name in block)
        like = move.target.members[0]
        last = max(layers.index(named[name]) for block in move.target.members for name in block)
        layers[last + 1 : last + 1] = [
            replace(named[name], name=f"{name} (moved {index})")
            for index in range(len(moved))
            for name in like
        ]
    kept = tuple(layer for layer in layers if layer.name not in gone)
    workload = replace(simulation.workload, layers=kept)
    return simulate(workload, simulation.accelerator)


def advice_to_json(advice: HardwareAdvice) -> dict[str, Any]:
    """All of it as JSON types; cycles, and shares of the network's. Nothing of it is measured.

    The stem and the moves are all that save anything, also those that save less than `WORTH`.
    """
    simulation = advice.simulation
    swap = advise_stem(simulation)
    return {
        "simulated": True,
        "summary": advice.summary(),
        "reasons": advice.reasons(),
        "proposals": advice.proposals(),
        "together": None
        if advice.together is None
        else {
            "cycles": advice.together.cycles,
            "share": advice.ratio,
            "madds": advice.together.workload.madds,
        },
        "early": [asdict(one) for one in advice.early],
        "lost": [
            {"layer": lost.result.layer.name, "cycles": lost.cycles, "reason": lost.reason}
            for lost in advice.lost
        ],
        "stem": None
        if swap is None
        else {
            "layer": swap.before.layer.name,
            "from": swap.before.layer.kind,
            "to": swap.after.layer.kind,
            "saved_cycles": swap.saved,
            "saved_share": swap.saved / simulation.cycles,
        },
        "moves": [
            {
                "from": move.source.name,
                "to": move.target.name,
                "blocks": move.source.blocks,
                "saved_cycles": move.saved,
                "saved_share": move.saved / simulation.cycles,
                "madds": move.madds,
            }
            for move in advise_moves(simulation)
        ],
    }
