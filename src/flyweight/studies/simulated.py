"""SqueezeNext's table of hardware performance on our model of its accelerator.

The paper's simulator was never published, and ours isn't fitted to the table: where they differ,
they differ (docs/accelerator.md says what is known of the reasons).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from flyweight.accelerator import (
    PRESETS,
    Accelerator,
    Simulation,
    Workload,
    read_network,
    simulate,
)
from flyweight.studies.study import Study
from flyweight.studies.tables import Chart, Column, Table, Value
from flyweight.zoo import create_model

REFERENCE = "1.0-SqNxt-23v5"
FIRST = "1.0-SqNxt-23"


@dataclass(frozen=True)
class Row:
    """A network of the table.

    Attributes:
        label: as the table has it.
        network: ours; its input has the side at which our count is nearest to the printed one.
        side: in pixels.
        times: over version 5's, for each preset.
        energies: in 1e9, likewise.
    """

    label: str
    network: str
    side: int
    times: tuple[float, float]
    energies: tuple[float, float]


ROWS = (
    Row("AlexNet", "alexnet", 227, (5.46, 8.26), (16.0, 15.0)),
    Row("SqueezeNet v1.0", "squeezenet_1_0", 227, (3.42, 2.59), (6.7, 4.5)),
    Row("SqueezeNet v1.1", "squeezenet_1_1", 224, (1.60, 1.31), (3.3, 2.4)),
    Row("Tiny Darknet", "tiny_darknet", 224, (1.92, 1.50), (3.8, 2.5)),
    Row("1.0-SqNxt-23", "squeezenext_x1_0_23", 227, (1.17, 1.22), (3.2, 2.5)),
    Row("1.0-SqNxt-23v2", "squeezenext_x1_0_23_v2", 227, (1.00, 1.13), (2.8, 2.4)),
    Row("1.0-SqNxt-23v3", "squeezenext_x1_0_23_v3", 227, (1.00, 1.08), (2.7, 2.3)),
    Row("1.0-SqNxt-23v4", "squeezenext_x1_0_23_v4", 227, (1.00, 1.02), (2.6, 2.2)),
    Row("1.0-SqNxt-23v5", "squeezenext_x1_0_23_v5", 227, (1.00, 1.00), (2.6, 2.0)),
    Row("MobileNet", "mobilenet_v1_x1_0", 224, (2.94, 2.60), (9.1, 5.8)),
    Row("2.0-SqNxt-23", "squeezenext_x2_0_23", 227, (3.24, 2.72), (8.1, 5.9)),
    Row("2.0-SqNxt-23v4", "squeezenext_x2_0_23_v4", 227, (3.17, 2.55), (7.5, 5.4)),
    Row("2.0-SqNxt-23v5", "squeezenext_x2_0_23_v5", 227, (3.17, 2.55), (7.4, 5.4)),
)
ABSTRACT = {
    "AlexNet": (8.26, 7.5),
    "SqueezeNet v1.0": (2.59, 2.25),
}
"""Time and energy over those of the best SqueezeNext, from the paper's abstract."""
FIRST_LAYER = 0.26
"""Share of 1.0-SqNxt-23's time that its first layer takes, from the paper's text."""


def workloads(rows: Sequence[Row] = ROWS) -> dict[str, Workload]:
    """The layers of the table's networks, by label."""
    found = {}
    for row in rows:
        with torch.device("meta"):  # no weights are needed
            model = create_model(row.network)
        found[row.label] = read_network(model, (1, 3, row.side, row.side))
    return found


def hardware_table(
    read: dict[str, Workload], accelerator: Accelerator, index: int, rows: Sequence[Row] = ROWS
) -> Table:
    """The table's columns of one accelerator, and ours, with the deviations.

    Args:
        read: the networks by label.
        accelerator: to simulate.
        index: which of the rows' columns are the paper's of this accelerator.
        rows: the paper's.
    """
    ours = {label: simulate(workload, accelerator) for label, workload in read.items()}
    reference = ours[REFERENCE]
    paper = next(row for row in rows if row.label == REFERENCE)
    columns = (
        Column("", "label"),
        *_beside("time", 2, "x"),
        *_beside("energy", 2, "1e9"),
        *_beside("energy ratio", 2, "x"),
        Column("ms", "computed", digits=3),
        Column("utilisation", "computed", digits=2),
    )
    values: list[tuple[Value, ...]] = []
    for row in rows:
        mine = ours[row.label]
        pairs = (
            (row.times[index], mine.cycles / reference.cycles),
            (row.energies[index], mine.total_energy / 1e9),
            (row.energies[index] / paper.energies[index],
             mine.total_energy / reference.total_energy),
        )  # fmt: skip
        compared = [cell for a, b in pairs for cell in (a, b, b / a - 1)]
        values.append((row.label, *compared, mine.seconds * 1e3, mine.utilisation))
    return Table(f"simulated on {accelerator.name}", columns, tuple(values))


def _beside(name: str, digits: int, unit: str) -> tuple[Column, ...]:
    return (
        Column(name, "published", unit, digits),
        Column(f"{name}, simulated", "computed", unit, digits),
        Column(f"{name}, off", "computed", "", 1, percent=True),
    )


def claims_table(read: dict[str, Workload]) -> Table:
    """What the abstract and the text say of the larger accelerator, and what it does here."""
    large = PRESETS["16x16"]
    ours = {label: simulate(read[label], large) for label in (*ABSTRACT, REFERENCE, FIRST)}
    best = ours[REFERENCE]
    claims: list[tuple[str, float, float]] = []
    for label, (time, energy) in ABSTRACT.items():
        one = ours[label]
        claims.append((f"time of {label} / {REFERENCE}", time, one.cycles / best.cycles))
        ratio = one.total_energy / best.total_energy
        claims.append((f"energy of {label} / {REFERENCE}", energy, ratio))
    claims.append((f"first layer's share of {FIRST}", FIRST_LAYER, _first_share(ours[FIRST])))
    columns = (
        Column("", "label"),
        Column("claimed", "published", digits=2),
        Column("simulated", "computed", digits=2),
        Column("off", "computed", digits=1, percent=True),
    )
    rows = tuple((text, paper, here, here / paper - 1) for text, paper, here in claims)
    return Table(f"claims, {large.name}", columns, rows)


def _first_share(simulation: Simulation) -> float:
    return simulation.layers[0].cycles / simulation.cycles


def deviations_table(tables: Sequence[Table]) -> Table:
    """For each table of hardware: the median and the largest deviation of every compared figure.

    Ratios to version 5 are judged without version 5, which can't deviate.
    """
    rows: list[tuple[Value, ...]] = []
    for table in tables:
        for name in ("time", "energy", "energy ratio"):
            found = zip(table.column(""), table.column(f"{name}, off"), strict=True)
            off = [
                abs(value)
                for label, value in found
                if isinstance(value, float) and not (label == REFERENCE and name != "energy")
            ]
            rows.append((f"{name}, {table.name}", median(off), max(off)))
    columns = (
        Column("", "label"),
        Column("median", "computed", digits=1, percent=True),
        Column("largest", "computed", digits=1, percent=True),
    )
    return Table("deviation from the paper", columns, tuple(rows))


def simulated_tables() -> tuple[Table, ...]:
    """Both accelerators' tables, the claims, and the deviations."""
    read = workloads()
    tables = [
        hardware_table(read, accelerator, index)
        for index, accelerator in enumerate(PRESETS.values())
    ]
    return (*tables, claims_table(read), deviations_table(tables))


SIMULATED = Study(
    "squeezenext_hardware",
    "versions made for an accelerator, on a model of it",
    "SqueezeNext (arXiv 1803.10615), table of hardware performance",
    "with a smaller stem and blocks moved to later stages, SqueezeNext is faster",
    computed=simulated_tables,
    charts=(
        Chart("scatter", "Time, the paper's and simulated", "simulated", "time (paper, x)",
              "time, simulated (x)", "", log=True),
    ),
    reading="nothing here is measured: the paper's simulator was never published; ours is the model"
    " of docs/accelerator.md, whose choices 'flyweight simulate NAME --choices' lists, and it isn't"
    " fitted to the table; times are over version 5's, energies in that of a multiply-add",
)  # fmt: skip
