"""Where everything lies in memory: what is needed at the same time lies apart."""

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNED = 16
"""Floats in a cache line: everything starts at one."""


@dataclass(frozen=True)
class Lifetime:
    """Something that needs memory: how many floats, and from which step to which."""

    size: int
    first: int
    last: int


def first_fit(needs: Sequence[Lifetime]) -> tuple[list[int], int]:
    """An offset for each, in floats, and how many floats that takes in all.

    The largest are placed first, each at the lowest place that is free for all of its life.
    """
    offsets = [0] * len(needs)
    placed: list[int] = []
    for i in sorted(range(len(needs)), key=lambda i: (-needs[i].size, needs[i].first, i)):
        mine = needs[i]
        taken = sorted(
            (offsets[j], offsets[j] + rounded(needs[j].size))
            for j in placed
            if needs[j].first <= mine.last and mine.first <= needs[j].last
        )
        at = 0
        for start, end in taken:
            if at + rounded(mine.size) <= start:
                break
            at = max(at, end)
        offsets[i] = at
        placed.append(i)
    total = max((offsets[i] + rounded(needs[i].size) for i in placed), default=0)
    return offsets, total


def rounded(size: int, to: int = ALIGNED) -> int:
    """The next multiple."""
    return -(-size // to) * to
