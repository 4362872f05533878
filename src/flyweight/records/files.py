"""JSON Lines files of records: one record a line."""

import json
from collections.abc import Iterable
from pathlib import Path

from flyweight.errors import RecordError
from flyweight.files import replaced
from flyweight.records.schema import Record, from_json


def dumps(records: Iterable[Record]) -> str:
    """The records as JSON Lines."""
    return "".join(json.dumps(record.to_json()) + "\n" for record in records)


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write records to a JSON Lines file, through a temporary file that is renamed.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    with replaced(Path(path)) as temporary:
        temporary.write_text(dumps(records), encoding="utf-8")


def read_records(path: str | Path) -> list[Record]:
    """Read the records of a JSON Lines file.

    Raises:
        RecordError: no such file, a damaged line, or a schema newer than this version's.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RecordError(f"can't read {path}: {reason}") from None
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(from_json(json.loads(line)))
        except json.JSONDecodeError as error:
            raise RecordError(f"{path}, line {number}: not JSON ({error.msg})") from None
        except RecordError as error:
            raise RecordError(f"{path}, line {number}: {error}") from None
    if not records:
        raise RecordError(f"{path} holds no records")
    return records
