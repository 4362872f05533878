"""Which advice is kept: a rule about times that were measured in the same rounds."""

from dataclasses import dataclass

from flyweight.records import Ratio
from flyweight.studies.verdicts import LEAST_ROUNDS, MARGIN

KEPT = "kept"
WITHDRAWN = "withdrawn"
NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Decision:
    """What became of a piece of advice.

    Attributes:
        verdict: `KEPT`, `WITHDRAWN` or `NOT_TRIED`.
        why: in a sentence without its full stop.
    """

    verdict: str
    why: str


def noise_of(twin: Ratio) -> float:
    """How far from 1 the ratio of a network to itself may be, with its interval."""
    return max(1 - twin.low, twin.high - 1, 0.0)


def decide(ratio: Ratio, twin: Ratio) -> Decision:
    """Keep advice, or withdraw it.

    It is kept if the whole interval of its ratio lies below 1, and by more than two things: what a
    second instance of the unchanged network, timed in the same rounds, differs from the first one
    (where weights happen to lie in memory is worth some per cent), and `MARGIN`.

    Args:
        ratio: the network's time with the advice over that without.
        twin: the time of the second instance over that of the first.
    """
    interval = f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) of the time"
    if ratio.rounds < LEAST_ROUNDS:
        return Decision(
            WITHDRAWN,
            f"{ratio.rounds} rounds are too few to tell: {interval}; give it a longer budget",
        )
    if ratio.low > 1:
        return Decision(WITHDRAWN, f"slower: {interval}")
    if ratio.high >= 1:
        return Decision(WITHDRAWN, f"no difference measured: {interval}")
    needed = max(noise_of(twin), MARGIN)
    if ratio.high >= 1 - needed:
        return Decision(
            WITHDRAWN,
            f"too little to count: {interval}, where a gain of {needed:.1%} would be chance or not"
            " worth it",
        )
    return Decision(KEPT, f"{interval}")
