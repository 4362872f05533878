"""`flyweight report`: records drawn as a page or a picture; a folder of results; two machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.options import Html, Png
from flyweight.cli.output import note, table
from flyweight.errors import FlyweightError, RecordError, UsageError
from flyweight.files import check_writable
from flyweight.records import Record, read_records

if TYPE_CHECKING:
    from flyweight.report.studies.places import View


NOWHERE = "say what to write: --html FILE, --png FILE, or both"


@dataclass(frozen=True)
class _Source:
    """A file of records, or a folder with files of them.

    Attributes:
        path: its own.
        files: records by the files' names.
    """

    path: Path
    files: dict[str, list[Record]]

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for records in self.files.values() for record in records]

    @property
    def whole(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()


def report_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDS...",
            help="Files of records (JSON Lines); a folder of results; or two folders or two files"
            " of studies, to see them side by side.",
        ),
    ],
    html: Html = None,
    png: Png = None,
) -> None:
    """Draw the report of records that were measured before.

    Of a folder it shows all studies and other measurements in it, and what the studies say. Of two
    machines' studies it shows each one's speeds over its own first row's.

    Example: flyweight report records.jsonl --html report.html

    Example: flyweight report results/my-machine --html results.html

    Example: flyweight report results/my-machine results/other-machine --html both.html
    """
    nowhere = html is None and png is None
    if nowhere and len(paths) == 1 and paths[0].is_file():
        raise UsageError(NOWHERE)
    for path in (html, png):
        if path is not None:
            check_writable(path)
    sources = [_source(path) for path in paths]
    if not any(source.whole or _of_studies(source.records) for source in sources):
        if nowhere:
            raise UsageError(NOWHERE)
        _report([record for source in sources for record in source.records], html, png)
        return
    if len(sources) > 2:
        raise UsageError("studies are shown of one folder or file, or of two side by side")
    if len(sources) == 1:
        _results(sources[0], html, png)
    elif png is not None:
        raise UsageError("--png draws a study of one machine; of two there is --html")
    else:
        _versus(sources, html)


def _source(path: Path) -> _Source:
    if not path.is_dir():
        return _Source(path, {path.name: read_records(path)})
    found = [
        file
        for file in sorted(path.rglob("*.jsonl"))
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not found:
        raise RecordError(f"{path} holds no records (*.jsonl)")
    return _Source(path, {str(file.relative_to(path)): read_records(file) for file in found})


def _of_studies(records: Sequence[Record]) -> bool:
    """Whether some belong to studies; only where their names look so, PyTorch is waited for."""
    if not any(record.runner.count(" / ") >= 2 for record in records):
        return False
    from flyweight.studies import study_records

    return bool(study_records(records))


def _report(records: Sequence[Record], html: Path | None, png: Path | None) -> None:
    """Of records that were timed against each other."""
    from flyweight import report

    if html is not None:
        report.write_html(records, html)
        note(f"wrote {html}")
    if png is not None:
        report.write_png(records, png)
        note(f"wrote {png}")
    print(report.summary(records))


def _results(source: _Source, html: Path | None, png: Path | None) -> None:
    """Of all studies in a folder or file, and of what else is in it."""
    from flyweight.cli.studying import print_verdicts
    from flyweight.report.studies import write_results_html
    from flyweight.report.studies.page import Bench
    from flyweight.report.studies.places import by_engine
    from flyweight.studies import not_run, results_of, study_records

    belong = {id(record) for record in study_records(source.records)}
    if not belong and html is None:
        raise FlyweightError(
            f"{source.path} holds no study's records; --html FILE draws what it does hold"
        )
    if png is not None:
        timed = by_engine(results_of(source.records))
        views = [view for shown in timed for view in shown.views]
        if len(views) != 1:
            count = len(views) or "none"
            raise UsageError(f"--png draws one study in one setting: {source.path} has {count}")
        from flyweight.report.studies.charts import write_view_png

        write_view_png(views[0], png)
        note(f"wrote {png}")
    whole = source.whole and bool(belong)
    results = results_of(source.records, untimed=whole)
    missing = not_run(results) if whole else ""
    if html is not None:
        rest = {
            name: tuple(record for record in records if id(record) not in belong)
            for name, records in source.files.items()
        }
        benches = [Bench(name, records) for name, records in rest.items() if records]
        write_results_html(results, html, benches, missing)
        note(f"wrote {html}")
    print_verdicts(results)
    if missing:
        print(missing)


def _versus(sources: Sequence[_Source], html: Path | None) -> None:
    """Of two machines' studies."""
    from flyweight.report.studies import write_versus_html
    from flyweight.report.studies.versus import COMPARED, sides, versus
    from flyweight.studies import results_of

    a, b = sides(_names([source.path for source in sources]),
                 [results_of(source.records) for source in sources])  # fmt: skip
    found = versus(a, b)
    if html is not None:
        write_versus_html(a, b, html)
        note(f"wrote {html}")
    for side in (a, b):
        print(f"{side.name}: {side.machine}")
    print(COMPARED)
    for shown in found.studies:
        for view in shown.views:
            print(f"\n{shown.about.study}: {shown.about.source}, {view.heading}")
            _print_view(view)
    for text in found.left_out:
        print(f"\n{text}")


def _print_view(view: "View") -> None:
    from flyweight.report.studies.places import joined
    from flyweight.studies import verdicts_of

    for name in view.series:
        groups = [group for group in joined(view.tables(name))
                  if group.kind in ("label", "published", "measured")]  # fmt: skip
        headings = [
            f"{column.name} ({group.title.removeprefix('measured, ')})" if group.title else ""
            for group in groups
            for column in group.columns
        ]
        texts = [group.texts for group in groups]
        rows = [[cell for own in texts for cell in own[index]] for index in range(len(texts[0]))]
        print()
        table([name, *headings[1:]], rows)
        for place in view.places:
            for where, verdict in verdicts_of(place.result):
                if where == name:
                    print(f"{place.label}: {verdict.sentence}")


def _names(paths: Sequence[Path]) -> list[str]:
    """What to call two folders or files: as short as it can be, and not the same."""
    found = [path.resolve() for path in paths]
    short = [path.name if path.is_dir() else path.stem for path in found]
    if short[0] != short[1]:
        return short
    longer = [f"{path.parent.name}/{name}" for path, name in zip(found, short, strict=True)]
    return longer if longer[0] != longer[1] else [str(path) for path in paths]
