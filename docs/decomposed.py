"""Tables and pictures of docs/decompose.md, from the committed decompositions alone."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from flyweight.decomposing import BOUNDS, KINDS, RESIDUAL, Decomposition, from_json
from flyweight.report.decomposition import write_decomposition_png
from flyweight.studies import machine_of

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "results" / "amd-epyc-avx512-2-cores" / "decompose"
PICTURES = ROOT / "docs" / "images" / "decompose"


@functools.cache
def committed() -> dict[str, tuple[Decomposition, ...]]:
    """Each network's decompositions, engine by engine."""
    found = [json.loads(file.read_text("utf-8")) for file in sorted(RECORDS.glob("*.json"))]
    return {
        one["network"]: tuple(from_json(each) for each in one["decompositions"]) for one in found
    }


def _every() -> list[Decomposition]:
    return [one for several in committed().values() for one in several]


def classes(found: Sequence[Decomposition] | None = None) -> str:
    """What share of the time each class takes, for each network and engine."""
    every = _every() if found is None else found
    kinds = [kind for kind in KINDS if any(kind in one.by_kind() for one in every)]
    lines = [
        f"| network | engine | ms | {' | '.join(kinds)} | {RESIDUAL} | profiled it takes |",
        "| --- | --- |" + " ---: |" * (len(kinds) + 3),
    ]
    for one in every:
        groups, longer = one.by_kind(), one.inflation
        shares = [f"{groups[kind].share:.1%}" if kind in groups else "" for kind in kinds]
        cells = [
            one.network, one.engine, f"{one.total_s * 1e3:.2f}", *shares,
            f"{one.residual_share:.1%}",
            f"{longer.value:.2f} ({longer.low:.2f}-{longer.high:.2f})",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def bounds(found: Sequence[Decomposition] | None = None) -> str:
    """What share of the time goes to operations of each bound, and how many these are."""
    every = _every() if found is None else found
    names = [name for name in BOUNDS if any(name in one.by_bound() for one in every)]
    lines = [
        f"| network | engine | {' | '.join(names)} | slowest operation |",
        "| --- | --- |" + " ---: |" * len(names) + " --- |",
    ]
    for one in every:
        groups = one.by_bound()
        cells = [
            f"{groups[name].share:.0%} ({groups[name].operations})" if name in groups else ""
            for name in names
        ]
        (slowest,) = one.slowest(1)
        what = f"{slowest.operation.operation} of {slowest.operation.name}"
        cells.append(f"{what}: {slowest.seconds / one.total_s:.0%}, {slowest.bound.verdict}")
        lines.append(f"| {one.network} | {one.engine} | {' | '.join(cells)} |")
    return "\n".join(lines)


def said(found: Sequence[Decomposition] | None = None) -> str:
    """Where it was measured, and how much of the time FLOPs say nothing of."""
    every = _every() if found is None else found
    about = every[0].record
    peaks = every[0].peaks
    assert peaks is not None
    counted = sorted(every, key=_counted_share)
    most, least = ((1 - _counted_share(one), one) for one in (counted[0], counted[-1]))
    return (
        f"{machine_of(about)}, {about.environment.threads} thread, batch"
        f" {about.environment.batch}, {about.environment.dtype}, {about.started[:10]}; at its best"
        f" the machine does {peaks.madds_per_s / 1e9:.0f} G multiply-adds/s, and moves"
        f" {peaks.bytes_per_s[0] / 1e9:.0f} GB/s in arrays of {peaks.sizes[0] >> 10} KiB and"
        f" {peaks.bytes_per_s[-1] / 1e9:.0f} in arrays of {peaks.sizes[-1] >> 20} MiB. What has no"
        f" FLOPs at all takes from {least[0]:.0%} of the time ({least[1].network} on"
        f" {least[1].engine}) to {most[0]:.0%} ({most[1].network} on {most[1].engine})."
        f"{_doubts(every)}"
    )


def _doubts(every: Sequence[Decomposition]) -> str:
    """Of which measurements the records say that the machine was busy or unsteady."""
    doubtful = dict.fromkeys(one.network for one in every if one.record.warnings)
    return f" Doubts were noted with some figures of {', '.join(doubtful)}." if doubtful else ""


def _counted_share(one: Decomposition) -> float:
    """Of the time: what operations with multiply-adds take."""
    return sum(part.picoseconds for part in one.parts if part.operation.madds) / one.total_ps


def pictures() -> str:
    """Each network's picture."""
    return "\n\n".join(
        f"![Where the time of {name} goes](images/decompose/{name}.png)" for name in committed()
    )


def write_pictures() -> None:
    """Draw them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, found in committed().items():
        write_decomposition_png(found, PICTURES / f"{name}.png")
