"""What would help a network on an accelerator, as a page: simulated, as every part of it says."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.report.document import document, plain_table, sentences
from flyweight.report.saving import write_page
from flyweight.report.text import digits, millions

if TYPE_CHECKING:
    from flyweight.accelerator import HardwareAdvice, Simulation

MARK = "simulated, not measured"
TOTALS = ("network", "time (ms)", "of its time", "array busy", "M multiply-adds")
LAYERS = ("layer", "kind", "channels", "output", "share", "array busy")


def write_hardware_advice_html(advice: "HardwareAdvice", path: Path) -> None:
    """Write one page that needs nothing else, neither beside it nor from the network.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    text = hardware_advice_page(advice)
    write_page(text, path)


def hardware_advice_page(advice: "HardwareAdvice") -> str:
    """The whole page."""
    found = advice.simulation
    about = found.accelerator
    title = f"{found.workload.network} on an array of {about.name}, {MARK}"
    rows = [_totals("as it is", found, 1.0)]
    if advice.together is not None:
        rows.append(_totals("with all that is proposed", advice.together, advice.ratio))
    body = f"""<header><h1>{escape(title)}</h1>
<p class="summary">{escape(advice.summary())}</p>
<p>{about.bandwidth / 1e9:g} GB/s of DRAM, {about.clock_hz / 1e9:g} GHz,
{about.sparsity:.0%} of the weights zero.</p></header>
<main><section><h2>Before and after ({MARK})</h2>
{plain_table(TOTALS, rows)}</section>
<section><h2>What to change: another network, to be trained ({MARK})</h2>
{sentences(advice.proposals())}</section>
<section><h2>Why it takes as long as it does ({MARK})</h2>
{sentences(advice.reasons())}</section>
<section><h2>Layers ({MARK})</h2>
{plain_table(LAYERS, _layers(found))}
</section></main>"""
    return document(title, body, [])


def _totals(name: str, found: "Simulation", share: float) -> Sequence[str]:
    return (name, digits(found.seconds * 1e3), f"{share:.2f}", f"{found.utilisation:.0%}",
            millions(found.workload.madds))  # fmt: skip


def _layers(found: "Simulation") -> list[Sequence[str]]:
    return [
        (
            one.layer.name or "(itself)", one.layer.kind,
            f"{one.layer.in_channels} to {one.layer.out_channels}",
            "x".join(map(str, one.layer.out_size)), f"{one.cycles / found.cycles:.1%}",
            f"{one.utilisation:.0%}",
        )
        for one in found.layers
    ]  # fmt: skip
