"""What was found in a network, and what might be done about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flyweight.advising.reading import Layer, Reading
from flyweight.advising.rebuilding import Edit
from flyweight.decomposing import Decomposition
from flyweight.decomposing.roofline import OVERHEAD
from flyweight.graph.blame import Place

EXACT = "exact"
"""The network computes the same afterwards."""
ARCHITECTURAL = "architectural"
"""It is another network afterwards, and needs training."""
NOTE = "note"
"""Nothing is proposed: it is said where the time goes."""


@dataclass(frozen=True)
class Change:
    """A layer that an architectural suggestion changes."""

    layer: str
    before: str
    after: str


@dataclass(frozen=True)
class Finding:
    """Something that may cost more time than it should.

    Attributes:
        key: e.g. "unequal widths".
        guideline: of ShuffleNet V2, "G1" to "G4"; "" where none speaks of it.
        layers: the nodes of the captured network.
        places: their modules and lines, the most expensive first.
        seconds: what they take together; None where that wasn't measured.
        share: of the network's time; None likewise.
        reason: why that may be waste, in a sentence.
        evidence: the figures that speak for it.
        remedy: what to do.
        kind: `EXACT`, `ARCHITECTURAL` or `NOTE`.
        edit: what is to be different, for an architectural alternative that can be built.
        why_no_edit: why there is none.
        units: the operations that change as one; none where that is the module around each.
    """

    key: str
    guideline: str
    layers: tuple[str, ...]
    places: tuple[Place, ...]
    seconds: float | None
    share: float | None
    reason: str
    evidence: str
    remedy: str
    kind: str
    edit: Edit | None = field(default=None, compare=False, repr=False)
    why_no_edit: str = ""
    units: tuple[frozenset[str], ...] = field(default=(), compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        plain = {name: getattr(self, name) for name in (
            "key", "guideline", "seconds", "share", "reason", "evidence", "remedy", "kind",
            "why_no_edit",
        )}  # fmt: skip
        places = [
            {"module": place.path, "class": place.kind, "file": place.file, "line": place.line}
            for place in self.places
        ]
        return {**plain, "operations": list(self.layers), "places": places}


@dataclass(frozen=True)
class Overhead:
    """Operations that take more than twice what their arithmetic and their traffic need here.

    Attributes:
        operations: their modules and classes.
        count: how many they are.
        beyond_s: what they take beyond that need.
        between_s: what is between all operations.
    """

    operations: frozenset[tuple[str, str]]
    count: int
    beyond_s: float
    between_s: float


@dataclass(frozen=True)
class Times:
    """What operations take, by their module and class.

    Attributes:
        total: seconds of the network.
        parts: seconds by module and `Layer.kind`.
        overhead: what is neither arithmetic nor traffic; None where that isn't known.
    """

    total: float
    parts: dict[tuple[str, str], float]
    overhead: Overhead | None = None

    @classmethod
    def of(cls, decomposition: Decomposition) -> "Times":
        """Those of a decomposition."""
        parts: dict[tuple[str, str], float] = {}
        for part in decomposition.parts:
            key = (part.operation.name, part.operation.kind)
            parts[key] = parts.get(key, 0.0) + part.seconds
        return cls(decomposition.total_s, parts, _overhead(decomposition))


def _overhead(decomposition: Decomposition) -> Overhead | None:
    if decomposition.peaks is None:
        return None
    parts = [one for one in decomposition.parts if one.bound.verdict == OVERHEAD]
    return Overhead(
        frozenset((one.operation.name, one.operation.kind) for one in parts),
        len(parts),
        sum(one.seconds - (one.bound.limit_s or 0.0) for one in parts),
        decomposition.residual_s,
    )


@dataclass(frozen=True)
class Costs:
    """What each operation of a reading takes.

    An engine names the module of an operation and no more. Where a module has several of a class,
    they share its time by the elements that they read and write. What an engine fused into another
    operation takes no time of its own.

    Attributes:
        total: seconds of the network; None where nothing was measured.
        seconds: of each operation, by node.
        overhead: what is neither arithmetic nor traffic; None where that isn't known.
    """

    total: float | None
    seconds: dict[str, float]
    overhead: Overhead | None = None

    @classmethod
    def of(cls, reading: Reading, times: Times | None) -> "Costs":
        """Times put beside the operations of a network."""
        if times is None:
            return cls(None, {})
        groups: dict[tuple[str, str], list[Layer]] = {}
        for layer in reading.layers.values():
            groups.setdefault((layer.place.path, layer.kind), []).append(layer)
        found: dict[str, float] = {}
        for key, layers in groups.items():
            whole = sum(layer.elements for layer in layers)
            for layer in layers:
                part = layer.elements / whole if whole else 1 / len(layers)
                found[layer.node] = times.parts.get(key, 0.0) * part
        return cls(times.total, found, times.overhead)

    def of_layers(self, layers: Iterable[Layer]) -> float | None:
        """What some operations take together."""
        if self.total is None:
            return None
        return sum(self.seconds.get(layer.node, 0.0) for layer in layers)

    def share(self, layers: Iterable[Layer]) -> float | None:
        """The same as a part of the network's time."""
        seconds = self.of_layers(layers)
        return None if seconds is None or not self.total else seconds / self.total

    def dearest(self, layers: Iterable[Layer]) -> list[Layer]:
        """Sorted, the most expensive first; by multiply-adds and traffic where nothing is known."""
        return sorted(
            layers,
            key=lambda one: (-self.seconds.get(one.node, 0.0), -one.madds, -one.elements),
        )


def found(
    key: str,
    guideline: str,
    layers: Sequence[Layer],
    costs: Costs,
    kind: str,
    reason: str,
    evidence: str,
    remedy: str,
    edit: Edit | None = None,
    why_no_edit: str = "",
) -> Finding:
    """A finding over some operations, with what they cost."""
    ranked = costs.dearest(layers)
    return Finding(
        key, guideline, tuple(one.node for one in ranked),
        tuple(dict.fromkeys(one.place for one in ranked)), costs.of_layers(layers),
        costs.share(layers), reason, evidence, remedy, kind, edit, why_no_edit,
    )  # fmt: skip
