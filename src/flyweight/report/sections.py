"""The page's words: the environment, the warnings, and how it was measured."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from flyweight.records import Environment, Record
from flyweight.records.statistics import CONFIDENCE
from flyweight.report.points import points
from flyweight.report.text import counted, digits, listed, span

PER_RUNNER = ("threads", "dtype", "layout", "batch", "input", "engine", "lowered", "load_average")
"""Fields of the environment that the runner chose or the moment gave, not the machine."""


MOST_RUNS, MOST_RUNNERS = 4, 6
"""More than so many are not spoken of one by one."""


def environments(records: Sequence[Record]) -> str:
    """Each distinct machine as a definition list, with its runners where there are several."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[_machine(record.environment)].append(record)
    several = len(groups) > 1
    return "\n".join(_environment(group, several) for group in groups.values())


def _machine(environment: Environment) -> str:
    """What two environments have in common when they are the same machine and software.

    Libraries are left out: each engine names its own, and the page lists them together.
    """
    fields = dataclasses.asdict(environment)
    return json.dumps(
        {key: value for key, value in fields.items() if key not in (*PER_RUNNER, "libraries")},
        sort_keys=True,
    )


def _environment(group: Sequence[Record], several: bool) -> str:
    machine = group[0].environment
    terms = {
        "runners": _runners(group) if several else None,
        "CPU": machine.cpu,
        "instruction sets": ", ".join(machine.instruction_sets) or "none known",
        "GPU": machine.gpu or "none",
        "cores": f"{machine.cores} usable",
        "governor": machine.governor or "not known",
        "load before the run": _load([record.environment for record in group]),
        "memory": f"{digits(machine.memory_bytes / 2**30)} GiB",
        "system": machine.os,
        "Python": machine.python,
        "libraries": _libraries([record.environment.libraries for record in group]),
        "Flyweight's commit": machine.commit or "installed, not a checkout",
    }
    rows = "\n".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(text)}</dd></div>"
        for term, text in terms.items()
        if text is not None
    )
    return f"<dl>\n{rows}\n</dl>"


def _runners(group: Sequence[Record]) -> str:
    names = [record.runner for record in group]
    more = len(names) - MOST_RUNNERS
    return listed(names if more < 2 else [*names[:MOST_RUNNERS], f"{more} others"])


def _load(environments: Sequence[Environment]) -> str:
    loads = sorted({e.load_average for e in environments if e.load_average is not None})
    if not loads:
        return "not known"
    return " to ".join(f"{load:.2f}" for load in dict.fromkeys((loads[0], loads[-1])))


def _libraries(each: Sequence[Mapping[str, str]]) -> str:
    versions: dict[str, set[str]] = defaultdict(set)
    for libraries in each:
        for name, version in libraries.items():
            versions[name].add(version)
    named = (f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()))
    return ", ".join(named) or "none"


def warnings(records: Sequence[Record]) -> str:
    """What makes timings suspicious: first what all share, then runner by runner."""
    shared = _shared(records) if len(records) > 1 else []
    items = [f"<li>{escape(sentence)}</li>" for sentence in shared]
    for point, record in zip(points(records), records, strict=True):
        own = [sentence for sentence in record.warnings if sentence not in shared]
        if not record.complete:
            own.insert(
                0, f"Interrupted after {counted(record.n, 'round')}, before its time was up."
            )
        if own:
            items.append(f"<li><b>{escape(point.title)}</b>: {escape(' '.join(own))}</li>")
    if not items:
        return "<p>None.</p>"
    return "<ul>\n" + "\n".join(items) + "\n</ul>"


def _shared(records: Sequence[Record]) -> list[str]:
    """Sentences that every runner has."""
    return [
        sentence
        for sentence in dict.fromkeys(records[0].warnings)
        if all(sentence in record.warnings for record in records)
    ]


def method(records: Sequence[Record]) -> str:
    """How times and counts came about, in paragraphs."""
    return (
        f"{timing(records)}\n"
        "<p>Time per image is the time of a call divided by its batch. FLOPs are multiply-adds of"
        " convolutions and linear layers, memory access is in elements read and written, both for"
        " one image and counted without running anything. Errors are those that the sources in the"
        " table's tooltips publish; Flyweight did not measure accuracy here.</p>"
    )


def timing(records: Sequence[Record]) -> str:
    """How the times came about, in paragraphs."""
    runs: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        runs[record.run].append(record)
    said = [_run(run) for run in runs.values()] if len(runs) <= MOST_RUNS else [_runs(records)]
    paragraphs = "\n".join(f"<p>{escape(one)}</p>" for one in said)
    across = (
        " Times of different runs were not interleaved, so the page never compares them by ratio."
        if len(runs) > 1
        else ""
    )
    return (
        "<p>Every runner was warmed up; then all runners of a run were timed in rounds, one after"
        " the other in an order that each round draws anew, so that what slows the machine for a"
        " while slows them all. A runner's turn begins with untimed calls, until it is back in its"
        " steady state. A sample is the mean of the calls that were timed together in one block."
        " Medians and quartiles are taken over the rounds. Ratios are paired: the median over"
        f" rounds of the ratio within a round, with its {CONFIDENCE:.0%} bootstrap interval; where"
        f" the interval holds 1, no difference was measured.{across} The records keep every raw"
        " sample.</p>\n"
        f"{paragraphs}"
    )


def _run(run: Sequence[Record]) -> str:
    started = _moment(min(record.started for record in run))
    calls = span([record.calls_per_sample for record in run], "call")
    rounds = span([record.n for record in run], "round")
    return (
        f"The run that started on {started} timed {counted(len(run), 'runner')}: {rounds},"
        f" {calls} in each sample."
    )


def _runs(records: Sequence[Record]) -> str:
    """The same of many runs together."""
    moments = sorted(record.started for record in records)
    runs = len({record.run for record in records})
    rounds = span([record.n for record in records], "round")
    calls = span([record.calls_per_sample for record in records], "call")
    return (
        f"{counted(runs, 'run')} between {_moment(moments[0])} and {_moment(moments[-1])} timed"
        f" {counted(len(records), 'runner')}: {rounds} each, {calls} in each sample."
    )


def _moment(started: str) -> str:
    """A moment for people, to the second; as it stands where it isn't ISO 8601."""
    try:
        moment = datetime.fromisoformat(started).astimezone(UTC)
    except ValueError:
        return started
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def left_out(records: Sequence[Record]) -> str:
    """Which records the panels lack and why; nothing where they lack none."""
    drawn = points(records)
    judged = any(point.error is not None for point in drawn)
    without = [point.name for point in drawn if point.error is None and point.mflops is not None]
    unknown = [point.title for point in drawn if point.mflops is None]
    lines = []
    if without:
        chart = "so not in the chart of error" if judged else "so there is no chart of error"
        lines.append(f"No error is published at this input size for {_names(without)}, {chart}.")
    if len(unknown) == len(drawn):
        lines.append("No FLOPs are known here, so only the times are drawn.")
    elif unknown:
        lines.append(f"The FLOPs of {_names(unknown)} are not known: drawn by time alone.")
    return "\n".join(f"<p>{escape(line)}</p>" for line in lines)


def _names(repeated: Sequence[str]) -> str:
    return listed(list(dict.fromkeys(repeated)))
