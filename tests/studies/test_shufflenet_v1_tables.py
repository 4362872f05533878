"""ShuffleNet V1's tables: figures worked out by hand, and the printed text."""

import math

import pytest

from flyweight.studies import STUDIES, case_cost
from tests.studies.table_reading import case, cells, computed, counted

# FLOPs of the same networks by independent counts (facts/zoo.csv), M, and parameters, M.
COUNTED = {
    ("0.5x", "g = 1"): (38.52, 0.534),
    ("0.5x", "g = 3"): (37.59, 0.717),
    ("0.5x", "g = 8"): (40.47, 1.01),
    ("0.5x arch2", "g = 1"): (39.21, None),
    ("0.5x arch2", "g = 2"): (41.40, None),
    ("0.5x arch2", "g = 3"): (39.47, None),
    ("0.5x arch2", "g = 4"): (41.73, None),
    ("0.5x arch2", "g = 8"): (40.39, None),
    ("0.25x arch2", "g = 1"): (12.40, None),
    ("0.25x arch2", "g = 2"): (12.64, None),
    ("0.25x arch2", "g = 3"): (13.13, None),
    ("0.25x arch2", "g = 4"): (13.41, None),
    ("1x", "g = 1"): (143.08, 1.532),
    ("1x", "g = 2"): (140.84, 1.734),
    ("1x", "g = 3"): (137.46, 1.865),
    ("1x", "g = 4"): (134.34, 1.968),
    ("1x", "g = 8"): (138.37, 2.434),
}
# Channels worked out by hand: first layer, stage 2, bottlenecks of stages 2 to 4.
SHAPES = {
    ("0.25x", "g = 1"): (12, 36, (9, 18, 36)),
    ("0.25x", "g = 2"): (12, 50, (12, 26, 50)),
    ("0.25x", "g = 3"): (12, 60, (15, 30, 60)),
    ("0.25x", "g = 4"): (12, 68, (16, 36, 68)),
    ("0.25x", "g = 8"): (8, 96, (24, 48, 96)),
    ("0.5x", "g = 2"): (12, 100, (26, 50, 100)),
    ("0.5x", "g = 4"): (12, 136, (36, 68, 136)),
    ("1x", "g = 3"): (24, 240, (60, 120, 240)),
    ("1x", "g = 8"): (24, 384, (96, 192, 384)),
}


def by_hand(
    groups: int, stem: int, width: int, middles: tuple[int, ...], repeats: tuple[int, ...]
) -> float:
    """M multiply-adds of Table 1's network, whose units have hw (c m / g + 9 m + m c / g)."""
    total = 112 * 112 * 9 * 3 * stem
    inputs = stem
    for stage, (middle, units) in enumerate(zip(middles, repeats, strict=True)):
        out, side = width * 2**stage, 28 // 2**stage
        total += (2 * side) ** 2 * inputs * middle // (groups if stage else 1)
        total += side**2 * (9 * middle + middle * (out - inputs) // groups)
        total += (units - 1) * side**2 * (2 * out * middle // groups + 9 * middle)
        inputs = out
    return (total + inputs * 1000) / 1e6


@pytest.mark.parametrize(("series", "label"), COUNTED)
def test_groups(series: str, label: str) -> None:
    cost = case_cost(case("shufflenet_v1_table2", label, series))
    madds, params = COUNTED[series, label]
    assert cost.madds / 1e6 == pytest.approx(madds, abs=0.006)
    if params is not None:  # of classifiers with bias, 1000 more
        assert cost.params / 1e6 == pytest.approx(params, abs=0.0016)


@pytest.mark.parametrize(("series", "label"), SHAPES)
def test_groups_by_hand(series: str, label: str) -> None:
    row = case("shufflenet_v1_table2", label, series)
    stem, width, middles = SHAPES[series, label]
    expected = by_hand(int(label[-1]), stem, width, middles, (4, 8, 4))
    assert case_cost(row).madds / 1e6 == pytest.approx(expected, rel=1e-9)
    # Where a bottleneck isn't a quarter, or the first layer another one, the row says so.
    plain = all(4 * middle == width * 2**i for i, middle in enumerate(middles))
    assert bool(row.note) == (not plain or stem == 8)


def test_fitted_widths_are_marked() -> None:
    for series in STUDIES["shufflenet_v1_table2"].series:
        for row in series.cases:
            assert ("fitted" in row.note) == ("arch2" in series.name)
            # Nearer than 7% to the printed FLOPs.
            assert case_cost(row).madds / 1e6 == pytest.approx(float(row.published[0]), rel=0.07)  # type: ignore[arg-type]


def test_the_architecture_is_the_printed_one() -> None:
    table = computed("shufflenet_v1_table1")
    printed, here = cells(table, "published"), cells(table, "computed")
    assert list(printed) == ["Conv1", "MaxPool", "Stage2", "Stage3", "Stage4"]
    for line, row in printed.items():
        assert list(row.values()) == list(here[line].values())
    assert printed["Stage4"] == {
        "size": 7, "channels, g = 1": 576, "channels, g = 2": 800, "channels, g = 3": 960,
        "channels, g = 4": 1088, "channels, g = 8": 1536,
    }  # fmt: skip


def test_the_complexity_of_table_1() -> None:
    (series,) = STUDIES["shufflenet_v1_table1"].series
    assert [one.published for one in series.cases] == [(143,), (140,), (137,), (133,), (137,)]
    for label, (madds, _) in counted("shufflenet_v1_table1").items():
        assert madds == pytest.approx(COUNTED["1x", label][0], abs=0.006)
        row = case("shufflenet_v1_table1", label)
        # The printed figure is the count, rounded up or down, but for two, which say so.
        assert bool(row.note) == (row.published[0] not in (math.floor(madds), math.ceil(madds)))


def test_the_shuffle_has_no_flops() -> None:
    for series in STUDIES["shufflenet_v1_table3"].series:
        without, shuffled = (case_cost(one) for one in series.cases)
        assert (without.madds, without.params) == (shuffled.madds, shuffled.params)
        assert without.whole_access < shuffled.whole_access


def test_printed_differences_of_table_3() -> None:
    """Its last column: 2.3, 1.7, 0.9, 1.1, 3.5 and 4.0 for the rows from 1x on."""
    printed = {
        "1x (g = 3)": 2.3, "0.5x (g = 3)": 1.7, "0.25x (g = 3)": 0.9, "0.25x (arch2, g = 3)": 1.1,
        "0.5x (arch2, g = 8)": 3.5, "0.25x (arch2, g = 8)": 4.0,
    }  # fmt: skip
    for series in STUDIES["shufflenet_v1_table3"].series:
        (without,), (shuffled,) = (one.published for one in series.cases)
        assert float(without) - float(shuffled) == pytest.approx(printed.pop(series.name))  # type: ignore[arg-type]
    assert not printed


def test_against_others() -> None:
    """FLOPs and parameters of facts/zoo.csv."""
    expected = {
        "0.25 MobileNet-224": (41.03, 0.470),
        "1.0 MobileNet-224": (568.74, 4.232),
        "ShuffleNet 1.5x (g = 3)": (292.44, 3.441),
        "ShuffleNet 2x (g = 3)": (524.05, 5.450),
        "ShuffleNet 2x (with SE, g = 3)": (526.93, 8.349),
        "ShuffleNet 0.5x (shallow, g = 3)": (41.63, 0.951),
        "AlexNet": (724.41, 60.965),
        "SqueezeNet": (832.67, 1.248),
        "VGG-16": (15470.26, 138.358),
        "PVANET": (609.04, 100.83),
    }
    found = counted("shufflenet_v1_table5") | counted("shufflenet_v1_table6")
    for label, (madds, params) in expected.items():
        assert found[label][0] == pytest.approx(madds, abs=0.006)
        assert found[label][1] == pytest.approx(params, rel=1e-3, abs=0.0016)


def test_both_versions_of_the_errors() -> None:
    """Spot checks against the printed tables; a row of one version has nothing of the other."""
    assert case("shufflenet_v1_table5", "ShuffleNet 2x (g = 3)").published == (524, 29.1, 26.3)
    assert case("shufflenet_v1_table5", "ShuffleNet 0.5x (g = 4)").published == (38, None, 41.6)
    assert case("shufflenet_v1_table6", "PVANET").published == (557, 35.3, None)
    assert case("shufflenet_v1_table6", "GoogLeNet").published == (1500, None, 31.3)
    assert case("shufflenet_v1_table2", "g = 8", "0.25x").published == (13, 53.7, 52.7)
    assert case("shufflenet_v1_table2", "g = 8", "0.25x arch2").published == (13, 53.3, None)


def alexnet(height: int, width: int) -> float:
    """M multiply-adds, by hand; the linear layers read 6x6 maps of any image."""

    def pooled(side: int) -> int:
        return math.ceil((side - 3) / 2) + 1

    sides = [(side - 11) // 4 + 1 for side in (height, width)]
    total = math.prod(sides) * 121 * 3 * 96
    sides = [pooled(side) for side in sides]
    total += math.prod(sides) * 25 * 48 * 256
    sides = [pooled(side) for side in sides]
    total += math.prod(sides) * 9 * (256 * 384 + 192 * 384 + 192 * 256)
    return (total + 9216 * 4096 + 4096 * 4096 + 4096 * 1000) / 1e6


def test_times_on_arm() -> None:
    study = STUDIES["shufflenet_v1_table8"]
    assert [series.name for series in study.series] == ["224x224", "480x640", "720x1280"]
    times = [[one.published[2] for one in series.cases] for series in study.series]
    assert times == [[15.2, 37.8, 184.0], [87.4, 222.2, 1156.7], [260.1, 684.5, 3633.9]]
    for series in study.series:
        height, width = map(int, series.name.split("x"))
        small, _, large = series.cases
        assert small.shape == (3, height, width)
        assert case_cost(large).madds / 1e6 == pytest.approx(alexnet(height, width), rel=1e-9)
    # All sizes of the maps are whole at 480x640: 300 / 49 of those at 224x224.
    (at_224, at_640) = (case_cost(series.cases[1]).madds for series in study.series[:2])
    assert at_640 - 960_000 == (at_224 - 960_000) * 300 / 49


def test_the_factors_of_table_8() -> None:
    """The paper's own: 18 by FLOPs, 12.1 to 14.0 by time."""
    first = STUDIES["shufflenet_v1_table8"].series[0]
    small, _, large = (case_cost(one).madds for one in first.cases)
    assert large / small == pytest.approx(18.26, abs=0.01)
    for series, factor in zip(STUDIES["shufflenet_v1_table8"].series, (12.1, 13.2, 14.0),
                              strict=True):  # fmt: skip
        speeds = [float(one.published[3]) for one in series.cases]  # type: ignore[arg-type]
        assert speeds[0] / speeds[2] == pytest.approx(factor, abs=0.05)
