"""Results that grow from run to run: what an interrupted benchmark has isn't done again."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flyweight.files import replaced
from flyweight.measuring.environment import machine_name
from flyweight.records import Record, read_records, write_records

RESULTS = Path(__file__).resolve().parents[1] / "results"


def kept_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON file; none where there is no file yet."""
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return rows


def keep_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write them, so that a run which is killed meanwhile loses none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def resume(file: str, todo: Mapping[str, Callable[[], list[Record]]]) -> None:
    """Time what a file of this machine's records hasn't yet, and keep it after each.

    Args:
        file: its name.
        todo: by how the names of their runners begin, what times them.
    """
    path = RESULTS / machine_name() / file
    path.parent.mkdir(parents=True, exist_ok=True)
    records = read_records(path) if path.exists() else []
    for prefix, timed in todo.items():
        if not any(record.runner.startswith(prefix) for record in records):
            records += timed()
            write_records(path, records)
