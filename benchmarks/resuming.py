"""Records that grow from run to run: what an interrupted benchmark has isn't timed again."""

from collections.abc import Callable, Mapping
from pathlib import Path

from flyweight.measuring.environment import machine_name
from flyweight.records import Record, read_records, write_records

RESULTS = Path(__file__).resolve().parents[1] / "results"


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
