"""`flyweight simulate`: a network on the model of the accelerator that shaped SqueezeNext."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyweight.cli.arguments import byte_count, rate
from flyweight.cli.options import Json
from flyweight.cli.output import as_json, millions, note, table
from flyweight.cli.workloads import workloads
from flyweight.errors import UsageError
from flyweight.files import check_writable

if TYPE_CHECKING:
    from flyweight.accelerator import Accelerator, HardwareAdvice, Simulation


class Hiding(StrEnum):
    """What the array does during a transfer."""

    exposed = "exposed"
    hidden = "hidden"


class Keeping(StrEnum):
    """Which tensor stays in the buffer while the others stream by."""

    any = "any"
    operands = "operands"
    weights = "weights"
    inputs = "inputs"
    outputs = "outputs"


class Picking(StrEnum):
    """Which dataflow a layer gets."""

    fastest = "fastest"
    weight = "weight"
    output = "output"


# Long because every field of the accelerator is an option of its own.
def simulate_command(
    models: Annotated[
        list[str],
        typer.Argument(help="Names, package.module:factory, or .onnx files; NAME@SIZE for a size."),
    ],
    preset: Annotated[str, typer.Option(help="8x8 (32 KB) or 16x16 (128 KB).")] = "16x16",
    array: Annotated[int | None, typer.Option(help="Elements on a side of the array.")] = None,
    buffer: Annotated[str | None, typer.Option(help="Global buffer: 128K.")] = None,
    word: Annotated[int | None, typer.Option(help="Bytes of a word.")] = None,
    clock: Annotated[str | None, typer.Option(help="Cycles per second: 1G.")] = None,
    bandwidth: Annotated[str | None, typer.Option(help="Bytes per second of DRAM: 16G.")] = None,
    latency: Annotated[int | None, typer.Option(help="Cycles to the DRAM's first word.")] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(help="Share of weights that are zero; skipped in dataflow output."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Words a cycle from buffer to array.")] = None,
    partial_sums: Annotated[
        int | None, typer.Option(help="Output channels whose sums an element holds.")
    ] = None,
    preload: Annotated[Hiding | None, typer.Option(help="Loads, while the array ...")] = None,
    drain: Annotated[Hiding | None, typer.Option(help="Outputs leave, while it ...")] = None,
    kept_share: Annotated[
        float | None, typer.Option(help="Share of the buffer for the tensor that stays.")
    ] = None,
    keeping: Annotated[Keeping | None, typer.Option(help="Which one that may be.")] = None,
    halo: Annotated[
        bool | None, typer.Option(help="Blocks of outputs load the inputs that they share again.")
    ] = None,
    dataflow: Annotated[Picking | None, typer.Option(help="Of every layer.")] = None,
    energy: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=NUMBER: mac, register, hop, buffer, dram, weight_registers, ..."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show by kinds of layers where networks differ.")
    ] = False,
    advice: Annotated[
        bool, typer.Option("--advice", help="What would help, with simulated gains.")
    ] = False,
    choices: Annotated[
        bool, typer.Option("--choices", help="Every field's value, and who says so.")
    ] = False,
    input: Annotated[
        str | None,
        typer.Option("--input", help="Image side, or channels,height,width; the paper's if none."),
    ] = None,
    json: Json = False,
    png: Annotated[Path | None, typer.Option(help="Draw time and utilisation by layer.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="The same as a page, with every layer's figures.")
    ] = None,
) -> None:
    """Simulate networks on an array of processing elements: cycles, traffic and energy by layer.

    Nothing is measured: it is the model of docs/accelerator.md. Several networks are compared with
    the first.

    Example: flyweight simulate squeezenext_x1_0_23 --preset 16x16 --advice

    Example: flyweight simulate --compare squeezenext_x1_0_23_v5 squeezenet_1_0 --buffer 64K
    """
    from flyweight.accelerator import changed, simulate
    from flyweight.accelerator import preset as preset_named

    fields = {
        "array": array,
        "buffer_bytes": None if buffer is None else byte_count(buffer),
        "word_bytes": word,
        "clock_hz": None if clock is None else rate(clock),
        "bandwidth": None if bandwidth is None else rate(bandwidth),
        "latency": latency,
        "sparsity": sparsity,
        "port": port,
        "partial_sums": partial_sums,
        "preload": preload and preload.value,
        "drain": drain and drain.value,
        "kept_share": kept_share,
        "keeping": keeping and keeping.value,
        "halo": halo,
        "picking": dataflow and dataflow.value,
        **dict(map(_energy, energy or [])),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    accelerator = changed(preset_named(preset), given)
    for path in (png, html):
        if path is not None:
            check_writable(path)
    found = [simulate(one, accelerator) for one in workloads(models, input)]
    if compare and len(found) < 2:
        raise UsageError("--compare takes two networks or more")
    if json:
        as_json(_as_json(found))
    else:
        _print(found, accelerator, compare, advice, choices)
    if png is not None:
        from flyweight.report.accelerator import write_simulations_png

        write_simulations_png(found, png)
    if html is not None:
        from flyweight.report.simulations import write_simulations_html

        write_simulations_html(found, html)


def _energy(text: str) -> tuple[str, float]:
    """Read "buffer=6".

    Raises:
        UsageError: anything else.
    """
    from dataclasses import fields

    from flyweight.accelerator import Energy
    from flyweight.errors import unknown

    name, _, number = text.partition("=")
    known = [one.name for one in fields(Energy)]
    if name not in known:
        raise unknown("energy", name, known)
    try:
        return name, float(number)
    except ValueError:
        raise UsageError(f"--energy {text!r}: write {name}=NUMBER") from None


def _as_json(found: list["Simulation"]) -> dict[str, Any]:
    from flyweight.accelerator.advising import advice_to_json, advise_hardware
    from flyweight.accelerator.comparing import over_first, parts

    simulations = [
        {
            **one.to_json(),
            "kinds": [asdict(part) for part in parts(one).values()],
            "advice": advice_to_json(advise_hardware(one)),
        }
        for one in found
    ]
    return {"simulations": simulations, "over_first": over_first(found)}


def _print(
    found: list["Simulation"],
    accelerator: "Accelerator",
    compare: bool,
    advice: bool,
    choices: bool,
) -> None:
    from flyweight.accelerator import advise_hardware

    print(
        f"simulated, not measured: array and buffer {accelerator.name},"
        f" {accelerator.bandwidth / 1e9:g} GB/s of DRAM, {accelerator.clock_hz / 1e9:g} GHz,"
        f" sparsity {accelerator.sparsity:g}\n"
    )
    if choices:
        _print_choices(accelerator)
    if len(found) == 1:
        _print_layers(found[0])
    _print_totals(found)
    if compare:
        _print_kinds(found)
    for one in found:
        if advice:
            print_hardware_advice(advise_hardware(one))
        note_left_out(one)


def _print_choices(accelerator: "Accelerator") -> None:
    from flyweight.accelerator import choices

    rows = [
        [one.name, "-" if one.value is None else f"{one.value}", one.source]
        for one in choices(accelerator)
    ]
    table(["field", "value", "source:"], rows)
    print()


def _print_layers(simulation: "Simulation") -> None:
    rows = [
        [
            one.layer.name or "(itself)", one.layer.kind,
            f"{one.layer.in_channels}-{one.layer.out_channels}",
            "x".join(map(str, one.layer.out_size)), one.dataflow, f"{one.cycles / 1e3:,.1f}",
            f"{one.cycles / simulation.cycles:.1%}", f"{one.utilisation:.0%}", one.bound,
            f"{one.dram_words * simulation.accelerator.word_bytes / 1024:,.0f}",
            millions(one.work.buffer_words), millions(one.total_energy),
        ]
        for one in simulation.layers
    ]  # fmt: skip
    table(
        ["layer", "kind:", "channels", "output", "stationary", "k cycles", "share", "utilisation",
         "bound", "DRAM KB", "M buffer words", "M energy"],
        rows,
    )  # fmt: skip
    parts = simulation.energy
    whole = simulation.total_energy
    print(
        "\nenergy: "
        + ", ".join(f"{name} {value / whole:.0%}" for name, value in parts.items())
        + "\n"
    )


def _print_totals(found: list["Simulation"]) -> None:
    first = found[0]
    rows = [
        [
            one.workload.network, "x".join(map(str, one.workload.input_size[2:])),
            millions(one.workload.madds), f"{one.cycles / 1e3:,.0f}", f"{one.seconds * 1e3:.3f}",
            f"{one.cycles / first.cycles:.2f}", f"{one.utilisation:.0%}",
            f"{one.dram_bytes / 2**20:.2f}", millions(one.total_energy),
            f"{one.total_energy / first.total_energy:.2f}",
        ]
        for one in found
    ]  # fmt: skip
    columns = ["network", "input", "M madds", "k cycles", "ms", "over first", "utilisation",
               "DRAM MB", "M energy", "over first"]  # fmt: skip
    if len(found) == 1:
        rows = [[cell for i, cell in enumerate(rows[0]) if columns[i] != "over first"]]
        columns = [name for name in columns if name != "over first"]
    table(columns, rows)
    print("energy in that of a multiply-add")


def _print_kinds(found: list["Simulation"]) -> None:
    """Where each network's time goes, by kinds of layers."""
    from flyweight.accelerator.comparing import KINDS, parts

    by_network = [parts(one) for one in found]
    rows = []
    for kind in KINDS:
        own = [of.get(kind) for of in by_network]
        if any(own):
            cells = [
                ["-", "-", "-"]
                if one is None
                else [f"{one.cycles / 1e3:,.0f}", f"{one.share:.0%}", f"{one.utilisation:.0%}"]
                for one in own
            ]
            rows.append([kind, *(cell for three in cells for cell in three)])
    heads = [
        head
        for number in range(1, len(found) + 1)
        for head in (f"{number}: k cycles", "share", "utilisation")
    ]
    print()
    table(["layers:", *heads], rows)
    named = (f"{number}: {one.workload.network}" for number, one in enumerate(found, 1))
    print(", ".join(named))


def print_hardware_advice(advice: "HardwareAdvice") -> None:
    """Print what would help a network on an accelerator; every gain is marked as simulated."""
    print(f"\n{advice.simulation.workload.network}: what would help, simulated, not measured")
    for title, sentences in (
        ("why it takes as long as it does", advice.reasons()),
        ("what to change (another network, to train)", advice.proposals()),
    ):
        if sentences:
            print(f"  {title}:")
        for sentence in sentences:
            print(f"    {sentence}")
    print(f"  {advice.summary()}")


def note_left_out(simulation: "Simulation") -> None:
    """Say what of a network the accelerator doesn't do."""
    parts = [
        f"{kind} ({one.calls}x" + (f", {millions(one.madds)} M madds)" if one.madds else ")")
        for kind, one in simulation.left_out.items()
    ]
    if parts:
        note(f"{simulation.workload.network}: not simulated: {', '.join(parts)}")
