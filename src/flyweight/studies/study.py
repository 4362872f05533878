"""What a study is: networks that differ in one thing, what a paper measured, what it claims."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Case:
    """A row of a paper's table.

    Attributes:
        label: as the table has it.
        build: makes the network, with random weights.
        channels: of its input.
        published: the speed that the paper prints.
        note: where the network isn't quite the table's, and why.
    """

    label: str
    build: Callable[[], nn.Module]
    channels: int
    published: float
    note: str = ""


@dataclass(frozen=True)
class Series:
    """Cases that are compared with each other.

    Attributes:
        name: which columns of the table, e.g. "ARM x1".
        unit: of the published speeds, e.g. "images/s".
        cases: as in the table; the others are compared with the one at `reference`.
        reference: the case that the claim says is the fastest.
    """

    name: str
    unit: str
    cases: tuple[Case, ...]
    reference: int = 0


@dataclass(frozen=True)
class Study:
    """An experiment of a paper.

    Attributes:
        name: e.g. "g1".
        title: what is varied.
        source: the paper and its table.
        claim: what the paper says the table shows.
        series: all that the table has, the smallest networks first on each platform.
        size: height and width of the images.
        reading: what the paper leaves open, and what was chosen here.
    """

    name: str
    title: str
    source: str
    claim: str
    series: tuple[Series, ...]
    size: int = 56
    reading: str = ""
