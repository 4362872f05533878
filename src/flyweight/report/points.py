"""Records as the charts and the sentences speak of them: named, in milliseconds per image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flyweight.errors import UsageError
from flyweight.records import Environment, Record

NO_FAMILY = "no family"
NO_ENGINE = "engine not recorded"


@dataclass(frozen=True)
class Point:
    """One record as it is drawn; None where nothing is known without timing.

    Attributes:
        title: names the record; no other of the report has it.
        name: the network's name, or the runner's.
        family: of the network.
        series: the engine and form, and whatever else sets it apart from the other records.
        ms: median time per image, in milliseconds.
        q1_ms: its lower quartile.
        q3_ms: its upper quartile.
        mflops: millions of multiply-adds per image.
        error: published top-1 error, per cent.
        source: where the error was published.
    """

    title: str
    name: str
    family: str
    series: str
    ms: float
    q1_ms: float
    q3_ms: float
    mflops: float | None
    error: float | None
    source: str | None


def points(records: Sequence[Record]) -> list[Point]:
    """One point for each record, in the same order.

    Raises:
        UsageError: there are no records.
    """
    if not records:
        raise UsageError("a report needs at least one record")
    titles = _unique([record.runner for record in records])
    described = zip(records, titles, names(records), series(records), strict=True)
    return [_point(record, *words) for record, *words in described]


def _point(record: Record, title: str, name: str, series: str) -> Point:
    scale = 1e3 / batch(record)
    facts = record.network
    return Point(
        title=title,
        name=name,
        family=(facts.family if facts else None) or NO_FAMILY,
        series=series,
        ms=record.median_s * scale,
        q1_ms=record.q1_s * scale,
        q3_ms=record.q3_s * scale,
        mflops=facts.madds / 1e6 if facts else None,
        error=facts.top1_error if facts else None,
        source=facts.top1_source if facts else None,
    )


def batch(record: Record) -> int:
    """Images per call: 1 where the environment doesn't say."""
    return record.environment.batch or 1


def image_ms(record: Record) -> float:
    """Median time per image, in milliseconds."""
    return record.median_s * 1e3 / batch(record)


def image_samples_s(record: Record) -> list[float]:
    """The samples in seconds per image, in order."""
    return [sample / batch(record) for sample in record.samples_s]


def names(records: Sequence[Record]) -> list[str]:
    """What to call each record's network; one at an unusual input size gets the size behind it.

    A network at 160 pixels is another point than the same network at 224, with another error.
    """
    sides = [_side(record.environment) for record in records]
    usual = Counter(side for side in sides if side).most_common(1)
    result = []
    for record, side in zip(records, sides, strict=True):
        name = record.network.name if record.network else record.runner
        odd = record.network and side and side != usual[0][0] and "@" not in name
        result.append(f"{name}@{side}" if odd else name)
    return result


def series(records: Sequence[Record]) -> list[str]:
    """Each record's engine, and whichever of precision, threads, batch and machine varies."""
    parts = [_parts(record.environment) for record in records]
    varying = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
    return [
        " · ".join([own[0], *(part for part, shown in _rest(own, varying) if part and shown)])
        for own in parts
    ]


def _rest(parts: Sequence[str], varying: Sequence[bool]) -> list[tuple[str, bool]]:
    return list(zip(parts[1:], varying[1:], strict=True))


def _parts(environment: Environment) -> tuple[str, ...]:
    threads = environment.threads
    return (
        environment.form or NO_ENGINE,
        environment.dtype or "",
        "" if threads is None else f"{threads} thread{'s' if threads > 1 else ''}",
        f"batch {environment.batch or 1}",
        environment.cpu,
        environment.gpu or "",
    )


def _side(environment: Environment) -> str | None:
    """Height of the input, or height x width where they differ."""
    shape = environment.input
    if shape is None or len(shape) != 4:
        return None
    height, width = shape[2:]
    return str(height) if height == width else f"{height}x{width}"


def _unique(titles: Sequence[str]) -> list[str]:
    """The titles, with a number behind those that came before."""
    taken: set[str] = set()
    result = []
    for title in titles:
        candidate, number = title, 1
        while candidate in taken:
            number += 1
            candidate = f"{title} ({number})"
        taken.add(candidate)
        result.append(candidate)
    return result
