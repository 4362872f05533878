"""`flyweight report`: records drawn as a page or a picture."""

from pathlib import Path
from typing import Annotated

import typer

from flyweight.cli.options import Html, Png
from flyweight.cli.output import note
from flyweight.errors import UsageError
from flyweight.files import check_writable
from flyweight.records import read_records


def report_command(
    records: Annotated[list[Path], typer.Argument(help="Files of records (JSON Lines).")],
    html: Html = None,
    png: Png = None,
) -> None:
    """Draw the report of records that were measured before.

    Example: flyweight report records.jsonl --html report.html
    """
    if html is None and png is None:
        raise UsageError("say what to write: --html FILE, --png FILE, or both")
    for path in (html, png):
        if path is not None:
            check_writable(path)
    found = [record for path in records for record in read_records(path)]

    from flyweight import report

    if html is not None:
        report.write_html(found, html)
        note(f"wrote {html}")
    if png is not None:
        report.write_png(found, png)
        note(f"wrote {png}")
    print(report.summary(found))
