"""Two machines side by side: what both have run, in the same setting."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flyweight.errors import FlyweightError, UsageError
from flyweight.report.studies.places import Place, Shown, View, machine
from flyweight.report.text import listed
from flyweight.studies import StudyResult

COMPARED = (
    "Each machine's speeds are over its own first row's, paired by round. Times of two machines are"
    " never compared with each other: they were not taken in turns."
)
"""What is compared, and what isn't."""


@dataclass(frozen=True)
class Side:
    """What one machine found.

    Attributes:
        name: of its folder or file.
        results: a result for each study and setting.
    """

    name: str
    results: tuple[StudyResult, ...]

    @property
    def machine(self) -> str:
        """What it is."""
        return machine(self.results[0])


def sides(names: Sequence[str], results: Sequence[Sequence[StudyResult]]) -> tuple[Side, Side]:
    """Both sides.

    Args:
        names: of the two folders or files.
        results: of the studies that were timed there.

    Raises:
        FlyweightError: one has no study's records.
        UsageError: one has those of several machines.
    """
    for name, found in zip(names, results, strict=True):
        machines = sorted({machine(one) for one in found})
        if not machines:
            raise FlyweightError(f"{name} holds no study's records")
        if len(machines) > 1:
            raise UsageError(
                f"{name} holds records of {listed(machines)}: name the folder of one machine"
            )
    a, b = (Side(name, tuple(found)) for name, found in zip(names, results, strict=True))
    return a, b


@dataclass(frozen=True)
class Versus:
    """Two machines side by side.

    Attributes:
        studies: a view for each setting that both have.
        left_out: what only one of them has, a sentence each.
    """

    studies: tuple[Shown, ...]
    left_out: tuple[str, ...]


def versus(a: Side, b: Side) -> Versus:
    """What both have run, in the order of the first.

    Raises:
        FlyweightError: nothing.
    """
    studies: dict[str, list[View]] = {}
    shared: set[tuple[str, str, str]] = set()
    theirs = {(one.study, one.setting): one for one in b.results}
    for mine in a.results:
        other = theirs.get((mine.study, mine.setting))
        names = _timed(mine) & _timed(other) if other is not None else set()
        if other is None or not names:
            continue
        places = tuple(
            Place(side.name, _only(result, names)) for side, result in ((a, mine), (b, other))
        )
        setting = mine.setting.text if mine.setting else ""
        studies.setdefault(mine.study, []).append(View(setting, places))
        shared |= {(mine.study, setting, name) for name in names}
    if not studies:
        raise FlyweightError(
            f"{a.name} and {b.name} have no study in common that was run in the same setting"
        )
    shown = tuple(Shown(views[0].places[0].result, tuple(views)) for views in studies.values())
    return Versus(shown, tuple(text for side in (a, b) if (text := _left_out(side, shared))))


def _timed(result: StudyResult) -> set[str]:
    """Names of the series that were timed."""
    return {
        one.name
        for one in result.series
        if any(column.kind == "measured" for column in one.table.columns)
    }


def _only(result: StudyResult, names: set[str]) -> StudyResult:
    return replace(result, series=tuple(one for one in result.series if one.name in names))


def _left_out(side: Side, shared: set[tuple[str, str, str]]) -> str:
    """What only this side has, in a sentence; "" for nothing."""
    found: dict[str, list[str]] = {}
    for result in side.results:
        setting = result.setting.text if result.setting else ""
        own = [one.name for one in result.series if one.name in _timed(result)]
        missing = [name for name in own if (result.study, setting, name) not in shared]
        if missing:
            whole = len(missing) == len(own)
            what = result.study if whole else f"{result.study} ({listed(missing)})"
            found.setdefault(setting, []).append(what)
    said = "; ".join(f"{listed(what)} with {setting}" for setting, what in found.items())
    return f"Only {side.name} has {said}." if said else ""
