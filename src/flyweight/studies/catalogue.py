"""All studies, by name."""

from pathlib import Path

from flyweight.errors import UsageError, unknown
from flyweight.studies import mobilenet_v1, mobilenet_v2, shufflenet_v1, squeezenet, squeezenext
from flyweight.studies.guidelines import guidelines
from flyweight.studies.simulated import SIMULATED
from flyweight.studies.study import Study
from flyweight.studies.v2_figure1 import figure1
from flyweight.studies.v2_figure4 import NETWORK, figure4
from flyweight.studies.v2_large import appendix2, table6
from flyweight.studies.v2_sizes import table1a, table7
from flyweight.studies.v2_table5 import table5
from flyweight.studies.v2_table8 import table8
from flyweight.studies.v2_units import units


def _shufflenet_v2() -> tuple[Study, ...]:
    """In the paper's order."""
    return (
        figure1(),
        *guidelines(),
        table5(),
        figure4(),
        table6(),
        table7(),
        table8(),
        table1a(),
        units(),
        appendix2(),
    )


OF_OTHER_PAPERS = (
    *shufflenet_v1.STUDIES,
    *mobilenet_v1.STUDIES,
    *mobilenet_v2.STUDIES,
    *squeezenet.STUDIES,
    *squeezenext.STUDIES,
    SIMULATED,
)
STUDIES: dict[str, Study] = {study.name: study for study in (*_shufflenet_v2(), *OF_OTHER_PAPERS)}
"""Under their papers, and in those in their order."""
AS_PRINTED = {"table1": "g1", "table2": "g2", "table3": "g3", "table4": "g4", "table1b": "units"}
"""Studies of ShuffleNet V2 that aren't called by their tables."""
FIGURE_2 = "figure2"
NOT_A_STUDY = "figure 2, where the time goes, is 'flyweight decompose NAME', of any network"


def study_named(
    name: str,
    joined: str = "add",
    middle: int = 4,
    model: str = NETWORK,
    weights: Path | None = None,
) -> Study:
    """A study, with a reading of what its paper leaves open.

    Args:
        name: e.g. "g1", or as its paper calls it, "table1"; "-" stands for "_".
        joined: see `guidelines`.
        middle: likewise.
        model: see `figure4`.
        weights: likewise.

    Raises:
        UsageError: there is none of this name, or weights for one that has no use for them.
    """
    name = name.replace("-", "_")
    name = AS_PRINTED.get(name, name)
    if name == FIGURE_2:
        raise UsageError(NOT_A_STUDY)
    if name not in STUDIES:
        raise unknown("study", name, list(STUDIES), "'flyweight study list' shows all")
    if weights is not None and name != "figure4":
        raise UsageError(f"{name} reads no weights; figure4 does")
    read = {study.name: study for study in (*guidelines(joined, middle), figure4(model, weights))}
    return read.get(name, STUDIES[name])
