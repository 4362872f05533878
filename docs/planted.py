"""The tables of planted waste and of noise in docs/advise.md, from the committed records."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "results" / "amd-epyc-avx512-2-cores"
Row = dict[str, Any]
UNTRIED = ("not found", "not tried")
USUAL = 0.9
"""Of the runs beside another process, that should end with the same verdict."""


def _rows(file: str) -> list[Row]:
    path = RECORDS / file
    found: list[Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return found


def _share(row: Row) -> str:
    shares = dict(row["found"])
    if row["mixed"]:
        return ", ".join(f"{key} {_percent(share)}" for key, share in shares.items())
    return _percent(shares[row["planted"]]) if row["planted"] in shares else "not found"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def near(row: Row) -> bool | None:
    """Whether the predicted gain is within a factor of two of the measured one; None if unknown."""
    if row["predicted"] is None or row["measured"] is None:
        return None
    return 0.5 <= (1 - row["predicted"]) / (1 - row["measured"]) <= 2


def table_of(rows: Sequence[Row]) -> str:
    """What became of each planted waste."""
    lines = [
        "| planted | engine | share of the time | confirmed | kept advice | the block predicts"
        " | the network takes |",
        "| --- | --- | --- | --- | --- | ---: | ---: |",
    ]
    for row in rows:
        if row["clean"]:
            continue
        confirmed = ", ".join(row["confirmed"]) or "no"
        cells = [
            row["planted"], row["engine"], _share(row), "first" if row["first"] else confirmed,
            row["advice"] or "", _ratio(row["predicted"]), _ratio(row["measured"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table() -> str:
    """The same of the committed record."""
    return table_of(_rows("advice_planted.json"))


def said_of(rows: Sequence[Row]) -> str:
    """How many were found and confirmed, and how good the predictions are."""
    single = [row for row in rows if not row["clean"] and not row["mixed"]]
    clean = [row for row in rows if row["clean"]]
    wastes = list(dict.fromkeys(row["planted"] for row in single))
    missed = {row["planted"] for row in single if row["planted"] not in dict(row["found"])}
    first = {row["planted"] for row in single if row["first"]}
    nowhere = [f"{row['planted']} on {row['engine']}" for row in single if not row["first"]]
    known = [near(row) for row in rows if near(row) is not None]
    false = sum(bool(row["confirmed"]) for row in clean)
    without = f" Not confirmed: {', '.join(nowhere)}." if nowhere else ""
    return (
        f"Of {len(wastes)} wastes {len(wastes) - len(missed)} are found, and {len(first)} are"
        f" confirmed as what saves most on an engine where they cost.{without} The gain that the"
        f" block alone predicts is within a factor of two of the whole network's for"
        f" {sum(map(bool, known))} of {len(known)}. Of {len(clean)} clean networks {false} get a"
        " confirmed finding."
    )


def said() -> str:
    """The same of the committed record."""
    return said_of(_rows("advice_planted.json"))


def noise_of(rows: Sequence[Row]) -> str:
    """How often each verdict was its usual one, beside another process."""
    if not rows:
        return "Nothing is recorded yet."
    lines = ["| network | advice | runs | verdicts |", "| --- | --- | ---: | --- |"]
    steady = total = 0  # of what was tried in at least half of the runs
    for key in dict.fromkeys(row["planted"] for row in rows):
        runs = [row["verdicts"] for row in rows if row["planted"] == key]
        for advice in dict.fromkeys(name for run in runs for name in run):
            counted = Counter(run.get(advice, "not found") for run in runs)
            tried = {one: count for one, count in counted.items() if one not in UNTRIED}
            if 2 * sum(tried.values()) >= len(runs):
                total += 1
                steady += max(tried.values()) >= USUAL * sum(tried.values())
            verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common())
            lines.append(f"| {key} | {advice} | {len(runs)} | {verdicts} |")
    head = (
        f"{steady} of {total} pieces of advice get the same verdict in nine of ten runs in which"
        " they are tried.\n\n"
    )
    return head + "\n".join(lines)


def noise() -> str:
    """The same of the committed record."""
    return noise_of(_rows("advice_noise.json"))
