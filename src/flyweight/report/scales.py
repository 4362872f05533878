"""Axes: their range, whether they are logarithmic, and round numbers to mark on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_FROM = 5.0
"""A range of more than this factor is drawn on a logarithmic axis."""
MARGIN = 0.07
"""Of the axis's length, free at each end."""
LEAST = 0.2
"""A linear axis spans at least this part of its greatest value."""


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes:
        low: value at its start.
        high: value at its end.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    log: bool

    def fraction(self, value: float) -> float:
        """Where on the axis a value lies: 0 at the start, 1 at the end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float] | None:
        """Round numbers on a logarithmic axis; None leaves a linear one to Vega."""
        if not self.log:
            return None
        sparse = _ticks(self.low, self.high, (1, 2, 5))
        return sparse if len(sparse) > 3 else _ticks(self.low, self.high, (1, 1.5, 2, 3, 4, 5, 7))


def scale(values: Sequence[float], may_be_log: bool = True) -> Scale:
    """The axis that holds these values with a margin. Logarithmic only for positive values."""
    low, high = min(values), max(values)
    if may_be_log and low > 0 and high > LOG_FROM * low:
        margin = (high / low) ** MARGIN
        return Scale(low / margin, high * margin, log=True)
    # Values close to each other are not blown up to fill the axis: they look as close as they are.
    margin = max(MARGIN * (high - low), (LEAST * abs(high) - (high - low)) / 2)
    return Scale(low - margin, high + margin, log=False)


def _ticks(low: float, high: float, leads: Sequence[float]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # From decimal text, so that 0.3 is 0.3 and not 3 x 0.1.
    marks = [float(f"{lead}e{decade}") for decade in decades for lead in leads]
    return [mark for mark in marks if low <= mark <= high]
