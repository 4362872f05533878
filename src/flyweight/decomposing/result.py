"""Where a network's time goes, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from flyweight.decomposing.fitting import PICOSECONDS
from flyweight.decomposing.kinds import KINDS, RESIDUAL
from flyweight.decomposing.peaks import Peaks
from flyweight.decomposing.profile import Operation
from flyweight.decomposing.roofline import BOUNDS, Bound
from flyweight.errors import RecordError
from flyweight.records import Ratio, Record
from flyweight.records.schema import from_json as record_from_json


@dataclass(frozen=True)
class Part:
    """An operation's part of the total.

    Attributes:
        operation: what is done.
        picoseconds: what it takes of the total (see `flyweight.decomposing.fitting`).
        profiled_s: what the profile says that it takes.
        bound: what bounds it.
    """

    operation: Operation
    picoseconds: int
    profiled_s: float
    bound: Bound

    @property
    def seconds(self) -> float:
        """What it takes of the total."""
        return self.picoseconds / PICOSECONDS


@dataclass(frozen=True)
class Sum:
    """Some operations together."""

    operations: int
    picoseconds: int
    share: float
    """Of the total."""
    madds: int

    @property
    def seconds(self) -> float:
        """What they take of the total."""
        return self.picoseconds / PICOSECONDS


@dataclass(frozen=True)
class Decomposition:
    """Where a network's time goes on one engine.

    Times are whole picoseconds, so that the parts and the residual sum to the total exactly.

    Attributes:
        network: its name.
        record: the time without profiling: all samples, the engine, the environment.
        profiler: how the parts were timed.
        inflation: a profiled call's time over one without profiling, timed in the same rounds.
        calls: profiled ones that the parts rest on.
        parts: the operations, in the order of execution.
        residual_ps: what is between them: calling the engine, going from one operation to the next.
        total_ps: the median time of a call without profiling.
        peaks: of the machine; None where they weren't measured.
        why_no_peaks: why they weren't.
    """

    network: str
    record: Record
    profiler: str
    inflation: Ratio
    calls: int
    parts: tuple[Part, ...]
    residual_ps: int
    total_ps: int
    peaks: Peaks | None
    why_no_peaks: str = ""

    @property
    def engine(self) -> str:
        """The engine, with "+lowered" behind it where the lowered network was run."""
        return self.record.environment.form or ""

    @property
    def total_s(self) -> float:
        """The time of a call without profiling."""
        return self.total_ps / PICOSECONDS

    @property
    def residual_s(self) -> float:
        """What is between the operations."""
        return self.residual_ps / PICOSECONDS

    @property
    def residual_share(self) -> float:
        """Of the total."""
        return self.residual_ps / self.total_ps

    def by_kind(self) -> dict[str, Sum]:
        """Sums by class, in the order of `KINDS`; those that there are."""
        return self._grouped(KINDS, [part.operation.kind for part in self.parts])

    def by_bound(self) -> dict[str, Sum]:
        """Sums by what bounds the operations, in the order of `BOUNDS`; those that there are."""
        return self._grouped(BOUNDS, [part.bound.verdict for part in self.parts])

    def slowest(self, count: int) -> tuple[Part, ...]:
        """The operations that take most, the slowest first."""
        ranked = sorted(self.parts, key=lambda part: -part.picoseconds)
        return tuple(ranked[:count])

    def _grouped(self, names: Iterable[str], of_parts: list[str]) -> dict[str, Sum]:
        groups = {
            name: [p for p, own in zip(self.parts, of_parts, strict=True) if own == name]
            for name in names
        }
        return {name: self._sum(parts) for name, parts in groups.items() if parts}

    def _sum(self, parts: list[Part]) -> Sum:
        picoseconds = sum(part.picoseconds for part in parts)
        madds = sum(part.operation.madds for part in parts)
        return Sum(len(parts), picoseconds, picoseconds / self.total_ps, madds)

    def to_json(self) -> dict[str, Any]:
        """As JSON types; the parts' picoseconds and the residual's sum to the total's."""
        return {
            "network": self.network,
            "engine": self.engine,
            "profiler": self.profiler,
            "calls": self.calls,
            "inflation": asdict(self.inflation),
            "total_ps": self.total_ps,
            RESIDUAL + "_ps": self.residual_ps,
            "by_kind": {name: asdict(group) for name, group in self.by_kind().items()},
            "by_bound": {name: asdict(group) for name, group in self.by_bound().items()},
            "peaks": asdict(self.peaks) if self.peaks else None,
            "why_no_peaks": self.why_no_peaks,
            "parts": [
                {
                    **asdict(part.operation),
                    "picoseconds": part.picoseconds,
                    "profiled_s": part.profiled_s,
                    **asdict(part.bound),
                }
                for part in self.parts
            ],
            "record": self.record.to_json(),
        }


def from_json(data: Mapping[str, Any]) -> Decomposition:
    """The decomposition that `Decomposition.to_json` described.

    Raises:
        RecordError: a field is missing, or of the wrong type.
    """
    try:
        return Decomposition(
            network=data["network"],
            record=record_from_json(data["record"]),
            profiler=data["profiler"],
            inflation=Ratio(**data["inflation"]),
            calls=data["calls"],
            parts=tuple(map(_part, data["parts"])),
            residual_ps=data[RESIDUAL + "_ps"],
            total_ps=data["total_ps"],
            peaks=_peaks(data["peaks"]),
            why_no_peaks=data["why_no_peaks"],
        )
    except (KeyError, TypeError) as error:
        raise RecordError(f"not a decomposition: {error}") from None


def _part(data: Mapping[str, Any]) -> Part:
    operation, bound = (
        {one.name: data[one.name] for one in fields(of)} for of in (Operation, Bound)
    )
    return Part(
        Operation(**{**operation, "output": tuple(operation["output"])}),
        data["picoseconds"],
        data["profiled_s"],
        Bound(**bound),
    )


def _peaks(data: Mapping[str, Any] | None) -> Peaks | None:
    if data is None:
        return None
    return Peaks(
        data["threads"], data["madds_per_s"], tuple(data["sizes"]), tuple(data["bytes_per_s"])
    )
