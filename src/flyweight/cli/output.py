"""Tables, JSON and progress, each on its own stream: results on stdout, talk on stderr."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flyweight.measuring import Progress as Step

REFRESH_S = 0.5
WIDEST = 400
"""Of a table, in letters."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table; the columns after the first are aligned right, except those named "…:"."""
    if title:
        print(title)
    grid = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        left = index == 0 or column.endswith(":")
        grid.add_column(column.removesuffix(":"), justify="left" if left else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(str(cell).replace("[", "\\[") for cell in row))
    # As wide as it is: figures are never cut, and a terminal that is too narrow wraps the line.
    Console(width=WIDEST).print(grid)


def as_json(data: Any) -> None:
    """Print JSON and nothing else."""
    print(json.dumps(data, indent=2))


def note(text: str) -> None:
    """Say something beside the result."""
    print(text, file=sys.stderr, flush=True)


def millions(count: float) -> str:
    """A count in millions, for tables."""
    return f"{count / 1e6:,.2f}" if count < 10e6 else f"{count / 1e6:,.1f}"


def optional(value: float | int | None) -> str:
    """A number, or nothing where there is none."""
    return "" if value is None else f"{value:g}"


def one_decimal(value: float | None) -> str:
    """A percentage as papers print it, or nothing where there is none."""
    return "" if value is None else f"{value:.1f}"


class Bar:
    """A progress bar on stderr, gone afterwards; nothing where stderr is no terminal.

    It draws only when told to: a thread of its own would disturb what is being timed.

    Args:
        shown: False for nothing at all.
    """

    def __init__(self, shown: bool = True) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._progress.add_task("", total=1.0)
        self._drawn = 0.0

    def show(self, text: str, share: float) -> None:
        """Say what is being done and which share of it is done."""
        self._progress.update(self._task, description=text, completed=min(share, 1.0))
        if time.monotonic() - self._drawn > REFRESH_S:
            self._progress.refresh()
            self._drawn = time.monotonic()

    def step(self, step: Step) -> None:
        """Show where a measurement stands."""
        text = "warming up" if step.phase == "warm-up" else f"measuring, round {step.rounds}"
        self.show(text, step.elapsed_s / step.budget_s)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
