"""The table of planted waste in docs/advise.md, from the committed advice_planted.json."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "amd-epyc-2-cores" / "advice_planted.json"


def _entries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def _share(entry: dict[str, Any]) -> str:
    shares = dict(entry["found"])
    if entry["planted"] not in shares:
        return "not found"
    share = shares[entry["planted"]]
    return "" if share is None else f"{share:.0%}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def table() -> str:
    """What became of each planted waste."""
    lines = [
        "| planted | engine | share of the time | confirmed | the block predicts | another network"
        " takes | exactly the same takes |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for one in _entries():
        if one["clean"]:
            continue
        confirmed = "first" if one["first"] else ", ".join(one["confirmed"]) or "no"
        cells = [
            one["planted"], one["engine"], _share(one), confirmed, _ratio(one["predicted"]),
            _ratio(one["measured"]), _ratio(one["exact"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def said() -> str:
    """How many were found and confirmed, and how good the predictions are."""
    entries = _entries()
    planted = [one for one in entries if not one["clean"]]
    clean = [one for one in entries if one["clean"]]
    found = sum(one["planted"] in dict(one["found"]) for one in planted)
    first = sum(one["first"] for one in planted)
    false = sum(bool(one["confirmed"]) for one in clean)
    both = [one for one in planted if None not in (one["predicted"], one["measured"])]
    near = sum(
        0.5 <= (1 - one["predicted"]) / (1 - one["measured"]) <= 2 for one in both
    )  # a factor of two between the gains
    return (
        f"Of {len(planted)} wastes {found} are found and {first} confirmed as what saves most; the"
        f" gain that the block alone predicts is within a factor of two of the whole network's for"
        f" {near} of {len(both)}. Of {len(clean)} clean networks {false} get a confirmed finding."
    )
