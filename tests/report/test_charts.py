import pytest

from flyweight.errors import UsageError
from flyweight.report import chart, palette
from flyweight.report.charts import panels
from flyweight.report.labels import Anchor, place
from flyweight.report.scales import scale
from flyweight.report.text import digits, interval, millions


def layers(panel):
    """The marks of a panel, each with its rows of data."""
    spec = panel.chart.to_dict()
    named = spec["datasets"]  # where Altair puts the rows
    return [(part, named[part.get("data", spec.get("data"))["name"]]) for part in spec["layer"]]


def drawn(panel):
    """The runners that a panel has points for."""
    rows = next(rows for part, rows in layers(panel) if part.get("name") == f"points_{panel.key}")
    return [row["title"] for row in rows]


def test_a_point_for_each_record(zoo):
    error, flops = panels(zoo)
    assert drawn(flops) == [record.runner for record in zoo]
    judged = [record for record in zoo if record.network.top1_error is not None]
    assert drawn(error) == [record.runner for record in judged]
    assert 0 < len(judged) < len(zoo)
    assert flops.whole
    assert not error.whole


def test_a_record_of_unknown_flops_is_in_the_panel_of_times(zoo, make_record):
    records = [*zoo, make_record(3.0, runner="mine.onnx")]
    error, flops, times = panels(records)
    assert "mine.onnx" not in drawn(flops)
    assert drawn(times) == [record.runner for record in records]
    assert [panel.whole for panel in (error, flops, times)] == [False, False, True]


def test_without_facts_there_are_only_times(make_record):
    assert [panel.key for panel in panels([make_record(3.0)])] == ["times"]


def test_the_pair_that_flops_misjudge_is_named(make_record, make_facts):
    records = [
        make_record(2.1, make_facts("light", 41_000_000)),
        make_record(1.6, make_facts("heavy", 149_000_000)),
        make_record(5.0, make_facts("silent", 500_000_000)),
    ]
    flops = panels(records, 500)[1]
    _, texts = layers(flops)[-1]
    assert {row["name"] for row in texts} == {"light", "heavy"}


def test_the_picture_holds_every_panel(zoo, make_record):
    spec = chart([*zoo, make_record(3.0)]).to_dict()
    assert len(spec["vconcat"][0]["hconcat"]) == 3


def test_no_records_is_an_error():
    with pytest.raises(UsageError, match="at least one record"):
        chart([])


def test_a_family_keeps_its_colour_whatever_else_is_drawn():
    alone = palette.colours(["ShuffleNet V2"])
    beside = palette.colours(["MobileNet V1", "ShuffleNet V2", "New Net"])
    assert alone["ShuffleNet V2"] == beside["ShuffleNet V2"]
    assert len(set(beside.values())) == 3


def test_labels_cover_nothing():
    anchors = [Anchor(f"a network {i}", 100 + 3 * i, 100 + 3 * i) for i in range(12)]
    taken = [(anchor.x, anchor.y) for anchor in anchors]
    placed = place(anchors, taken, [], 300, 200)
    assert 1 < len(placed) < len(anchors)
    boxes = [label.box for label in placed]
    for a in boxes:
        assert 0 <= a[0] < a[2] <= 300
        assert not any(a[0] < x < a[2] and a[1] < y < a[3] for x, y in taken)
        for b in boxes:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert a is b or apart


def test_wide_ranges_are_logarithmic():
    assert scale([1, 6]).log
    assert not scale([1, 4]).log
    assert not scale([0, 6]).log
    assert not scale([1, 6], may_be_log=False).log


@pytest.mark.parametrize("values", [[3.0], [1, 4], [1, 6], [0.3, 70], [41e-3, 591]])
def test_an_axis_holds_its_values(values):
    axis = scale(values)
    assert all(0 < axis.fraction(value) < 1 for value in values)
    ticks = axis.ticks()
    assert ticks is None or (len(ticks) > 2 and all(axis.low <= t <= axis.high for t in ticks))


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.1, "2.10"), (0.01234, "0.0123"), (9.999, "10.0"), (1234.6, "1235"), (0, "0")],
)
def test_digits_are_significant_and_never_exponents(value, text):
    assert digits(value) == text


def test_millions():
    assert [millions(v) for v in (591_200_000, 2_279_760, 450_000)] == ["591", "2.28", "0.450"]


def test_an_interval_without_1_never_reads_as_if_it_held_1():
    assert interval(1.004, 1.002, 1.006) == ("1.004", "1.002", "1.006")
    assert interval(1.31, 1.29, 1.33) == ("1.31", "1.29", "1.33")
