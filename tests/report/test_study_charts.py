"""Charts of studies: what they draw of tables written out by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from flyweight.errors import FlyweightError
from flyweight.records import Ratio
from flyweight.report.studies import pictures, speeds, write_study_png
from flyweight.report.studies.charts import view_chart, view_drawings, view_speeds
from flyweight.report.studies.places import Place, View, by_engine, joined, short_claim, shortened
from flyweight.studies import Chart, Column, StudyResult, Table, results_of
from flyweight.studies.results import SeriesResult
from flyweight.studies.tables import Value
from tests.report.conftest import study_run

COLUMNS = (
    Column("", "label"), Column("speed", "published", "images/s"), Column("to first", "published"),
    Column("M madds", "computed"), Column("here", "measured", "images/s"),
    Column("to first", "measured"), Column("remark", "note"),
)  # fmt: skip


def ratio(value: float, half: float = 0.1) -> Ratio:
    return Ratio(value, value - half, value + half, 0.95, 20)


def table(*speeds_here: float | None) -> Table:
    rows: list[tuple[Value, ...]] = [
        (f"row {index}", 10.0 * index, float(index), 5.0, speed, speed and ratio(speed), "")
        for index, speed in enumerate(speeds_here, start=1)
    ]
    return Table("CPU", COLUMNS, tuple(rows))


def result(*tables: Table, charts: Sequence[Chart] = (), study: str = "made") -> StudyResult:
    series = tuple(SeriesResult(one.name, one) for one in tables)
    return StudyResult(
        study, "made up", "", "A paper, Table 1", "", None, series, (), tuple(charts), None, ()
    )


def test_bars_are_the_papers_and_ours() -> None:
    bars = speeds.bars_of([("native", table(1.0, None)), ("eager", table(1.0, 0.5))])
    assert [(bar.row, bar.of, bar.speed) for bar in bars] == [
        ("row 1", "paper", 1), ("row 2", "paper", 2), ("row 1", "native", 1),
        ("row 1", "eager", 1), ("row 2", "eager", 0.5),
    ]  # fmt: skip
    assert (bars[0].low, bars[0].high) == (None, None)
    assert (bars[-1].low, bars[-1].high) == pytest.approx((0.4, 0.6))
    assert speeds.furthest(bars) == pytest.approx(1.04 * 2)
    wide = [speeds.Bar("a", "native", 1.0, 0.1, 40.0)]
    assert speeds.furthest(wide) == pytest.approx(1.04 * speeds.FARTHEST)


def test_a_paper_with_speeds_of_two_machines() -> None:
    columns = (Column("", "label"), Column("GPU to first", "published"),
               Column("ARM to first", "published"))  # fmt: skip
    bars = speeds.bars_of([("", Table("a", columns, (("row", 1.0, 0.5),)))])
    assert [(bar.of, bar.speed) for bar in bars] == [("paper: GPU", 1.0), ("paper: ARM", 0.5)]
    assert len(set(speeds.colours([bar.of for bar in bars]).values())) == 2


def test_an_engine_keeps_its_colour() -> None:
    one = speeds.colours(["paper", "native", "eager"])
    other = speeds.colours(["eager", "onnxruntime", "native", "strange"])
    assert one["native"] == other["native"]
    assert one["eager"] == other["eager"]
    assert len(set(other.values())) == 4


def test_columns_are_joined_by_their_kind() -> None:
    groups = joined([("native", table(1.0)), ("eager", table(2.0))])
    assert [(group.title, len(group.columns)) for group in groups] == [
        ("", 1), ("paper", 2), ("computed", 1), ("measured, native", 2), ("measured, eager", 2),
        ("", 1),
    ]  # fmt: skip
    assert groups[3].texts == [["1", "1.00 (0.90-1.10)"]]
    missing = joined([("native", table(1.0, None))])[3]
    assert missing.texts[1] == ["–", "–"]


def test_engines_stand_beside_each_other_batches_apart() -> None:
    times = (1.0, 1.1, 1.2, 1.3)
    records = [
        *study_run("g4", "CPU c=32", times),
        *study_run("g4", "CPU c=32", times, "eager"),
        *study_run("g4", "CPU c=32", times, batch=8),
    ]
    (shown,) = by_engine(results_of(records))
    assert [(view.heading, [place.label for place in view.places]) for view in shown.views] == [
        ("batch 1, threads 1, float32", ["native", "eager"]),
        ("batch 8, threads 1, float32", ["native"]),
    ]
    bars = view_speeds(shown.views[0])
    assert bars is not None
    assert list(bars.scheme) == ["paper", "native", "eager"]
    assert len(bars.panels["CPU c=32"]) == 12


def test_nothing_timed_is_no_bars(tmp_path: Path) -> None:
    counted = Table("CPU", COLUMNS[:4], (("row", 10.0, 1.0, 5.0),))
    assert view_speeds(View("", (Place("", result(counted)),))) is None
    assert view_chart(View("", (Place("", result(counted)),))) is None
    with pytest.raises(FlyweightError, match="made has nothing to draw"):
        write_study_png(result(counted), tmp_path / "none.png")
    assert list(tmp_path.iterdir()) == []


MATRIX = Table(
    "shares",
    (Column("", "label"), Column("from", "computed"), Column("by", "computed"),
     Column("share", "computed")),
    (("a", 1, 1, 1.0), ("b", 1, 2, 0.5), ("c", 2, 2, None)),
)  # fmt: skip
HEAT = Chart("heat", "Shares", "shares", "from", "by", "share")
SCATTER = Chart("scatter", "Speeds", "CPU", "speed (paper, images/s)", "to first", "", log=True)


def test_a_matrix_has_a_field_for_each_value() -> None:
    rows = pictures.spotted(HEAT, [MATRIX, table(1.0)])
    assert [(row.x, row.y, row.group) for row in rows] == [(1, 1, 1.0), (1, 2, 0.5)]
    assert pictures.height(HEAT, rows) == 2 * pictures.FIELD
    assert pictures.spotted(Chart("heat", "", "shares", "from", "nothing", "share"), [MATRIX]) == []


def test_a_scatter_draws_tables_together() -> None:
    """Its columns are found by their headings; without a colour the tables are the groups."""
    other = Table("CPU x2", COLUMNS, table(2.0).rows)
    chart = Chart("scatter", "", "CPU", "speed (paper, images/s)", "here (images/s)", "")
    rows = pictures.spotted(chart, [table(1.0, 0.5), other, MATRIX])
    assert [(row.row, row.x, row.y, row.group) for row in rows] == [
        ("row 1", 10, 1.0, "CPU"), ("row 2", 20, 0.5, "CPU"), ("row 1", 10, 2.0, "CPU x2"),
    ]  # fmt: skip


def test_drawings_of_two_places_are_one_where_they_are_equal() -> None:
    measured = Chart("scatter", "Here", "CPU", "M madds", "here (images/s)", "")
    computed = Chart("scatter", "Paper", "CPU", "M madds", "speed (paper, images/s)", "")
    places = [
        Place(label, result(table(speed), charts=(measured, computed)))
        for label, speed in (("native", 2.0), ("eager", 1.0))
    ]
    found = view_drawings(View("", tuple(places)))
    assert [one.title for one in found] == ["Here: native", "Here: eager", "Paper"]


def test_known_families_keep_their_colours() -> None:
    rows = [pictures.Spotted("", 1, 1, name) for name in ("ShuffleNet v2", "Other", "New")]
    scheme = pictures.groups(rows)
    assert scheme["ShuffleNet v2"] == "#0072B2"
    assert len(set(scheme.values())) == 3


def test_long_tables_are_points() -> None:
    short, long = (
        speeds.bars_of([("native", table(*[1.0] * count))]) for count in (4, speeds.MOST_ROWS + 1)
    )
    kinds = [
        speeds.panel(bars, 2.0, speeds.colours(["paper", "native"]), 200).to_dict()["layer"][1]
        for bars in (short, long)
    ]
    assert [layer["mark"]["type"] for layer in kinds] == ["bar", "point"]


def test_the_picture(tmp_path: Path) -> None:
    whole = result(*[Table(f"CPU {i}", COLUMNS, table(1.0, 0.5).rows) for i in range(4)],
                   charts=[SCATTER])  # fmt: skip
    path = tmp_path / "made.png"
    write_study_png(whole, path)
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 1500
    assert height > 1200
    drawn = view_chart(View("", (Place("native", whole),)))
    assert drawn is not None
    blocks = drawn.to_dict()["vconcat"]
    beside = [[len(row["hconcat"]) for row in block["vconcat"]] for block in blocks]
    assert beside == [[3, 1], [1]]
    # The scatter's groups are no engines: its colours are its own.
    assert drawn.to_dict()["resolve"] == {"scale": {"color": "independent"}}


def test_headings_say_what_differs() -> None:
    assert shortened(["batch 1, float32", "batch 8, float32"]) == {
        "batch 1, float32": "batch 1", "batch 8, float32": "batch 8",
    }  # fmt: skip
    assert shortened(["batch 1", "batch 1"]) == {"batch 1": ""}
    assert shortened([]) == {}
    assert short_claim("A is faster than B (paper: 1.2 times)") == "A is faster than B"
    assert short_claim("A (the first) is faster") == "A (the first) is faster"
