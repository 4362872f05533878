from flyweight.report.points import points


def test_times_are_milliseconds_per_image(make_record):
    point = points([make_record(8.0, batch=4)])[0]
    assert point.ms == 2.0
    assert point.q1_ms < point.ms < point.q3_ms


def test_titles_are_unique(make_record):
    again = [make_record(1.0, runner=name) for name in ("a", "a", "a (2)")]
    assert [point.title for point in points(again)] == ["a", "a (2)", "a (2) (2)"]


def test_an_unusual_input_size_is_part_of_the_name(make_record, make_facts):
    usual = make_record(1.0, make_facts("net"))
    small = make_record(1.0, make_facts("net"), input=(1, 3, 160, 160))
    wide = make_record(1.0, make_facts("net"), input=(1, 3, 160, 320))
    named = [point.name for point in points([usual, usual, small, wide])]
    assert named == ["net", "net", "net@160", "net@160x320"]


def test_lowered_networks_are_a_series_of_their_own(make_record):
    records = [make_record(1.0, lowered=lowered) for lowered in (True, False, None)]
    named = [point.series for point in points(records)]
    assert named == ["onnxruntime+lowered", "onnxruntime", "onnxruntime"]


def test_a_series_names_the_engine_and_what_varies(make_record):
    records = [
        make_record(1.0),
        make_record(1.0, threads=2),
        make_record(1.0, engine=None, dtype=None, input=None, batch=None),
    ]
    assert [point.series for point in points(records)] == [
        "onnxruntime · float32 · 1 thread",
        "onnxruntime · float32 · 2 threads",
        "engine not recorded · 1 thread",
    ]
