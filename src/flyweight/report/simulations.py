"""Networks on the accelerator as a page: pictures, and every layer's figures."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.report.accelerator import UTILISATION, headline, panels, said, setting
from flyweight.report.document import document, figure, plain_table, spec
from flyweight.report.saving import write_page
from flyweight.report.text import digits, millions

if TYPE_CHECKING:
    from flyweight.accelerator import Simulation

HEIGHTS = {"time": 150, "utilisation": 170}
"""Of the charts, in points; the lower one has the layers' names below it."""
ENERGY = {"mac": "multiply-adds", "register": "registers", "hop": "hops", "buffer": "buffer",
          "dram": "DRAM"}  # fmt: skip


def write_simulations_html(simulations: Sequence["Simulation"], path: Path) -> None:
    """Write one page that needs nothing else, neither beside it nor from the network.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    write_page(simulations_page(simulations), path)


def simulations_page(simulations: Sequence["Simulation"]) -> str:
    """The whole page."""
    first = simulations[0]
    title = headline(first)
    parts, specs = [], []
    for number, one in enumerate(simulations):
        charts = zip(HEIGHTS, panels(one), strict=True)
        pictures = ""
        for name, chart in charts:
            key = f"{name}-{number}"
            height = HEIGHTS[name]
            pictures += figure(key, f"{one.workload.network}: {name}", level=3, height=height)
            specs.append(spec(key, chart.properties(width="container", height=height)))
        parts.append(
            f"<section><h2>{escape(one.workload.network)}</h2><p>{escape(said(one))}.</p>"
            f'<div class="card">{pictures}</div>{_layers(one)}{_left_out(one)}</section>'
        )
    body = f"""<header><h1>{escape(title)}</h1>
<p class="summary">{escape(setting(first))}</p><p>{escape(UTILISATION)}
Energies are in millions of a multiply-add's: the whole, then its parts.</p></header>
<main><section><h2>Networks</h2>{_totals(simulations)}</section>
{"".join(parts)}
<section><h2>The accelerator</h2>{_choices(first)}</section></main>"""
    return document(title, body, specs)


def _totals(simulations: Sequence["Simulation"]) -> str:
    first = simulations[0]
    rows = [
        (
            one.workload.network, "x".join(map(str, one.workload.input_size[2:])),
            millions(one.workload.madds), digits(one.seconds * 1e3),
            f"{one.cycles / first.cycles:.2f}", f"{one.utilisation:.0%}",
            f"{one.dram_bytes / 2**20:.2f}", f"{one.total_energy / first.total_energy:.2f}",
            *_energies(one.energy),
        )
        for one in simulations
    ]  # fmt: skip
    return plain_table(
        ("network", "input", "M multiply-adds", "ms", "time over first", "utilisation", "DRAM MB",
         "energy over first", *_heads()),
        rows,
    )  # fmt: skip


def _layers(simulation: "Simulation") -> str:
    word = simulation.accelerator.word_bytes
    rows = [
        (
            one.layer.name or "(itself)", one.layer.kind,
            f"{one.layer.in_channels} to {one.layer.out_channels}",
            "x".join(map(str, one.layer.out_size)), one.dataflow, f"{one.cycles / 1e3:,.1f}",
            f"{one.cycles / simulation.cycles:.1%}", f"{one.utilisation:.0%}", one.bound,
            f"{one.dram_words * word / 1024:,.0f}", f"{one.work.buffer_words / 1e3:,.0f}",
            *_energies(one.energy),
        )
        for one in simulation.layers
    ]  # fmt: skip
    return plain_table(
        ("layer", "kind", "channels", "output", "stationary", "k cycles", "share", "utilisation",
         "waits for", "DRAM KB", "k buffer words", *_heads()),
        rows,
    )  # fmt: skip


def _heads() -> tuple[str, ...]:
    return ("M energy", *ENERGY.values())


def _energies(energy: dict[str, float]) -> tuple[str, ...]:
    """In all and by part, in millions of a multiply-add's."""
    return (digits(sum(energy.values()) / 1e6), *(digits(energy[part] / 1e6) for part in ENERGY))


def _left_out(simulation: "Simulation") -> str:
    parts = [f"{kind} ({one.calls}x)" for kind, one in simulation.left_out.items()]
    return f"<p>Not simulated: {escape(', '.join(parts))}.</p>" if parts else ""


def _choices(simulation: "Simulation") -> str:
    from flyweight.accelerator import choices

    rows = [
        (one.name, "none" if one.value is None else str(one.value), one.source)
        for one in choices(simulation.accelerator)
    ]
    return plain_table(("field", "value", "source"), rows)
