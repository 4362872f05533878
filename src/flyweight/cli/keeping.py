"""Keeping what a measurement finds: checkpoints while it runs, files at its end."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.cli.output import Bar, note
from flyweight.errors import FlyweightError
from flyweight.files import check_writable
from flyweight.measuring import MeasurementInterrupted, Measurements, Progress, measure
from flyweight.records import Record, write_records
from flyweight.records.files import dumps

if TYPE_CHECKING:
    from flyweight.engines import Runner

CHECKPOINT_S = 5.0
STDOUT = "-"
INTERRUPTED = 130
"""The exit code for Ctrl-C, as shells have it."""


class Keeper:
    """Writes records to a file while they grow, so that a killed run loses at most seconds.

    A file that was there before is replaced only at the end; until then the records so far are
    in a file of the same name with ".partial" behind it.

    Args:
        target: a file, "-" for stdout, or None for nowhere.

    Raises:
        FlyweightError: the file can't be written.
    """

    def __init__(self, target: str | None) -> None:
        self.path = None if target in (None, STDOUT) else Path(target or "")
        self.to_stdout = target == STDOUT
        self.partial = self.path
        self._saved = time.monotonic()
        if self.path is not None:
            check_writable(self.path)
            if self.path.is_file():
                self.partial = self.path.with_name(self.path.name + ".partial")

    def checkpoint(self, step: Progress) -> None:
        """Write what there is, if the last time is a while ago (the first round always)."""
        due = step.rounds == 1 or time.monotonic() - self._saved > CHECKPOINT_S
        if self.partial is None or not step.rounds or not due:
            return
        self._saved = time.monotonic()
        try:
            write_records(self.partial, step.so_far().records)
        except FlyweightError as error:
            # A disk that is full now is no reason to lose what is being measured.
            note(f"flyweight: no checkpoint: {error}")

    def finish(self, records: list[Record]) -> None:
        """Write the records to where they were asked for."""
        if self.to_stdout:
            sys.stdout.write(dumps(records))
        if self.path is not None and self.partial is not None:
            write_records(self.path, records)
            if self.partial != self.path:
                self.partial.unlink(missing_ok=True)


def measured(
    runners: Mapping[str, "Runner"], budget_s: float, keeper: Keeper, bar: Bar
) -> tuple[Measurements, bool]:
    """Measure, keeping records on the way; whether it was interrupted.

    Raises:
        KeyboardInterrupt: Ctrl-C before the first round was done.
    """

    def step(progress: Progress) -> None:
        bar.step(progress)
        keeper.checkpoint(progress)

    try:
        return measure(runners, budget_s, step), False
    except MeasurementInterrupted as interruption:
        return interruption.measurements, True
