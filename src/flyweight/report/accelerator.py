"""Networks on the accelerator: time and utilisation of each layer, as SqueezeNext draws them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyweight.report.saving import write_chart
from flyweight.report.text import digits

if TYPE_CHECKING:
    import altair

    from flyweight.accelerator import Simulation

DATAFLOWS = {"weight": "#D55E00", "output": "#0072B2"}
"""Colours that colour-blind people can tell apart."""
NARROWEST, STEP = 420, 13
"""Width of a panel, and of a layer in it, in points."""
UTILISATION = "Utilisation: the share of the elements' cycles in which they do a multiply-add."


def write_simulations_png(simulations: Sequence["Simulation"], path: Path) -> None:
    """Draw the time and the utilisation of every layer of some networks, as PNG.

    Args:
        simulations: one below the other.
        path: the file.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    import altair as alt

    from flyweight.report.look import config

    heading = alt.TitleParams(
        headline(simulations[0]),
        subtitle=[setting(simulations[0]), UTILISATION],
        fontSize=18, subtitleFontSize=12, offset=18,
    )  # fmt: skip
    drawn = [_network(one) for one in simulations]
    chart = alt.vconcat(*drawn, title=heading, padding=20, config=config(), spacing=36)
    write_chart(chart, path)


def headline(simulation: "Simulation") -> str:
    """What a picture or page shows."""
    return f"Layer by layer on an accelerator of {simulation.accelerator.name}"


def setting(simulation: "Simulation") -> str:
    """The accelerator in a sentence or two."""
    about = simulation.accelerator
    return (
        f"Simulated, not measured. {about.bandwidth / 1e9:g} GB/s of DRAM,"
        f" {about.clock_hz / 1e9:g} GHz, {about.sparsity:.0%} of the weights zero."
    )


def said(simulation: "Simulation") -> str:
    """A network's time and utilisation in a line."""
    share = sum(one.cycles for one in simulation.layers if one.bound == "dram") / simulation.cycles
    return (
        f"{digits(simulation.seconds * 1e3)} ms, {simulation.utilisation:.0%} utilised,"
        f" {share:.0%} of the time in layers that wait for the DRAM"
    )


def _network(simulation: "Simulation") -> "altair.VConcatChart":
    """A network's two panels, time above utilisation."""
    import altair as alt

    width = max(NARROWEST, STEP * len(simulation.layers))
    title = alt.TitleParams(simulation.workload.network, subtitle=said(simulation))
    times, busy = panels(simulation)
    return alt.vconcat(
        times.properties(width=width, height=150, title=title),
        busy.properties(width=width, height=110),
        spacing=8,
    )


def panels(simulation: "Simulation") -> "tuple[altair.Chart, altair.Chart]":
    """The time of each layer, and its utilisation, as charts without a size."""
    import altair as alt

    rows = [_row(number, simulation) for number in range(len(simulation.layers))]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        color=alt.Color(
            "dataflow:N",
            title="what stays in the array",
            scale=alt.Scale(domain=list(DATAFLOWS), range=list(DATAFLOWS.values())),
        ),
        tooltip=["layer:N", "kind:N", "channels:N", "output:N", "dataflow:N", "bound:N",
                 "time:N", "share:N", "busy:N"],
    )  # fmt: skip
    x = alt.X("number:O", title=None, axis=None)
    names = alt.X(
        "number:O",
        title=None,
        axis=alt.Axis(
            labelExpr=f"{[row['label'] for row in rows]!r}[datum.value]",
            labelAngle=-90,
            labelFontSize=8,
            labelLimit=150,
            labelOverlap="greedy",
        ),
    )
    times = base.mark_bar().encode(x=x, y=alt.Y("cycles:Q", title="thousand cycles"))
    busy = base.mark_bar().encode(
        x=names,
        y=alt.Y(
            "utilisation:Q", title="utilisation", scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=5),
        ),
    )  # fmt: skip
    return times, busy


def _row(number: int, simulation: "Simulation") -> dict[str, Any]:
    result = simulation.layers[number]
    layer = result.layer
    return {
        "number": number,
        "label": f"{layer.kind}  {layer.in_channels}-{layer.out_channels}",
        "layer": layer.name,
        "kind": layer.kind,
        "channels": f"{layer.in_channels} to {layer.out_channels}",
        "output": "x".join(map(str, layer.out_size)),
        "dataflow": result.dataflow,
        "bound": result.bound,
        "cycles": result.cycles / 1e3,
        "utilisation": result.utilisation,
        "time": f"{result.cycles / 1e3:,.1f} thousand cycles",
        "share": f"{result.cycles / simulation.cycles:.1%} of the network's",
        "busy": f"{result.utilisation:.0%}",
    }
