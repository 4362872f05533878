"""What public implementations, the papers' tables or arithmetic count, one file a family.

Columns of the files:

* network, size, options: what is counted, at which side of the input in pixels.
* mmadds, mparams: millions, as printed by whoever counted: our counts equal them to the last digit.
* extra_params: parameters that the implementation counted has beyond ours, such as the biases of a
  classifier that has none in the authors' code.
* fact_family, fact_variant: the row of the papers' fact table that the figures are from.
* reason: where our figures are meant to differ from that row's, why.
"""

import ast
import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Counted:
    """A network at an input size, and what it must count."""

    network: str
    size: int
    options: tuple[tuple[str, object], ...]
    mmadds: float
    mparams: float
    decimals: tuple[int, int]
    """Digits after the point of both figures."""
    extra_params: int
    fact: tuple[str, str]
    reason: str

    def __str__(self) -> str:
        return "-".join([self.network, str(self.size), *(f"{k}={v}" for k, v in self.options)])


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def _row(row: dict[str, str]) -> Counted:
    options = (text.partition("=") for text in row["options"].split(";") if text)
    return Counted(
        row["network"],
        int(row["size"]),
        tuple((name, ast.literal_eval(value)) for name, _, value in options),
        float(row["mmadds"]),
        float(row["mparams"]),
        (_decimals(row["mmadds"]), _decimals(row["mparams"])),
        int(row["extra_params"] or 0),
        (row["fact_family"], row["fact_variant"]),
        row["reason"],
    )


def read() -> list[Counted]:
    """All rows of all families."""
    rows: list[Counted] = []
    for path in sorted(Path(__file__).parent.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [_row(row) for row in csv.DictReader(file)]
    return rows


ROWS = read()
