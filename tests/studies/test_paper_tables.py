"""What holds for the tables of all papers but ShuffleNet V2: rows, networks, figures of the zoo."""

import functools

import pytest

from flyweight.studies import STUDIES, Case, Series, Study, case_cost, study_result
from flyweight.studies.catalogue import OF_OTHER_PAPERS
from flyweight.zoo import create_model, model_info
from flyweight.zoo.published import Published

# Studies that build and count many networks.
LONG = ("squeezenext_accuracy", "squeezenext_wider", "squeezenext_hardware",
        "squeezenext_versions", "shufflenet_v1_table1", "shufflenet_v1_table2")  # fmt: skip
# Names of columns, by what the zoo calls the figure.
FIGURES = {
    "FLOPs": "mflops",
    "params": "params_m",
    "top-1 accuracy": "top1_error",
    "top-5 accuracy": "top5_error",
    "top-1 error, arXiv v1": "top1_error",
    "top-1 error, arXiv v2": "top1_error",
}
# The studies, and how the zoo's source of the same table is called: paper, table.
SOURCES = {
    "shufflenet_v1_table2": ("ShuffleNet (arXiv 1707.01083", ("Tables 1 and 2",)),
    "shufflenet_v1_table3": ("ShuffleNet (arXiv 1707.01083", ("Table 3", "Tables 1 and 2")),
    "shufflenet_v1_table5": ("ShuffleNet (arXiv 1707.01083", ("Table 5", "Tables 1 and 2")),
    "shufflenet_v1_table6": ("ShuffleNet (arXiv 1707.01083", ("Table 6", "Tables 1 and 2")),
    "mobilenet_v1_table4": ("MobileNets", ("Table 4", "Table 6")),
    "mobilenet_v1_table5": ("MobileNets", ("Table 5", "Table 6")),
    "mobilenet_v1_table6": ("MobileNets", ("Table 6",)),
    "mobilenet_v1_table7": ("MobileNets", ("Table 6", "Table 7")),
    "mobilenet_v1_table8": ("MobileNets", ("Table 6", "Table 8")),
    "mobilenet_v1_table9": ("MobileNets", ("Table 9",)),
    "mobilenet_v2_table4": ("MobileNetV2", ("Table 4",)),
    "squeezenet_table2": ("SqueezeNet", ("Table 2", "Tables 1 and 2")),
    "squeezenet_table3": ("SqueezeNet", ("Table 3", "Tables 1 and 2")),
    "squeezenext_accuracy": ("SqueezeNext", ("table of accuracy", "table of hardware performance")),
    "squeezenext_wider": (
        "SqueezeNext",
        ("table of wider networks", "table of hardware performance"),
    ),
    "squeezenext_versions": ("SqueezeNext", ("table of hardware performance",)),
}
# What differs on purpose: the FLOPs of Table 2 are its nominal ones, those of 1x are Table 1's in
# the zoo; some rows of a paper's table stand in the zoo with the figures of another of its tables.
NOMINAL = 140


def all_series() -> list[tuple[Study, Series]]:
    return [(study, series) for study in OF_OTHER_PAPERS for series in study.series]


def test_every_paper_is_listed() -> None:
    names = [study.name for study in OF_OTHER_PAPERS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(STUDIES)
    for begin, count in (("shufflenet_v1", 6), ("mobilenet_v1", 8), ("mobilenet_v2", 4),
                         ("squeezenet", 3), ("squeezenext", 4)):  # fmt: skip
        assert sum(name.startswith(begin) for name in names) == count


def test_rows_are_consistent() -> None:
    for study in OF_OTHER_PAPERS:
        assert study.claim
        assert study.source
        names = [series.name for series in study.series]
        assert len(set(names)) == len(names)
        for series in study.series:
            labels = [case.label for case in series.cases]
            assert len(set(labels)) == len(labels), study.name
            for case in series.cases:
                assert len(case.published) == len(series.columns), (study.name, case.label)
                assert any(value is not None for value in case.published)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(study.name, marks=[pytest.mark.slow] if study.name in LONG else [])
        for study in OF_OTHER_PAPERS
    ],
)
def test_tables_without_times(name: str) -> None:
    """Every network builds and is counted, and every row has a value for each column."""
    result = study_result(STUDIES[name])
    assert result.tables
    for table in result.tables:
        assert table.columns[0].kind == "label"
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert "measured" not in {column.kind for column in table.columns}
        table.texts()
    for series in STUDIES[name].series:
        assert all(case_cost(case).madds > 0 for case in series.cases)


def zoo_rows(study: str, case: Case) -> list[Published]:
    """What the zoo holds of this network from the study's table."""
    paper, tables = SOURCES[study]
    assert isinstance(case.build, functools.partial)
    return [
        row
        for row in model_info(case.build.args[0]).published
        if row.source.startswith(paper) and row.source.endswith(tables)
    ]


def test_figures_are_the_zoos() -> None:
    """Errors, FLOPs and parameters stand in two places: both must say the same."""
    compared = 0
    for study in SOURCES:
        for series in STUDIES[study].series:
            for case in series.cases:
                assert isinstance(case.build, functools.partial)
                if case.build.func is not create_model:
                    continue  # a network made of it, with other figures
                rows = [
                    row for row in zoo_rows(study, case)
                    if "MobileNets" not in row.source or row.resolution in case.shape
                ]  # fmt: skip
                for column, value in zip(series.columns, case.published, strict=True):
                    figure = FIGURES.get(column.name)
                    if figure is None or value is None or value == NOMINAL:
                        continue
                    version = column.name.rpartition("arXiv ")[2]
                    known = [
                        getattr(row, figure)
                        for row in rows
                        if "arXiv v" not in column.name or f" {version})" in row.source
                    ]
                    known = [one for one in known if one is not None]
                    if not known:
                        continue
                    assert isinstance(value, int | float)
                    error = round(100 - value, 2) if "accuracy" in column.name else value
                    assert error in [round(one, 2) for one in known], (study, case.label, column)
                    compared += 1
    assert compared > 180
