"""MobileNetV2's tables: figures worked out by hand, of facts/zoo.csv, and the printed text."""

import pytest

from flyweight.studies import STUDIES
from flyweight.studies.mobilenet_v2 import kilobytes
from tests.studies.table_reading import case, cells, computed, counted

# Lines of Table 2: input channels, side, expansion, output channels, repeats, first stride.
LINES = [
    (32, 112, 1, 16, 1, 1), (16, 112, 6, 24, 2, 2), (24, 56, 6, 32, 3, 2), (32, 28, 6, 64, 4, 2),
    (64, 14, 6, 96, 3, 1), (96, 14, 6, 160, 3, 2), (160, 7, 6, 320, 1, 1),
]  # fmt: skip


def line_by_hand(c: int, side: int, t: int, out: int, repeats: int, stride: int) -> tuple[int, int]:
    """Multiply-adds of a line: of the network, and by the text's formula with its h, w and k."""
    madds = formula = 0
    for step in (stride, *[1] * (repeats - 1)):
        after = side // step
        wide = t * c
        madds += side**2 * c * wide if t > 1 else 0
        madds += after**2 * wide * (9 + out)
        formula += side**2 * c * t * (c + 9 + out)
        c, side = out, after
    return madds, formula


def test_operators() -> None:
    here = list(cells(computed("mobilenet_v2_table2"), "computed").values())
    assert len(here) == 11
    for row, line in zip(here[1:8], LINES, strict=True):
        madds, formula = line_by_hand(*line)
        assert row["M madds"] == pytest.approx(madds / 1e6, rel=1e-9)
        assert row["M madds by the formula"] == pytest.approx(formula / 1e6, rel=1e-9)
        # The formula is exact but for a stride of 2 and for t = 1.
        assert (madds == formula) == (line[2] > 1 and line[5] == 1)
    first, last, pool, classifier = (here[i]["M madds"] for i in (0, 8, 9, 10))
    assert first == pytest.approx(112**2 * 27 * 32 / 1e6)
    assert last == pytest.approx(49 * 320 * 1280 / 1e6)
    assert (pool, classifier) == (0, 1.28)
    assert sum(float(row["M madds"]) for row in here) == pytest.approx(300.77, abs=0.006)  # type: ignore[arg-type]
    assert sum(float(row["M params"]) for row in here) == pytest.approx(3.505, abs=0.0006)  # type: ignore[arg-type]
    assert here[6]["size put out"] == "160 x 7 x 7"


def test_printed_operators() -> None:
    printed = cells(computed("mobilenet_v2_table2"), "published")
    assert printed["14^2 x 96 bottleneck"] == {"t": 6, "c": 160, "n": 3, "s": 2}
    assert printed["224^2 x 3 conv2d"] == {"t": None, "c": 32, "n": 1, "s": 2}


def test_what_must_be_held() -> None:
    """Channels by hand: what blocks hand on, and the widest that any operation puts out."""
    expected = {
        "MobileNetV1": [(64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024), (1024, 1024)],
        "MobileNetV2": [(32, 96), (24, 144), (32, 192), (96, 576), (320, 1280), (1280, 1280)],
        "ShuffleNet": [(48, 48), (48, 120), (480, 480), (960, 960), (1920, 1920), (1920, 1920)],
    }
    for name, channels in expected.items():
        rows = cells(computed("mobilenet_v2_table3", name), "computed")
        *sizes, most = rows.values()
        for row, (between, every), side in zip(
            sizes, channels, (112, 56, 28, 14, 7, 1), strict=True
        ):
            assert row["channels between blocks"] == between
            assert row["most channels of any operation"] == every
            assert row["memory between blocks"] == between * side**2 / 500
            assert row["their memory"] == every * side**2 / 500
        assert (
            most["memory between blocks"]
            == max(
                float(row["memory between blocks"])  # type: ignore[arg-type]
                for row in sizes[1:]
            )
        )


def test_printed_memory_follows_from_printed_channels() -> None:
    """With 16 bits a value, but for 1024 channels of 7x7: a deviation that the row states."""
    for name in ("MobileNetV1", "MobileNetV2", "ShuffleNet"):
        table = computed("mobilenet_v2_table3", name)
        printed, notes = cells(table, "published"), cells(table, "note")
        for side in (56, 28, 14, 7):
            row = printed[f"{side}x{side}"]
            ratio = kilobytes(int(row["channels"]), side) / float(row["memory"])  # type: ignore[arg-type]
            if (name, side) == ("MobileNetV1", 7):
                assert ratio == pytest.approx(0.504, abs=0.001)
                assert "199" in str(notes["7x7"]["note"])
            else:
                assert ratio == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_comparison() -> None:
    """FLOPs and parameters of facts/zoo.csv."""
    expected = {
        "MobileNetV1": (568.74, 4.232), "ShuffleNet (1.5)": (292.44, 3.441),
        "ShuffleNet (x2)": (524.05, 5.450), "NasNet-A": (568.23, 5.290),
        "MobileNetV2": (300.77, 3.505), "MobileNetV2 (1.4)": (582.20, 6.109),
    }  # fmt: skip
    found = counted("mobilenet_v2_table4")
    assert list(found) == list(expected)
    for label, costs in expected.items():
        # NASNet's independent count pads strided reductions differently: 0.8% more.
        assert found[label] == pytest.approx(costs, rel=0.01 if label == "NasNet-A" else 3e-4)


def test_printed_comparison() -> None:
    row = case("mobilenet_v2_table4", "MobileNetV2 (1.4)")
    assert row.published == (74.7, 6.9, 585, 143, 6.993)
    assert case("mobilenet_v2_table4", "ShuffleNet (x2)").published == (73.7, 5.4, 524, None, None)
    phones = STUDIES["mobilenet_v2_phones"].series[0]
    assert [one.published for one in phones.cases] == [
        (569, 4.24, 118, 162, 204, 70.9, 89.9),
        (300, 3.47, 145, 233, 220, 71.8, 91.0),
    ]
    assert [column.unit for column in phones.columns[2:5]] == ["", "", ""]
