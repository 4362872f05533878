"""What a study is: rows of a paper's table, what the paper prints for them, what it claims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from flyweight.records import Record
from flyweight.studies.tables import Chart, Table, Value
from flyweight.studies.verdicts import Verdict


@dataclass(frozen=True)
class Published:
    """A column of a paper's table: what the paper prints, and nobody measured here.

    Attributes:
        name: as the table has it, e.g. "top-1 error".
        unit: e.g. "images/s", "%".
        speed: whether it is a speed, to be compared with ours row by row.
    """

    name: str
    unit: str = ""
    speed: bool = False


@dataclass(frozen=True)
class Case:
    """A row of a paper's table.

    Attributes:
        label: as the table has it.
        build: makes the network, with random weights; None where the paper's isn't known.
        shape: of an image: channels, height, width.
        published: what the paper prints, one for each column of the series; None where it has
            nothing.
        note: where the network isn't quite the table's, and why.
        group: what it belongs to, e.g. its architecture; groups are the colours of charts.
    """

    label: str
    build: Callable[[], nn.Module] | None
    shape: tuple[int, int, int]
    published: tuple[Value, ...]
    note: str = ""
    group: str = ""


@dataclass(frozen=True)
class Series:
    """Cases that are compared with each other.

    Attributes:
        name: which part of the table, e.g. "ARM x1".
        columns: of the paper's figures.
        cases: as in the table; speeds are shown over the first case's.
        reference: the case that the claim says is the fastest.
        batch: images at a time, where the paper's table fixes it for this part alone.
        timed: whether the networks are run; else they are only counted.
    """

    name: str
    columns: tuple[Published, ...]
    cases: tuple[Case, ...]
    reference: int = 0
    batch: int | None = None
    timed: bool = True


Timed = Mapping[str, Record]
"""Records of one run, which were interleaved, by the cases' labels."""
Judge = Callable[[Series, Timed], Verdict | None]
"""Says what a series' times mean for a claim. None where the claim isn't about these cases."""
Conclude = Callable[[Mapping[str, Timed]], Verdict | None]
"""Likewise of the times of several series together, by the series' names."""


@dataclass(frozen=True)
class Study:
    """An experiment of a paper.

    Attributes:
        name: e.g. "g1".
        title: what is varied.
        source: the paper and its table.
        claim: what the paper says the table shows.
        series: all that the table has, the smallest networks first on each platform.
        judges: whether the claims hold here, one each; none where nothing is claimed of times.
        conclude: likewise for a claim about all series together.
        cost: which computed columns are shown: "bound" for memory access and its lower bound (Eq. 1
            and 2 of ShuffleNet V2), "network" for parameters and memory access.
        computed: tables that need no timing.
        charts: pictures of the tables, beside the bars of speeds that every timed series gets.
        reading: what the paper leaves open, and what was chosen here.
        timings: the study whose timings it shows, where it isn't timed itself: that one's series of
            the same names hold all of its cases.
    """

    name: str
    title: str
    source: str
    claim: str
    series: tuple[Series, ...] = ()
    judges: tuple[Judge, ...] = ()
    conclude: Conclude | None = None
    cost: Literal["bound", "network"] = "network"
    computed: Callable[[], tuple[Table, ...]] | None = None
    charts: tuple[Chart, ...] = ()
    reading: str = ""
    timings: "Study | None" = None
