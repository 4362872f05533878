"""What lowering did to a network, in numbers and by module."""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

from flyweight.lowering.movement import Movement


@dataclass(frozen=True)
class Rewrite:
    """One kind of rewrite, and the modules in which it was done, once for each time."""

    what: str
    where: tuple[str, ...]


@dataclass(frozen=True)
class LoweringReport:
    """Before and after.

    Attributes:
        network: its name or class.
        engine: for which engine it was lowered; None for any.
        input: shape of the example, (batch, channels, height, width).
        before: what the captured network does for the example.
        after: what the lowered one does.
        rewrites: what was done where.
        max_error: largest difference of the outputs on the example, relative to the largest output.
    """

    network: str
    engine: str | None
    input: tuple[int, ...]
    before: Movement
    after: Movement
    rewrites: tuple[Rewrite, ...]
    max_error: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        before, after = self.before, self.after
        lines = [
            f"{self.network} lowered for {self.engine or 'any engine'}, input"
            f" {' x '.join(map(str, self.input))}",
            f"  operations     {before.operations:>8} -> {after.operations}",
            f"  channel moves  {before.moves:>8} -> {after.moves}",
            f"  moved          {_megabytes(before):>8} -> {_megabytes(after)} MB",
            f"  largest error  {self.max_error:>8.1e} of the largest output",
        ]
        for rewrite in self.rewrites:
            if rewrite.where:
                lines.append(f"  {rewrite.what}: {_counted(rewrite.where)}")
        return "\n".join(lines)


def _megabytes(movement: Movement) -> str:
    return f"{movement.moved_bytes / 1e6:.2f}"


def _counted(where: tuple[str, ...]) -> str:
    """How often, and in which modules."""
    modules = Counter(name or "(the network itself)" for name in where)
    shown = [name if count == 1 else f"{name} (x{count})" for name, count in modules.items()]
    more = f", and {len(shown) - 6} more" if len(shown) > 6 else ""
    return f"{len(where)}, in {', '.join(shown[:6])}{more}"
