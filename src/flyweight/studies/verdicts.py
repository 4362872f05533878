"""Whether a claim holds here: from times, with their confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flyweight.records import Ratio, Record, paired_ratio

if TYPE_CHECKING:
    from flyweight.studies.study import Series

MARGIN = 0.02
"""A case counts as slower only beyond this: less is nobody's reason to change a network."""

LEAST_ROUNDS = 6
"""Of fewer, not even the interval from the least to the greatest holds the median with 95%."""

Answer = Literal["holds", "does not hold", "not decided"]
Ratios = Sequence[tuple[str, Ratio]]
"""Of some cases, by label: their time over the reference's, paired by round."""


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


def settled(answer: Answer, reason: str, rounds: int) -> tuple[Answer, str]:
    """An answer and its reason; no answer where it rests on too few rounds."""
    if rounds >= LEAST_ROUNDS or answer == "not decided":
        return answer, reason
    many = "1 round is" if rounds == 1 else f"{rounds} rounds are"
    return "not decided", f"{reason}, and {many} too few to be sure"


def slower_than(ratios: Ratios) -> Verdict:
    """Whether some case is slower than the reference.

    It "holds" where a case is slower by more than the margin, with its whole interval; it "does not
    hold" where no case is, with all of theirs; else it is "not decided".

    Args:
        ratios: for each case but the reference, its time over the reference's.
    """
    slower = [(label, one) for label, one in ratios if one.low > 1 + MARGIN]
    worst, ratio = max(slower or ratios, key=lambda pair: pair[1].value)
    slowest = all(one.value <= ratio.value for _, one in ratios)
    answer: Answer = "not decided"
    if slower:
        answer = "holds"
    elif all(one.high <= 1 + MARGIN for _, one in ratios):
        answer = "does not hold"
    return _verdict(answer, "the slowest case" if slowest else "a case", worst, ratio)


def all_slower_than(ratios: Ratios, claim: str = "") -> Verdict:
    """Whether all cases are slower than the reference.

    It "holds" where every case is slower by more than the margin, with its whole interval; it "does
    not hold" where some case isn't, with its whole interval; else it is "not decided".

    Args:
        ratios: for each case but the reference, its time over the reference's.
        claim: what is asked, where that isn't the study's own claim.
    """
    not_slower = [(label, one) for label, one in ratios if one.high <= 1 + MARGIN]
    best, ratio = min(not_slower or ratios, key=lambda pair: pair[1].value)
    fastest = all(one.value >= ratio.value for _, one in ratios)
    answer: Answer = "not decided"
    if all(one.low > 1 + MARGIN for _, one in ratios):
        answer = "holds"
    elif not_slower:
        answer = "does not hold"
    which = "the fastest other" if fastest else "another"
    return _verdict(answer, which if len(ratios) > 1 else "", best, ratio, claim)


def _verdict(answer: Answer, which: str, label: str, ratio: Ratio, claim: str = "") -> Verdict:
    who = f"{which}, {label}, takes" if which else f"{label} takes"
    reason = f"{who} {ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f}) of the reference's time"
    answer, reason = settled(answer, reason, ratio.rounds)
    return Verdict(answer, reason, ratio.value, ratio.low, ratio.high, claim)


def times_over(reference: str, labels: Sequence[str], records: Mapping[str, Record]) -> Ratios:
    """The times of cases over that of a reference; of those that were run.

    Args:
        reference: a case's label.
        labels: of the others; the reference among them is left out.
        records: of one run, by label.

    Returns:
        Nothing where the reference wasn't run.
    """
    if reference not in records:
        return []
    base = records[reference].samples_s
    return [
        (label, paired_ratio(records[label].samples_s, base))
        for label in labels
        if label in records and label != reference
    ]


def reference_is_fastest(series: "Series", records: Mapping[str, Record]) -> Verdict | None:
    """Judge a series by the claim that what the others have, and its reference hasn't, costs time.

    None where the reference, or all others, couldn't be run.
    """
    ratios = _over_reference(series, records)
    return slower_than(ratios) if ratios else None


def reference_beats_all(series: "Series", records: Mapping[str, Record]) -> Verdict | None:
    """Judge a series by the claim that each of its other cases is slower than its reference.

    None where the reference, or all others, couldn't be run.
    """
    ratios = _over_reference(series, records)
    return all_slower_than(ratios) if ratios else None


def _over_reference(series: "Series", records: Mapping[str, Record]) -> Ratios:
    reference = series.cases[series.reference].label
    return times_over(reference, [case.label for case in series.cases], records)
