"""Whether a claim holds here: from times, with their confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flyweight.records import Ratio, Record, paired_ratio

if TYPE_CHECKING:
    from flyweight.studies.study import Series

MARGIN = 0.02
"""A case counts as slower only beyond this: less is nobody's reason to change a network."""

Answer = Literal["holds", "does not hold", "not decided"]


@dataclass(frozen=True)
class Verdict:
    """What times say of a claim.

    Attributes:
        answer: in two words.
        reason: the figure that it rests on, in words.
        value: that figure.
        low: lower end of its 95% interval.
        high: upper end.
        claim: what it answers, where that isn't the study's own claim.
    """

    answer: Answer
    reason: str
    value: float
    low: float
    high: float
    claim: str = ""

    @property
    def sentence(self) -> str:
        """In words."""
        asked = f"{self.claim}? " if self.claim else ""
        return f"{asked}{self.answer}: {self.reason}"


def slower_than(ratios: Sequence[tuple[str, Ratio]]) -> Verdict:
    """Whether some case is slower than the reference.

    It "holds" where a case is slower by more than the margin, with its whole interval; it "does not
    hold" where no case is, with all of theirs; else it is "not decided".

    Args:
        ratios: for each case but the reference, its time over the reference's.
    """
    worst, ratio = max(ratios, key=lambda pair: pair[1].value)
    answer: Answer = "not decided"
    if any(one.low > 1 + MARGIN for _, one in ratios):
        answer = "holds"
    elif all(one.high <= 1 + MARGIN for _, one in ratios):
        answer = "does not hold"
    reason = (
        f"the slowest case, {worst}, takes {ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        " of the reference's time"
    )
    return Verdict(answer, reason, ratio.value, ratio.low, ratio.high)


def reference_is_fastest(series: "Series", records: Mapping[str, Record]) -> Verdict | None:
    """Judge a series by the claim that its other cases are slower than its reference.

    None where the reference, or all others, couldn't be run.
    """
    reference = series.cases[series.reference].label
    others = [case.label for case in series.cases if case.label in records]
    if reference not in others or len(others) == 1:
        return None
    base = records[reference].samples_s
    return slower_than(
        [
            (label, paired_ratio(records[label].samples_s, base))
            for label in others
            if label != reference
        ]
    )
