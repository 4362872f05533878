"""Whether a network is faster than others, and as much as a paper says."""

from collections.abc import Sequence

from flyweight.records import Ratio, paired_ratio
from flyweight.studies.study import Judge, Series, Timed
from flyweight.studies.verdicts import MARGIN, Answer, Verdict, settled


def images_per_s(ms: float) -> float:
    """The speed that a printed time says, to four digits, as no paper prints more."""
    return float(f"{1000 / ms:.4g}")


def at_least(ratio: Ratio, claimed: float, pair: str, claim: str = "") -> Verdict:
    """Whether something is faster by a factor.

    It "holds" where the whole interval is above the factor, it "does not hold" where none of it is;
    else it is "not decided".

    Args:
        ratio: how many times as fast it is.
        claimed: the factor; 1 and the margin where the paper says no more than "faster".
        pair: a sentence with a place for "1.50 (1.48-1.52) times as fast".
        claim: what is asked, where that isn't the study's own claim.
    """
    answer: Answer = "not decided"
    if ratio.low > claimed:
        answer = "holds"
    elif ratio.high <= claimed:
        answer = "does not hold"
    reason = pair.format(f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f}) times as fast")
    if claimed > 1 + MARGIN:
        reason += f", where the paper has {claimed:.2f}"
    answer, reason = settled(answer, reason, ratio.rounds)
    return Verdict(answer, reason, ratio.value, ratio.low, ratio.high, claim)


def compared(
    records: Timed,
    fast: Sequence[str],
    others: Sequence[str],
    claimed: float = 1 + MARGIN,
    claim: str = "",
) -> Verdict | None:
    """Judge whether the slowest of some cases is faster than the fastest of others.

    None where one side couldn't be run.

    Args:
        records: by the cases' labels, of one run.
        fast: labels of those that are said to be faster.
        others: of those that they are compared with.
        claimed: by which factor.
        claim: what is asked, where that isn't the study's own claim.
    """
    ours = [label for label in fast if label in records]
    theirs = [label for label in others if label in records]
    if not ours or not theirs:
        return None
    slowest = max(ours, key=lambda label: records[label].median_s)
    rival = min(theirs, key=lambda label: records[label].median_s)
    ratio = paired_ratio(records[rival].samples_s, records[slowest].samples_s)
    return at_least(ratio, claimed, f"{slowest} is {{}} as {rival}", claim)


def faster(*begin: str) -> Judge:
    """Judges whether the cases whose labels begin so are faster than all others of the series."""

    def judge(series: Series, records: Timed) -> Verdict | None:
        labels = [case.label for case in series.cases]
        fast = [label for label in labels if label.startswith(begin)]
        return compared(records, fast, [label for label in labels if label not in fast])

    return judge


def faster_than(fast: str, other: str, as_printed: bool = False, claim: str = "") -> Judge:
    """Judges whether a case is faster than another.

    Args:
        fast: label of the one that is said to be faster.
        other: of the one that it is compared with.
        as_printed: whether it must be as many times as fast as the paper's own speeds say.
        claim: what is asked, where that isn't the study's own claim.
    """

    def judge(series: Series, records: Timed) -> Verdict | None:
        claimed = printed_speedup(series, fast, other) if as_printed else 1 + MARGIN
        return compared(records, [fast], [other], claimed, claim)

    return judge


def printed_speedup(series: Series, fast: str, other: str) -> float:
    """How many times as fast as another case one is, by the speeds that the paper prints."""
    (column,) = [index for index, one in enumerate(series.columns) if one.speed]
    speeds = {case.label: case.published[column] for case in series.cases}
    mine, theirs = speeds[fast], speeds[other]
    assert isinstance(mine, int | float)
    assert isinstance(theirs, int | float)
    return mine / theirs
