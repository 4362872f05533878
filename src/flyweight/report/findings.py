"""What the records show, in two sentences, and the two networks whose FLOPs mislead most."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flyweight.errors import UsageError
from flyweight.records import Ratio, Record, paired_ratio
from flyweight.report.points import image_ms, image_samples_s, names
from flyweight.report.text import digits, interval, listed, millions


@dataclass(frozen=True)
class Contradiction:
    """Two networks whose order in FLOPs is not their order in time.

    Attributes:
        fewer: index of the record with fewer multiply-adds, measurably slower.
        more: index of the one with more, measurably faster.
        ratio: time of the first over time of the second.
    """

    fewer: int
    more: int
    ratio: Ratio


def summary(records: Sequence[Record]) -> str:
    """Two sentences: the fastest record, and where FLOPs mislead or that they don't.

    Raises:
        UsageError: there are no records.
    """
    if not records:
        raise UsageError("a report needs at least one record")
    return f"{_fastest(records)} {_flops(records)}"


def time_ratio(a: Record, b: Record) -> Ratio:
    """Time per image of one record over another's of the same run, paired by rounds."""
    return paired_ratio(image_samples_s(a), image_samples_s(b))


def contradiction(records: Sequence[Record]) -> Contradiction | None:
    """The pair that FLOPs misjudge most, by (ratio of times) x (inverse ratio of FLOPs).

    Only records that differ in nothing but the network are compared: same run, engine, form,
    precision, threads, layout and batch. None where no pair is measurably the wrong way round.
    """
    found = sorted(_suspects(records), reverse=True)
    for _, fewer, more in found:  # from the greatest: the bootstrap is the slow part
        ratio = time_ratio(records[fewer], records[more])
        if ratio.differs and ratio.value > 1:
            return Contradiction(fewer, more, ratio)
    return None


def _suspects(records: Sequence[Record]) -> Iterator[tuple[float, int, int]]:
    """(size of the contradiction, index with fewer FLOPs, index with more), by medians."""
    for alike in _comparable(records):
        cost = [(index, *_cost(records[index])) for index in alike]
        for fewer, few_madds, long_ms in cost:
            for more, many_madds, short_ms in cost:
                if few_madds < many_madds and long_ms > short_ms:
                    yield long_ms / short_ms * many_madds / max(few_madds, 1), fewer, more


def _comparable(records: Sequence[Record]) -> list[list[int]]:
    """Indices of records with known FLOPs that differ in nothing but the network."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        if record.network is not None:
            e = record.environment
            key = (record.run, e.form, e.dtype, e.threads, e.layout, e.batch)
            groups[key].append(index)
    return list(groups.values())


def _cost(record: Record) -> tuple[int, float]:
    assert record.network is not None
    return record.network.madds, image_ms(record)


def _fastest(records: Sequence[Record]) -> str:
    called = _called(records)
    best = min(range(len(records)), key=lambda index: image_ms(records[index]))
    time = f"{digits(image_ms(records[best]))} ms per image"
    if len(records) == 1:
        return f"{called[best]} takes {time}."
    same_run = [i for i, r in enumerate(records) if r.run == records[best].run and i != best]
    equal = [i for i in same_run if not time_ratio(records[best], records[i]).differs]
    tie = f", with no difference measured to {_few([called[i] for i in equal])}" if equal else ""
    runs = len({record.run for record in records})
    apart = f" (of {runs} runs, whose times were not interleaved)" if runs > 1 else ""
    return f"The fastest{apart} is {called[best]}: {time}{tie}."


def _flops(records: Sequence[Record]) -> str:
    if not any(len(_different_madds(records, alike)) > 1 for alike in _comparable(records)):
        return (
            "Whether FLOPs predict the order can't be said: that takes two networks with different"
            " known FLOPs, timed in one run on the same engine."
        )
    found = contradiction(records)
    if found is None:
        return (
            "FLOPs predict the order here: no network with fewer multiply-adds is measurably slower"
            " than one with more."
        )
    called = names(records)
    fewer, more = records[found.fewer], records[found.more]
    engine = fewer.environment.form
    value, low, high = interval(found.ratio.value, found.ratio.low, found.ratio.high)
    return (
        f"FLOPs mislead: {called[found.fewer]} needs {_madds(fewer)} M multiply-adds and takes"
        f" {digits(image_ms(fewer))} ms, while {called[found.more]} with {_madds(more)} M needs"
        f" only {digits(image_ms(more))} ms{f' on {engine}' if engine else ''}"
        f" (a ratio of {value}, {found.ratio.confidence:.0%} interval {low} to {high})."
    )


def _different_madds(records: Sequence[Record], alike: Sequence[int]) -> set[int]:
    return {_cost(records[index])[0] for index in alike}


def _madds(record: Record) -> str:
    return millions(_cost(record)[0])


def _called(records: Sequence[Record]) -> list[str]:
    """Names with their engines; a runner that is not a known network says its engine itself."""
    return [
        f"{name} on {record.environment.form}"
        if record.network and record.environment.form
        else name
        for name, record in zip(names(records), records, strict=True)
    ]


def _few(items: Sequence[str]) -> str:
    """All of them up to three, else the first two and how many more."""
    return listed(items if len(items) <= 3 else [*items[:2], f"{len(items) - 2} others"])
