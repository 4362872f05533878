"""MobileNet V1's tables: figures worked out by hand, of facts/zoo.csv, and the printed text."""

import pytest

from flyweight.studies import STUDIES, case_cost
from tests.studies.table_reading import case, cells, computed, counted

# The body of Table 1: input channels, output channels, side of the map put out.
BLOCKS = [
    (32, 64, 112), (64, 128, 56), (128, 128, 56), (128, 256, 28), (256, 256, 28),
    (256, 512, 14), *[(512, 512, 14)] * 5, (512, 1024, 7), (1024, 1024, 7),
]  # fmt: skip


def test_shares_of_layer_types() -> None:
    madds = {
        "Conv 1x1": sum(c * out * side**2 for c, out, side in BLOCKS),
        "Conv DW 3x3": sum(9 * c * side**2 for c, _, side in BLOCKS),
        "Conv 3x3": 27 * 32 * 112**2,
        "Fully Connected": 1024 * 1000,
    }
    params = {
        "Conv 1x1": sum(c * out for c, out, _ in BLOCKS),
        "Conv DW 3x3": sum(9 * c for c, _, _ in BLOCKS),
        "Conv 3x3": 27 * 32,
        "Fully Connected": 1024 * 1000,
    }
    table = computed("mobilenet_v1_table2")
    here, printed = cells(table, "computed"), cells(table, "published")
    for kind in madds:
        flops, weights = here[kind]["FLOPs, here"], here[kind]["params, here"]
        assert flops == pytest.approx(100 * madds[kind] / sum(madds.values()))
        assert weights == pytest.approx(100 * params[kind] / sum(params.values()))
        assert weights == pytest.approx(printed[kind]["params"], abs=1e-2)
        if kind != "Conv 3x3":
            assert flops == pytest.approx(printed[kind]["FLOPs"], abs=1e-2)
    # 1.19% is printed where 1.91% are, which the row says.
    assert here["Conv 3x3"]["FLOPs, here"] == pytest.approx(1.91, abs=5e-3)
    assert "1.91%" in str(cells(table, "note")["Conv 3x3"]["note"])


def test_a_layer_step_by_step() -> None:
    found = counted("mobilenet_v1_table3")
    by_hand = {
        "Convolution": (14 * 14 * 9 * 512 * 512, 9 * 512 * 512),
        "Depthwise Separable Conv": (14 * 14 * 512 * (9 + 512), 512 * (9 + 512)),
        "alpha = 0.75": (14 * 14 * 384 * (9 + 384), 384 * (9 + 384)),
        "rho = 0.714": (10 * 10 * 384 * (9 + 384), 384 * (9 + 384)),
    }
    assert found == {label: (a / 1e6, b / 1e6) for label, (a, b) in by_hand.items()}
    for label, (madds, params) in found.items():
        printed = case("mobilenet_v1_table3", label).published
        assert (madds, params) == pytest.approx(printed, abs=0.51 if madds > 100 else 0.06)


# FLOPs and parameters by independent counts (facts/zoo.csv), M.
COUNTED = {
    "mobilenet_v1_table4": {"Conv MobileNet": (4867.29, 29.294), "MobileNet": (568.74, 4.232)},
    "mobilenet_v1_table5": {
        "0.75 MobileNet": (325.40, 2.586), "Shallow MobileNet": (307.32, 2.888),
    },
    "mobilenet_v1_table6": {
        "1.0 MobileNet-224": (568.74, 4.232), "0.75 MobileNet-224": (325.40, 2.586),
        "0.5 MobileNet-224": (149.50, 1.332), "0.25 MobileNet-224": (41.03, 0.470),
    },
    "mobilenet_v1_table7": {
        "1.0 MobileNet-224": (568.74, 4.232), "1.0 MobileNet-192": (418.12, 4.232),
        "1.0 MobileNet-160": (290.68, 4.232), "1.0 MobileNet-128": (186.40, 4.232),
    },
    "mobilenet_v1_table9": {
        "0.50 MobileNet-160": (76.53, 1.332), "SqueezeNet": (832.67, 1.248),
        "AlexNet": (724.41, 60.965),
    },
}  # fmt: skip


@pytest.mark.parametrize("study", COUNTED)
def test_costs(study: str) -> None:
    found = counted(study)
    assert list(found) == list(COUNTED[study])
    for label, expected in COUNTED[study].items():
        assert found[label] == pytest.approx(expected, abs=0.011)


def test_memory_access_of_a_network() -> None:
    """Every convolution, batch norm, ReLU, the pool and the classifier, by Table 1."""
    accessed = 3 * 224**2 + 27 * 32 + 32 * 112**2  # the first convolution
    accessed += 4 * 32 * 112**2 + 4 * 32  # its batch norm with four vectors, and its ReLU
    before = 112
    for channels, out, side in BLOCKS:
        accessed += channels * (before**2 + side**2) + 9 * channels + 4 * channels * side**2
        accessed += (channels + out) * side**2 + channels * out + 4 * out * side**2
        accessed += 4 * (channels + out)
        before = side
    accessed += 1024 * 7 * 7 + 1024 + 1024 + 1000 + 1024 * 1000 + 1000
    found = case_cost(case("mobilenet_v1_table6", "1.0 MobileNet-224"))
    assert found.whole_access == accessed


def test_popular_networks() -> None:
    found = counted("mobilenet_v1_table8")
    assert found["VGG 16"] == pytest.approx((15470.26, 138.358), rel=1e-5)
    # The printed FLOPs are those of its convolutions: without 123.6 M of linear layers.
    assert found["VGG 16"][0] - (25088 * 4096 + 4096 * 4096 + 4096 * 1000) / 1e6 == pytest.approx(
        15346.6, abs=0.1
    )
    assert all(case("mobilenet_v1_table8", label).note for label in ("VGG 16", "GoogleNet"))


def test_printed_costs_are_the_counted_ones() -> None:
    """But for the rows that say why not: the printed figure is the count, rounded up or down."""
    for study in STUDIES:
        if not study.startswith("mobilenet_v1_table") or study[-1] in "23":
            continue
        for label, (madds, params) in counted(study).items():
            row = case(study, label)
            assert row.published[2] == pytest.approx(params, rel=0.07)
            if not row.note and label != "AlexNet":
                assert row.published[1] == pytest.approx(madds, abs=1.3)


def test_printed_figures() -> None:
    """Spot checks against the printed tables."""
    for study, label, printed in (
        ("mobilenet_v1_table4", "Conv MobileNet", (71.7, 4866, 29.3)),
        ("mobilenet_v1_table5", "Shallow MobileNet", (65.3, 307, 2.9)),
        ("mobilenet_v1_table6", "0.25 MobileNet-224", (50.6, 41, 0.5)),
        ("mobilenet_v1_table7", "1.0 MobileNet-128", (64.4, 186, 4.2)),
        ("mobilenet_v1_table8", "GoogleNet", (69.8, 1550, 6.8)),
        ("mobilenet_v1_table9", "0.50 MobileNet-160", (60.2, 76, 1.32)),
    ):
        assert case(study, label).published == printed
