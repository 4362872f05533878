"""docs/results.md: what the studies found here, from the committed records alone."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from flyweight.records import Record, read_records
from flyweight.report.studies.charts import view_chart, write_view_png
from flyweight.report.studies.places import (
    Group,
    Place,
    Shown,
    View,
    by_engine,
    joined,
    short_claim,
    shortened,
)
from flyweight.report.studies.tables import SIGNS, anchor
from flyweight.studies import (
    StudyResult,
    Table,
    Verdict,
    machine_of,
    not_run,
    results_of,
    verdicts_of,
    verdicts_said,
)

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images" / "studies"

INTRO = """\
# The papers, run here

The papers' tables and figures, each an experiment that `flyweight study NAME` repeats on your
machine; `make results` runs all of them on it within 40 minutes and writes this page.

* What the *paper* prints stands as it prints it.
* What is *computed* follows from the networks' structure.
* What has an engine's name was measured with it on the machine below, all rows of a table in turns.
  Since machines differ, "to first" is the speed over that of the table's first row, ours with its
  95% interval, paired by round.
* A verdict counts a difference only beyond 2%, and is *not decided* where the interval leaves both
  answers open, or where fewer than six rounds were timed, which give no 95% interval of a median.

`flyweight report results/MACHINE --html results.html` makes one page of all of it that opens
anywhere; `flyweight report A B` shows two machines side by side.
"""
GUIDELINES = ("g1", "g2", "g3", "g4")
NOTHING = "\nNo study's records are committed yet.\n"


@functools.cache
def committed() -> tuple[Record, ...]:
    """All records of studies, of all machines."""
    files = sorted((ROOT / "results").glob("*/studies/*.jsonl"))
    return tuple(record for file in files for record in read_records(file))


@functools.cache
def committed_results() -> tuple[StudyResult, ...]:
    """What they say, with the studies that are only computed."""
    return tuple(results_of(committed(), untimed=True))


def said() -> str:
    """How many claims hold on each machine, the guidelines' among them; for README."""
    by_machine: dict[str, list[StudyResult]] = {}
    for one in committed_results():
        if one.records:
            by_machine.setdefault(machine_of(one.records[0]), []).append(one)
    sentences = []
    for machine, results in by_machine.items():
        held, all_ = _held(results)
        own, of_guidelines = _held([one for one in results if one.study in GUIDELINES])
        sentences.append(
            f"On {machine} {held} of {all_} tested claims hold; of the four guidelines', at each of"
            f" their sizes and on each engine, {own} of {of_guidelines}."
        )
    return " ".join(sentences)


def _held(results: Iterable[StudyResult]) -> tuple[int, int]:
    answers = [verdict.answer for one in results for _, verdict in verdicts_of(one)]
    return answers.count("holds"), len(answers)


def page() -> str:
    """The whole page."""
    return _page(committed(), committed_results(), not_run(committed_results()))


def page_of(records: Sequence[Record], untimed: bool = True) -> str:
    """The page that these records give, with studies that are only computed or without."""
    results = results_of(records, untimed) if records else []
    return _page(records, results, not_run(results) if untimed and records else "")


def _page(records: Sequence[Record], results: Sequence[StudyResult], missing: str) -> str:
    if not records:
        return INTRO + NOTHING
    studies = by_engine(results)
    parts = [INTRO, verdicts_said(results), "", *([missing, ""] if missing else [])]
    parts += _overview(studies)
    for one in studies:
        parts += _study(one)
    parts += ["## Where and when", "", *_machines(records)]
    return "\n".join(parts) + "\n"


def pictures(records: Sequence[Record], untimed: bool = True) -> dict[str, View]:
    """The page's pictures by the names of their files, likewise."""
    return _pictures(results_of(records, untimed))


def _pictures(results: Sequence[StudyResult]) -> dict[str, View]:
    return {
        picture_name(one, view): view
        for one in by_engine(results)
        for view in one.views
        if view_chart(view) is not None
    }


def write_pictures() -> None:
    """Draw all pictures of the page, and take away those that it hasn't any more."""
    found = _pictures(committed_results())
    if found:
        PICTURES.mkdir(parents=True, exist_ok=True)
    for name, view in found.items():
        write_view_png(view, PICTURES / name)
    for old in PICTURES.glob("*.png"):
        if old.name not in found:
            old.unlink()


def picture_name(study: Shown, view: View) -> str:
    """What the picture of a view is called."""
    words = [study.about.study, *([view.heading] if len(study.views) > 1 else [])]
    return f"{anchor(*words)}.png"


def _overview(studies: Sequence[Shown]) -> list[str]:
    """A line for each claim, a column for each place; its cells name the series."""
    tested = [view for one in studies for view in one.views if _verdicts(view)]
    short = shortened([view.heading for view in tested])
    cells: dict[tuple[str, str], dict[str, list[str]]] = {}
    places: dict[str, None] = {}
    for one in studies:
        for view in [view for view in one.views if view in tested]:
            for place in view.places:
                where = ", ".join(filter(None, (place.label, short[view.heading])))
                for name, verdict in verdicts_of(place.result):
                    places[where] = None
                    claim = short_claim(verdict.claim or one.about.claim)
                    line = cells.setdefault((one.about.study, claim), {})
                    line.setdefault(where, []).append(f"{SIGNS[verdict.answer]} {name or 'all'}")
    rows = [
        [f"[{study}](#{study})", claim, *(", ".join(at.get(place, [""])) for place in places)]
        for (study, claim), at in cells.items()
    ]
    signs = ", ".join(f"{sign} {answer}" for answer, sign in SIGNS.items())
    return [*_grid(["study", "claim", *places], "--", rows), "", f"{signs}.", ""]


def _study(one: Shown) -> list[str]:
    about = one.about
    lines = [f"## {about.study}", "", f"**{about.source}**: {about.title}.", ""]
    if about.claim:
        lines += [f"*{about.claim[:1].upper()}{about.claim[1:]}?*", ""]
    if about.reading:
        lines += [f"Our reading: {about.reading}.", ""]
    for view in one.views:
        lines += _view(one, view)
    for table in about.computed:
        lines += _table(table.name, [("", table)])
    return lines


def _view(study: Shown, view: View) -> list[str]:
    lines = [f"### {view.heading}", ""] if view.heading else []
    if view_chart(view) is not None:
        name = picture_name(study, view)
        lines += [f"![{study.about.source}: {study.about.title}](images/studies/{name})", ""]
    verdicts = [
        f"* {', '.join(filter(None, (f'**{where}**' if where else '', place.label)))}:"
        f" {verdict.sentence}"
        for where, place, verdict in _verdicts(view)
    ]
    lines += [*verdicts, ""] if verdicts else []
    for name in view.series:
        lines += _table(name, view.tables(name))
    return lines


def _verdicts(view: View) -> list[tuple[str, Place, Verdict]]:
    """All of them, series by series, the places beside each other."""
    found = [
        (where, place, verdict)
        for place in view.places
        for where, verdict in verdicts_of(place.result)
    ]
    order = ["", *view.series]
    return sorted(found, key=lambda one: order.index(one[0]))


def _table(name: str, tables: Sequence[tuple[str, Table]]) -> list[str]:
    """A table with its columns grouped by where their figures come from."""
    groups = joined(tables)
    headings = [_heading(group, index) for group in groups for index in range(len(group.columns))]
    texts = [group.texts for group in groups]
    rows = [[cell for own in texts for cell in own[at]] for at in range(len(tables[0][1].rows))]
    sides = "".join(_side(group, index) for group in groups for index in range(len(group.columns)))
    return [*_grid([name, *headings[1:]], sides, rows), ""]


def _heading(group: Group, index: int) -> str:
    column = group.columns[index]
    unit = f" ({column.unit})" if column.unit else ""
    whose = group.title.removeprefix("measured, ")
    return f"{whose}: {column.name}{unit}" if whose else f"{column.name}{unit}"


def _side(group: Group, index: int) -> str:
    """How a column is aligned: "-" for left, ":" for right."""
    words = any(isinstance(row[index], str) for row in group.rows)
    return "-" if words or group.kind == "label" else ":"


def _grid(headings: Sequence[str], sides: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; columns without a side are aligned left."""
    rules = ["---:" if side == ":" else "---" for side in sides.ljust(len(headings), "-")]
    return [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in (headings, rules, *rows)
    ]


def _machines(records: Sequence[Record]) -> list[str]:
    """Each machine with its software, and when it was measured."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(machine_of(record), []).append(record)
    return [f"* {_machine(name, own)}" for name, own in groups.items()]


def _machine(name: str, records: Sequence[Record]) -> str:
    days = sorted({record.started[:10] for record in records})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    rounds = sorted(record.n for record in records)
    spreads = sorted(record.iqr_s / record.median_s for record in records)
    libraries = sorted({item for r in records for item in r.environment.libraries.items()})
    about = records[0].environment
    return (
        f"{name}: {about.os}, Python {about.python}; {when};"
        f" {len(records)} runners, {rounds[0]} to {rounds[-1]} rounds each; the middle runner's"
        f" middle half of samples spreads over {spreads[len(spreads) // 2]:.1%} of the median."
        f" {', '.join(f'{library} {version}' for library, version in libraries)}."
    )
