"""ShuffleNet V2's tables: what is computed, against figures by hand; what is printed."""

import re
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from flyweight.studies import STUDIES, Case, Series, case_cost, study_result
from flyweight.studies.v2_large import computed_rows as rows_of_large
from flyweight.studies.v2_table5 import computed_rows
from flyweight.zoo import table8_entries
from tests.data_dir import shared

LEVELS = (40, 140, 300, 500)


def series(study: str, name: str) -> Series:
    (found,) = [one for one in STUDIES[study].series if one.name == name]
    return found


def case(study: str, of: str, label: str) -> Case:
    (found,) = [one for one in series(study, of).cases if one.label == label]
    return found


def madds(study: str, of: str, label: str) -> float:
    return case_cost(case(study, of, label)).madds / 1e6


# Appendix Table 1 (b).

# Channels that give the FLOPs of ShuffleNet v2's 64, 128, 256; a unit's multiply-adds a pixel,
# which are its weights too; elements of feature maps that its convolutions read and write a pixel.
UNITS = {
    # 1x1, 3x3 depthwise and 1x1 on half of the channels.
    "ShuffleNet v2": ((64, 128, 256), lambda c: c * c / 2 + 4.5 * c, lambda c: 3 * c),
    # To a quarter of the channels and back in 3 groups; 3x3 depthwise between.
    "ShuffleNet v1": ((108, 228, 444), lambda c: c * c / 6 + 2.25 * c, lambda c: 3 * c),
    # To 6 times the channels and back.
    "MobileNet v2": ((12, 25, 51), lambda c: 12 * c * c + 54 * c, lambda c: 26 * c),
    # Depthwise and 1x1 three times: c to c/4, c/4 to c/4, c/4 to c.
    "Xception": ((52, 112, 232), lambda c: 0.5625 * c * c + 13.5 * c, lambda c: 6 * c),
}
DEVIATIONS = {
    "ShuffleNet v2": (0, 0, 0),
    "ShuffleNet v1": (-6.4, 4.7, -0.2),
    "MobileNet v2": (1.7, 0.9, 0.1),
    "Xception": (-4.8, -2.3, -1.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("side", [56, 28])
@pytest.mark.parametrize("index", range(3))
def test_units(side: int, index: int) -> None:
    width = (64, 128, 256)[index]
    found = series("units", f"{side}x{side} c={width}")
    table = study_result(STUDIES["units"]).series[index + (3 if side == 28 else 0)].table
    assert [one.label for one in found.cases] == list(UNITS)
    deviations = dict(zip(UNITS, table.column("over first"), strict=True))
    for one in found.cases:
        widths, each, accessed = UNITS[one.label]
        channels = widths[index]
        assert one.shape == (channels, side, side)
        assert f"{channels} channels" in one.note
        cost = case_cost(one)
        # Nothing but convolutions has multiply-adds or weights; each weight is used at each pixel.
        assert cost.madds == 10 * side * side * each(channels)
        assert cost.memory_access == 10 * (side * side * accessed(channels) + each(channels))
        assert 100 * float(deviations[one.label]) == pytest.approx(  # type: ignore[arg-type]
            DEVIATIONS[one.label][index], abs=0.06
        )


def test_units_of_the_text() -> None:
    """73.3, 275.0 and 1063.7 M at 56x56."""
    found = [madds("units", f"56x56 c={c}", "ShuffleNet v2") for c in (64, 128, 256)]
    assert found == pytest.approx([73.3, 275.0, 1063.7], abs=0.06)


def test_odd_figures_are_noted() -> None:
    odd = {
        (one.name.split()[0], found.label)
        for one in STUDIES["units"].series
        for found in one.cases
        if "printed" in found.note
    }
    assert odd == {("56x56", "MobileNet v2"), ("56x56", "Xception"), ("28x28", "ShuffleNet v1")}


# Table 8.


def test_table8_has_the_rows_of_the_zoo() -> None:
    for level in LEVELS:
        built = {
            (one.build.args[0], one.shape[1])  # type: ignore[union-attr]
            for one in series("table8", f"{level}M").cases
            if one.build is not None
        }
        assert built == set(table8_entries([level]))
    cases = [one for found in STUDIES["table8"].series for one in found.cases]
    assert len(cases) == 39
    # Two networks are printed twice; they are timed once, and the row says so.
    again = [one for one in cases if one.build is None]
    assert [one.label for one in again] == [
        "1.0 MobileNet v2 (our impl.)", "1.4 MobileNet v2 (our impl.)",
    ]  # fmt: skip
    assert all("the row above" in one.note for one in again)
    speedless = [one.label for one in cases if one.published[2] is None]
    assert speedless == ["CondenseNet (G=C=8)", "CondenseNet (G=C=4)"]


# M multiply-adds: the authors' code for ShuffleNet V2, arithmetic on the papers' tables elsewhere.
COUNTED = {
    "40M": {"ShuffleNet v2 0.5x": 40.48, "0.25 MobileNet v1": 41.03, "Xception 0.5x": 39.51,
            "ShuffleNet v1 0.5x (g=3)": 37.59, "DenseNet 0.5x": 41.82, "IGCV2-0.25": 46.34},
    "140M": {"ShuffleNet v2 1x": 145.81, "0.5 MobileNet v1": 149.50, "Xception 1x": 144.80,
             "ShuffleNet v1 1x (g=3)": 137.46, "DenseNet 1x": 141.12, "IGCV2-0.5": 156.09},
    "300M": {"ShuffleNet v2 1.5x": 298.97, "0.75 MobileNet v1": 325.40, "Xception 1.5x": 304.57,
             "ShuffleNet v1 1.5x (g=3)": 292.44, "DenseNet 1.5x": 298.92,
             "CondenseNet (G=C=8)": 261.55, "1.0 MobileNet v2": 300.77},
    "500M": {"ShuffleNet v2 2x": 590.78, "1.0 MobileNet v1": 568.74, "Xception 2x": 525.36,
             "ShuffleNet v1 2x (g=3)": 524.05, "DenseNet 2x": 515.23, "IGCV2-1.0": 565.88,
             "CondenseNet (G=C=4)": 516.64, "PNASNet-5": 587.29},
}  # fmt: skip


@pytest.mark.parametrize(
    "level",
    [
        pytest.param(level, marks=[pytest.mark.slow] if level in ("300M", "500M") else [])
        for level in COUNTED
    ],
)
def test_flops_of_table8(level: str) -> None:
    for label, expected in COUNTED[level].items():
        assert madds("table8", level, label) == pytest.approx(expected, abs=0.006)


@pytest.mark.slow
def test_order_by_the_papers_own_figures() -> None:
    """At 500 M on the GPU, pair by pair over the eleven networks that have a speed."""
    flops = [591, 569, 585, 524, 519, 525, 564, 610, 597, 564, 588]
    speeds = [217, 247, 137, 133, 197, 174, 81, 82, 161, 130, 115]
    score = pairs = 0
    for i in range(len(flops)):
        for j in range(i):
            if flops[i] != flops[j]:
                pairs += 1
                score += 1 if (flops[i] < flops[j]) == (speeds[i] > speeds[j]) else -1
    (table,) = study_result(STUDIES["table8"]).computed
    row = table.rows[table.column("level").index("500M")]
    assert row[1] == pytest.approx(score / pairs)


# Appendix Table 1 (a) and Table 7.


def test_whole_networks_at_larger_sizes() -> None:
    """At 320x320 all maps are (10/7)^2 times those at 224x224; the classifier is the same."""
    for index, (name, at_224) in enumerate(
        (("0.5x", 40.4790), ("1x", 145.8064), ("1.5x", 298.9709), ("2x", 590.7774))
    ):
        classifier = 2.048 if name == "2x" else 1.024
        expected = (at_224 - classifier) * 100 / 49 + classifier
        found = madds("table1a", f"320x320 {LEVELS[index]}M", "ShuffleNet v2")
        assert found == pytest.approx(expected, rel=1e-4)
    shapes = {one.name.split()[0]: one.cases[0].shape for one in STUDIES["table1a"].series}
    assert shapes == {
        "320x320": (3, 320, 320), "640x480": (3, 480, 640), "1080x720": (3, 720, 1080),
    }  # fmt: skip
    assert len(STUDIES["table1a"].series) == 12


def test_where_the_papers_own_figures_disagree() -> None:
    """Xception is no slower than ShuffleNet v2 on its CPU at the lowest and the highest level."""
    odd = {
        (one.name, found.label)
        for one in STUDIES["table1a"].series
        for found in one.cases
        if "as fast as ShuffleNet v2" in found.note
    }
    sizes = ("320x320", "640x480", "1080x720")
    assert odd == {(f"{size} {level}M", "Xception") for size in sizes for level in (40, 500)}
    crowded = {one.name for one in STUDIES["table1a"].series if "batches of 8" in one.cases[0].note}
    assert crowded == {"320x320 40M"}


def test_backbones() -> None:
    for level in LEVELS:
        found = series("table7", f"{level}M")
        assert found.cases[found.reference].label == "ShuffleNet v2"
        for one in found.cases:
            assert one.shape == (3, 800, 1200)
            assert one.build is not None
            with torch.device("meta"):
                assert isinstance(one.build().classifier, nn.Identity)
    # A further 3x3 depthwise convolution in 13 basic units, on half of 48, 96 and 192 channels at
    # 100x150, 50x75 and 25x38 (rounded up).
    more = 9 * (3 * 24 * 100 * 150 + 7 * 48 * 50 * 75 + 3 * 96 * 25 * 38) / 1e6
    star, plain = (madds("table7", "40M", f"ShuffleNet v2{mark}") for mark in ("*", ""))
    assert star - plain == pytest.approx(more, abs=1e-6)


# Tables 5, 6, and Appendix Table 2.

CHANNELS = {
    "0.5x": ("shufflenet_v2_x0_5", 24, 48, 96, 192, 1024),
    "1x": ("shufflenet_v2_x1_0", 24, 116, 232, 464, 1024),
    "1.5x": ("shufflenet_v2_x1_5", 24, 176, 352, 704, 1024),
    "2x": ("shufflenet_v2_x2_0", 24, 244, 488, 976, 2048),
}


@pytest.mark.parametrize("size", CHANNELS)
def test_table5(size: str) -> None:
    name, stem, *stages, last = CHANNELS[size]
    rows = computed_rows(name)
    assert rows["Image"] == (("224x224", None, None, None), 3)
    assert rows["Conv1"] == (("112x112", "3x3", 2, 1), stem)
    assert rows["MaxPool"] == (("56x56", "3x3", 2, 1), stem)
    for number, (side, others, width) in enumerate(
        zip((28, 14, 7), (3, 7, 3), stages, strict=True), start=2
    ):
        assert rows[f"Stage{number}, first"] == ((f"{side}x{side}", None, 2, 1), width)
        assert rows[f"Stage{number}, others"] == ((f"{side}x{side}", None, 1, others), width)
    assert rows["Conv5"] == (("7x7", "1x1", 1, 1), last)
    assert rows["GlobalPool"] == (("1x1", "7x7", None, None), None)
    assert rows["FC"][1] == 1000


def test_table5_beside_ours() -> None:
    (table,) = study_result(STUDIES["table5"]).computed
    for column in table.columns[1:9:2]:
        printed, ours = (
            [row[table.columns.index(one)] for row in table.rows]
            for one in table.columns
            if one.name == column.name
        )
        assert printed == ours
    rows = {str(row[0]): row for row in table.rows}
    assert rows["FLOPs (M)"][-8:] == (41, 40.48, 146, 145.81, 299, 298.97, 591, 590.78)
    assert rows["# of Weights (M)"][-8:] == (1.4, 1.366, 2.3, 2.279, 3.5, 3.507, 7.4, 7.403)


@pytest.mark.slow
def test_table6() -> None:
    result = study_result(STUDIES["table6"])
    (table,) = [one.table for one in result.series]
    assert not result.series[0].verdicts
    assert table.column("FLOPs") == (2.3, 2.3, 3.8, 12.7, 20.7)
    assert table.column("top-1 error") == (22.8, 25.2, 24.0, 18.56, 18.68)
    expected = (2314.7, 1154.3, 3858.0, 12604, 20688)  # the second: half, by the stated ratio
    assert table.column("M madds") == pytest.approx(expected, rel=1e-4)
    assert "1:2 gives 2.28 G" in str(table.column("note")[1])


def test_appendix2() -> None:
    v2 = rows_of_large("shufflenet_v2_50")
    assert v2["conv1_x"] == ("112x112", "3x3, 64, stride 2")
    assert v2["max pool"] == ("56x56", "3x3 max pool, stride 2")
    assert v2["conv2_x"] == ("56x56", "[1x1, 122 | 3x3, 122 | 1x1, 122] x 3 -> 244")
    assert v2["conv5_x"] == ("7x7", "[1x1, 976 | 3x3, 976 | 1x1, 976] x 3 -> 1952")
    assert v2["conv6"] == ("7x7", "1x1, 2048")
    deep = rows_of_large("shufflenet_v2_164_se")
    assert deep["conv1_x"] == ("112x112", "3x3, 64, stride 2 | 3x3, 64 | 3x3, 128")
    assert deep["conv4_x"] == ("14x14", "[1x1, 680 | 3x3, 680 | 1x1, 680, SE] x 23 -> 1360")
    resnet = rows_of_large("resnet_50")
    assert resnet["conv3_x"] == ("28x28", "[1x1, 128 | 3x3, 128 | 1x1, 512] x 4 -> 512")
    assert resnet["conv6"] == (None, "-")
    v1 = rows_of_large("shufflenet_v1_50_g3")
    assert v1["conv2_x"] == ("56x56", "[1x1, 90 | 3x3, 90 | 1x1, 360] x 3 -> 360")
    # ResNet's brackets print what its convolutions put out, so they are ours but for the last.
    table = study_result(STUDIES["appendix2"]).computed[2]
    printed, ours = ([row[i] for row in table.rows] for i in (3, 4))
    assert [str(text).split(" ->")[0] for text in ours[:6]] == printed[:6]


# What is printed, by the text of the paper.


def numbers(line: str) -> list[float]:
    return [float(text) for text in re.findall(r"\d+(?:\.\d+)?", line)]


def holds(line: list[float], wanted: list[float]) -> bool:
    """Whether a line has these numbers, in their order."""
    rest = iter(line)
    return all(number in rest for number in wanted)


def printed_rows() -> Iterator[tuple[str, list[float]]]:
    for study in ("table6", "table8"):
        for one in STUDIES[study].series:
            for found in one.cases:
                figures = [float(value) for value in found.published if value is not None]
                # Its FLOPs are missing in this copy, as the row says.
                yield found.label, figures[1:] if "missing" in found.note else figures
    # A row of these has all levels, or all channels, of first one column and then the other.
    for study, each in (("table1a", 4), ("table7", 4), ("units", 3)):
        found = STUDIES[study].series
        for start in range(0, len(found), each):
            for index, one in enumerate(found[start].cases):
                yield (
                    one.label,
                    [
                        float(part.cases[index].published[column])  # type: ignore[arg-type]
                        for column in (0, 1)
                        for part in found[start : start + each]
                    ],
                )


def test_published_figures() -> None:
    text = shared("seeds/004_11d70174277f9341.txt").read_text(encoding="utf-8")
    lines = [numbers(line) for line in text.splitlines()]
    rows = list(printed_rows())
    assert len(rows) == 5 + 39 + 12 + 5 + 8
    missing = [label for label, figures in rows if not any(holds(line, figures) for line in lines)]
    assert not missing
