"""Whether a claim holds here: from times, with their confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flyweight.records import Ratio

MARGIN = 0.02
"""A case counts as slower only beyond this: less is nobody's reason to change a network."""

Answer = Literal["holds", "does not hold", "not decided"]


@dataclass(frozen=True)
class Verdict:
    """What the times of a series say of a claim.

    Attributes:
        answer: "holds" where a case is slower than the reference by more than the margin, with its
            whole interval; "does not hold" where no case is, with all of theirs; else "not
            decided".
        worst: the case with the largest ratio.
        ratio: its time over the reference's, with its interval.
    """

    answer: Answer
    worst: str
    ratio: Ratio

    @property
    def sentence(self) -> str:
        """In words."""
        interval = f"{self.ratio.low:.2f}-{self.ratio.high:.2f}"
        return (
            f"{self.answer}: the slowest case, {self.worst}, takes {self.ratio.value:.2f}"
            f" ({interval}) of the reference's time"
        )


def verdict(ratios: Sequence[tuple[str, Ratio]]) -> Verdict:
    """Judge a series.

    Args:
        ratios: for each case but the reference, its time over the reference's.
    """
    worst, ratio = max(ratios, key=lambda pair: pair[1].value)
    answer: Answer = "not decided"
    if any(one.low > 1 + MARGIN for _, one in ratios):
        answer = "holds"
    elif all(one.high <= 1 + MARGIN for _, one in ratios):
        answer = "does not hold"
    return Verdict(answer, worst, ratio)
