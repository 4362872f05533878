"""SqueezeNext's tables: counts of the authors' files and others, and the printed text."""

import pytest
import torch

from flyweight.studies import STUDIES
from tests.studies.table_reading import case, cells, computed, counted

# FLOPs and parameters, M (facts/zoo.csv): counted in the authors' network files or derived.
COUNTED = {
    "1.0-SqNxt-23": (278.00, 0.718), "1.0-G-SqNxt-23": (224.19, 0.544),
    "1.0-SqNxt-23-IDA": (None, 0.935), "1.0-SqNxt-34": (356.71, 1.054),
    "1.0-SqNxt-34-IDA": (None, 1.270), "1.0-SqNxt-44": (428.20, 1.240),
    "1.0-SqNxt-44-IDA": (None, 1.457), "1.5-SqNxt-23": (472.27, 1.407),
    "1.5-SqNxt-34": (649.37, 2.157), "1.5-SqNxt-44": (810.22, 2.574),
    "2.0-SqNxt-23": (742.07, 2.363), "2.0-SqNxt-34": (1056.92, 3.692),
    "2.0-SqNxt-44": (1342.86, 4.429), "1.0-SqNxt-23v2": (224.92, 0.735),
    "1.0-SqNxt-23v3": (224.92, 0.749), "1.0-SqNxt-23v4": (224.92, 0.763),
    "1.0-SqNxt-23v5": (224.92, 0.931), "2.0-SqNxt-23v4": (702.59, 2.556),
    "2.0-SqNxt-23v5": (702.59, 3.224), "AlexNet": (724.41, 60.965), "SqueezeNet": (832.67, 1.248),
    "SqueezeNet v1.0": (832.67, 1.248), "SqueezeNet v1.1": (349.15, 1.235),
    "Tiny Darknet": (491.52, 1.042), "MobileNet": (568.74, 4.232), "VGG-19": (19632.06, 143.667),
}  # fmt: skip
TABLES = ("squeezenext_accuracy", "squeezenext_wider", "squeezenext_versions")


@pytest.mark.slow
@pytest.mark.parametrize("study", TABLES)
def test_costs(study: str) -> None:
    found = counted(study)
    assert set(found) <= set(COUNTED)
    for label, (madds, params) in found.items():
        expected = COUNTED[label]
        if expected[0] is not None:
            assert madds == pytest.approx(expected[0], abs=0.006)
        assert params == pytest.approx(expected[1], abs=0.0016)  # 1000 more with a bias


def test_printed_costs_are_near() -> None:
    """FLOPs within what the paper's tool counts besides; parameters as rounded, but for VGG-19."""
    for label, (madds, _) in counted("squeezenext_versions").items():
        printed = float(case("squeezenext_versions", label).published[1])  # type: ignore[arg-type]
        assert 1 <= printed / madds < 1.0145
    for study in TABLES:
        (series,) = STUDIES[study].series
        place = [column.name for column in series.columns].index("params")
        for label, (_, params) in counted(study).items():
            row = case(study, label)
            printed = row.published[place]
            near = printed == pytest.approx(params, rel=0.06)
            assert near or row.note, label
            if label == "VGG-19":
                assert printed == 138


def test_parameters_fewer_than_alexnets() -> None:
    table = computed("squeezenext_accuracy")
    here, printed = cells(table, "computed"), cells(table, "published")
    for label, row in here.items():
        assert isinstance(label, str)
        assert row["here"] == pytest.approx(60.965 / COUNTED[label][1], rel=2.5e-3)
    assert printed["1.0-G-SqNxt-23"]["fewer than AlexNet's"] == 112
    assert here["1.0-G-SqNxt-23"]["here"] == pytest.approx(112.3, abs=0.1)


def test_printed_figures() -> None:
    """Spot checks against the slides."""
    for study, label, printed in (
        ("squeezenext_accuracy", "1.0-SqNxt-34-IDA", (62.56, 84.93, 1.3, 47)),
        ("squeezenext_wider", "2.0-SqNxt-44", (69.59, 89.53, 4.4)),
        ("squeezenext_versions", "AlexNet",
         (60.9, 725, 57.10, 80.30, None, 5.46, 1.6e10, 8.26, 1.5e10)),
        ("squeezenext_versions", "1.0-SqNxt-23v4",
         (0.77, 228, 59.09, 82.41, "[2,10,8,1]", 1.00, 2.6e9, 1.02, 2.2e9)),
    ):  # fmt: skip
        assert case(study, label).published == printed


def test_depths_are_the_networks() -> None:
    """What the table prints as depth is how many blocks each stage of the network has."""
    for row in STUDIES["squeezenext_versions"].series[0].cases:
        depth = row.published[4]
        if depth is None:
            continue
        assert row.build is not None
        with torch.device("meta"):
            network = row.build()
        stages = [network.get_submodule(f"stages.stage{n}") for n in (1, 2, 3, 4)]
        assert depth == str([len(list(stage.children())) for stage in stages]).replace(" ", "")
