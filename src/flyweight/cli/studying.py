"""Studies for people: what they found printed and written; several, one after another."""

import json as json_module
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.cli.keeping import INTERRUPTED, STDOUT
from flyweight.cli.output import Bar, note, table
from flyweight.errors import UsageError
from flyweight.files import check_folder, check_writable, replaced
from flyweight.records import Record, read_records, write_records

if TYPE_CHECKING:
    from flyweight.engines import Options
    from flyweight.studies import Budget, Series, Study, StudyResult, Sweep, Table


@dataclass(frozen=True)
class Outputs:
    """What is to be written, and where.

    Attributes:
        several: whether it is of several studies.
        records: a file of records; of several studies a folder of them.
        json: a file, or "-" for stdout.
        html: a page.
        png: a picture of one study.
    """

    several: bool
    records: Path | None = None
    json: str | None = None
    html: Path | None = None
    png: Path | None = None

    @property
    def quiet(self) -> bool:
        """Whether stdout is for JSON alone."""
        return self.json == STDOUT

    def check(self) -> None:
        """Fail now rather than after a long run, where something can't be written.

        Raises:
            UsageError: a picture of several studies.
            FlyweightError: no such folder, no permission.
        """
        if self.several and self.png is not None:
            raise UsageError("--png draws one study; for several there is --html")
        if self.records is not None:
            (check_folder if self.several else check_writable)(self.records)
        for path in (self.png, self.html, None if self.quiet or not self.json else Path(self.json)):
            if path is not None:
                check_writable(path)

    def write(self, results: Sequence["StudyResult"]) -> None:
        """Write what was asked for; the records are kept already."""
        if self.json is not None:
            found = [one.to_json() for one in results]
            _write_json(found if self.several else found[0], self.json)
        if self.html is not None:
            from flyweight.report.studies import write_results_html

            write_results_html(results, self.html)
            note(f"wrote {self.html}")
        if self.png is not None:
            from flyweight.report.studies import write_study_png

            write_study_png(results[0], self.png)
            note(f"wrote {self.png}")


def _write_json(data: object, target: str) -> None:
    text = json_module.dumps(data, indent=2) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    with replaced(Path(target)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def run_several(
    wanted: Sequence[tuple["Study", Sequence["Series"]]],
    engine: str,
    options: "Options",
    batch: int,
    budget: "Budget",
    outputs: Outputs,
) -> int:
    """Run studies one after another, print each and at the end what all of them say.

    Args:
        wanted: the studies, each with those of its series that are to be timed.
        engine: what runs the networks.
        options: threads and so on.
        batch: images at a time.
        budget: the time for each series, and for all of them.
        outputs: what is written.

    Returns:
        The exit code: 1 where something couldn't be run.
    """
    from flyweight.studies import SweepTelling, run_studies

    folder = _Folder(outputs.records)
    failures: list[str] = []

    def failed(what: str, error: Exception) -> None:
        failures.append(what)
        note(f"flyweight: left out: {what}: {error}")

    with Bar() as bar:
        telling = SweepTelling(
            preparing=lambda text, share: bar.show(f"preparing {text}", share),
            progress=lambda text, step, share: bar.show(f"{text}, round {step.rounds}", share),
            failed=failed,
            keep=folder.keep,
            finished=lambda result: None if outputs.quiet else print_result(result, apart=True),
        )
        sweep = run_studies(wanted, engine, options, batch, budget, folder.records, telling)
    if not outputs.quiet:
        print_verdicts(sweep.results)
    _say_what_is_missing(sweep, outputs)
    if sweep.results:
        outputs.write(sweep.results)
    if sweep.interrupted:
        note("flyweight: interrupted; what was measured until then is kept")
        return INTERRUPTED
    return 1 if failures else 0


def _say_what_is_missing(sweep: "Sweep", outputs: Outputs) -> None:
    if sweep.untimed:
        again = ": the same command goes on where it ended" if outputs.records else ""
        note(f"flyweight: no time was left for {', '.join(sweep.untimed)}{again}")


def kept_records(file: Path) -> list[Record]:
    """A file's records, for a run here to go on from; none where there is no file yet.

    Raises:
        RecordError: the file is damaged.
        UsageError: it has records of another machine, whose times would stand for this one's.
    """
    from flyweight.engines.cuda import gpu_here
    from flyweight.measuring.environment import environment
    from flyweight.studies import machine_of

    records = read_records(file) if file.exists() else []
    here = environment(None, None)
    for record in records:
        about = record.environment
        same = (about.cpu, about.cores, about.widest) == (here.cpu, here.cores, here.widest)
        if not same or about.gpu not in (None, gpu_here()):
            raise UsageError(
                f"{file} holds records of another machine, {machine_of(record)}: --records takes"
                " a new name here, and 'flyweight report' shows both"
            )
    return records


class _Folder:
    """A file of records for each study.

    Raises:
        RecordError: a file is damaged.
        UsageError: it has records of another machine.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.written: dict[str, int] = {}
        self.records: list[Record] = []
        if path is None or not path.is_dir():
            return
        from flyweight.studies import STUDIES

        for name in STUDIES:
            if found := kept_records(path / f"{name}.jsonl"):
                self.written[name] = len(found)
                self.records += found

    def keep(self, records: Sequence[Record]) -> None:
        """Write the files of which there is more than before."""
        if self.path is None:
            return
        self.path.mkdir(exist_ok=True)
        by_study: dict[str, list[Record]] = {}
        for record in records:
            by_study.setdefault(record.runner.partition(" / ")[0], []).append(record)
        for name, own in by_study.items():
            if len(own) != self.written.get(name):
                write_records(self.path / f"{name}.jsonl", own)
                self.written[name] = len(own)


def print_result(result: "StudyResult", apart: bool = False) -> None:
    """Print a study: what it asks, its tables, what they say; `apart` for one of several."""
    title = f"{result.study}: " if apart else ""
    claim = f"{result.claim}?" if result.claim else result.title
    print(f"{title}{result.source}: {claim}")
    if result.setting is not None:
        print(result.setting.text)
    if result.reading:
        print(f"our reading: {result.reading}")
    for series in result.series:
        print()
        _print_table(series.table)
        for verdict in series.verdicts:
            print(verdict.sentence)
    for computed in result.computed:
        print()
        _print_table(computed)
    if result.together is not None:
        print(f"\n{result.together.sentence}")
    if apart:
        print("\n")


def _print_table(shown: "Table") -> None:
    headings = [shown.name] + [
        column.heading + ":" * (column.kind == "note") for column in shown.columns[1:]
    ]
    table(headings, shown.texts())


def print_verdicts(results: Sequence["StudyResult"]) -> None:
    """Print every verdict in a line, and how many claims hold."""
    from flyweight.studies import verdicts_of, verdicts_said

    rows = [
        [result.study, where, result.setting.engine if result.setting else "", verdict.answer,
         f"{verdict.claim}? {verdict.reason}" if verdict.claim else verdict.reason]
        for result in results
        for where, verdict in verdicts_of(result)
    ]  # fmt: skip
    if rows:
        table(["study", "columns:", "engine:", "the claim:", "because:"], rows)
        print()
    print(verdicts_said(results))
