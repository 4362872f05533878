"""SqueezeNet's tables: figures worked out by hand, and the printed text."""

import pytest
import torch

from flyweight.compress.pruning import layers
from flyweight.studies import STUDIES
from flyweight.studies.compressed_networks import pruned_network
from flyweight.studies.compressed_sizes import compressed
from flyweight.studies.squeezenet import DENSITIES
from tests.studies.table_reading import case, cells, computed, counted

# Fire modules: channels read, squeeze, expand, and the shares of weights that pruning keeps (for
# fire8 the share that leaves the printed number).
FIRES = {
    "fire2": (96, 16, 64, (1, 1, 0.33)), "fire3": (128, 16, 64, (1, 1, 0.33)),
    "fire4": (128, 32, 128, (1, 1, 0.33)), "fire5": (256, 32, 128, (1, 1, 0.33)),
    "fire6": (256, 48, 192, (1, 0.5, 0.33)), "fire7": (384, 48, 192, (0.5, 1, 0.33)),
    "fire8": (384, 64, 256, (1, 0.5, 0.30)), "fire9": (512, 64, 256, (0.5, 1, 0.30)),
}  # fmt: skip


def test_layers() -> None:
    table = computed("squeezenet_table1")
    printed, here = cells(table, "published"), cells(table, "computed")
    for name, (channels, squeeze, expand, kept) in FIRES.items():
        weights = (channels * squeeze, squeeze * expand, 9 * squeeze * expand)
        biases = squeeze + 2 * expand
        assert here[name]["params, here"] == sum(weights) + biases == printed[name]["params"]
        left = sum(w * share for w, share in zip(weights, kept, strict=True)) + biases
        assert left == pytest.approx(printed[name]["params after pruning"], abs=1.01)
        if name != "fire8":
            assert here[name]["by the weights kept"] == pytest.approx(left)
    assert here["conv1"]["params, here"] == 3 * 49 * 96 + 96 == 14208
    assert here["conv10"]["params, here"] == 512 * 1000 + 1000 == 513000
    assert here["conv10"]["by the weights kept"] == pytest.approx(103400)


def test_sums_and_sizes() -> None:
    table = computed("squeezenet_table1")
    printed, here = cells(table, "published"), cells(table, "computed")
    assert here["total"]["params, here"] == 1248424 == printed["total"]["params"]
    names = [name for name in printed if name != "total"]
    after = [printed[name]["params after pruning"] or 0 for name in names]
    assert sum(after) == 421098 == printed["total"]["params after pruning"]  # type: ignore[arg-type]
    differ = {
        name for name in names
        if printed[name]["size put out"] != here[name]["size put out, here"]
        or printed[name]["filters"] != here[name]["filters, here"]
    }  # fmt: skip
    assert differ == {"maxpool8"}  # printed as 13x12x512


def test_deviations_are_stated() -> None:
    notes = cells(computed("squeezenet_table1"), "note")
    assert [name for name, row in notes.items() if row["note"]] == ["fire8", "maxpool8"]
    here = cells(computed("squeezenet_table1"), "computed")["fire8"]
    # 33% of fire8's 3x3 filters would leave 4,424 more than are printed.
    assert here["by the weights kept"] == pytest.approx(77581 + 0.03 * 9 * 64 * 256, abs=1)


def test_compression() -> None:
    rows = computed("squeezenet_table2")
    assert len(rows.rows) == 7
    mega, mebi = (
        [row[i] for row in rows.rows]
        for i, column in enumerate(rows.columns)
        if column.name == "weights in 32 bits"
    )
    assert mega == pytest.approx([4 * 60.965224] * 4 + [4 * 1.248424] * 3)
    assert mebi == pytest.approx([4 * 60965224 / 2**20] * 4 + [4 * 1248424 / 2**20] * 3)
    assert rows.column("AlexNet's weights over these")[4] == pytest.approx(48.83, abs=0.01)
    assert rows.rows[6][:8] == (
        "SqueezeNet", "Deep Compression", "6 bit", 4.8, 0.47, 510, 57.5, 80.3
    )  # fmt: skip
    # The printed reductions are those of the printed sizes.
    for row in rows.rows:
        size = row[4] or row[3]
        assert 240 / float(size) == pytest.approx(row[5], rel=0.02)  # type: ignore[arg-type]


def test_compressed_sizes() -> None:
    """Near what is printed, which has Huffman codes for AlexNet (6.9); and by hand for a layer."""
    found = computed("squeezenet_table2").column("compressed, at the printed densities")
    assert found[2] == pytest.approx(27, rel=0.02)
    assert 6.9 < float(found[3] or 0) < 10
    assert found[5] == pytest.approx(0.66, rel=0.03)
    assert 0.47 < float(found[6] or 0) < 0.56
    assert [found[row] for row in (0, 1, 4)] == [None] * 3
    real = computed("squeezenet_table2").column("published file")
    assert real == (*[None] * 5, 0.675763, None)
    sizes = compressed(torch.nn.Sequential(torch.nn.Linear(100, 10)), (0.2,), 8, 5)
    assert sizes.pruned == 4 * (0.2 * 1000 + 10)
    entries = 1000 * 0.2 * (1 + 0.8**16 / (1 - 0.8**16))  # a filler for each 16 zeros of a gap
    assert sizes.shared == pytest.approx(entries * 9 / 8 + 4 * 32 + 4 * 10)


def test_every_row_is_a_network_to_time() -> None:
    """Seven rows; what pruning leaves is as large as before, an SVD's factors are a fifth."""
    (series,) = STUDIES["squeezenet_table2"].series
    found = counted("squeezenet_table2")
    assert len(series.cases) == len(found) == 7
    alexnet, svd, pruned, *_ = found.values()
    assert pruned == alexnet
    assert svd[1] == pytest.approx(48 / 240 * alexnet[1], rel=1e-3)
    assert svd[0] < alexnet[0]
    assert [one.published[2] for one in series.cases] == [240, 48, 27, 6.9, 4.8, 0.66, 0.47]


def test_compressed_weights() -> None:
    """SqueezeNet's densities by Table 1, and as many values as codes of 6 bits have."""
    weights = layers(pruned_network("squeezenet_1_0", DENSITIES["SqueezeNet"], (6, 6)))
    assert len(weights) == 26
    for (name, weight), density in zip(weights.items(), DENSITIES["SqueezeNet"], strict=True):
        assert len(weight.unique()) <= 64
        kept = int((weight != 0).sum()) / weight.numel()
        assert kept == pytest.approx(density, abs=1e-3), name
    left = sum(int((one != 0).sum()) for one in weights.values())
    assert left == pytest.approx(421_098 - 3_976, rel=0.01)  # Table 1's total without biases


def test_bypasses() -> None:
    """Simple bypass adds nothing, complex bypass 1x1 convolutions around fire2, 4, 6 and 8."""
    found = counted("squeezenet_table3")
    extra = sum(c * 2 * e + 2 * e for c, e in ((96, 64), (128, 128), (256, 192), (384, 256)))
    vanilla, simple, complex_ = found.values()
    assert vanilla == simple == pytest.approx((832.67, 1.248424), abs=0.006)
    assert complex_[1] == (1248424 + extra) / 1e6 == 1.589672
    assert complex_[0] == pytest.approx(1183.95, abs=0.006)
    mega, mebi = ([row[i] for row in computed("squeezenet_table3").rows] for i in (2, 3))
    assert mega == pytest.approx([4.993696, 4.993696, 6.358688])
    assert mebi == pytest.approx([4.762, 4.762, 6.064], abs=5e-4)
    assert "7.94 MiB" in case("squeezenet_table3", "SqueezeNet + Complex Bypass").note


def test_printed_figures() -> None:
    assert case("squeezenet_table3", "SqueezeNet + Simple Bypass").published == (60.4, 82.5, 4.8)
    assert STUDIES["squeezenet_table2"].series[0].cases[0].published == (57.2, 80.3, 240)
