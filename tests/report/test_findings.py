import pytest

from flyweight.errors import UsageError
from flyweight.report import summary
from flyweight.report.findings import contradiction


@pytest.fixture
def light(make_facts):
    return make_facts("light", 41_000_000)


@pytest.fixture
def heavy(make_facts):
    return make_facts("heavy", 149_000_000)


def test_names_the_pair_that_flops_misjudge(make_record, light, heavy):
    text = summary([make_record(2.1, light), make_record(1.6, heavy)])
    assert text.startswith("The fastest is heavy on onnxruntime: 1.60 ms per image.")
    assert (
        "light needs 41 M multiply-adds and takes 2.10 ms, while heavy with 149 M needs only"
        " 1.60 ms on onnxruntime (a ratio of 1.31, 95% interval 1.31 to 1.31)." in text
    )


def test_chooses_the_greatest_contradiction(make_record, make_facts, light, heavy):
    slowest = make_record(2.0, make_facts("slowest", 140_000_000))
    records = [slowest, make_record(1.8, light), make_record(1.6, heavy)]
    found = contradiction(records)
    # light is off by 149/41 and 1.8/1.6; slowest only by 149/140 and 2.0/1.6
    assert (found.fewer, found.more) == (1, 2)


def test_says_so_when_flops_predict_the_order(make_record, light, heavy):
    assert "FLOPs predict the order" in summary([make_record(1.0, light), make_record(2.0, heavy)])


def test_a_difference_within_the_noise_contradicts_nothing(make_record, light, heavy):
    wobble = [2.0 + 0.5 * (-1) ** i for i in range(40)]
    slower = [2.01 - 0.5 * (-1) ** i for i in range(40)]
    records = [make_record(slower, light), make_record(wobble, heavy)]
    assert contradiction(records) is None
    assert "with no difference measured to light on onnxruntime" in summary(records)


@pytest.mark.parametrize(
    "other",
    [{"run": "run-2"}, {"engine": "eager"}, {"threads": 2}, {"dtype": "bfloat16"}, {"batch": 2}],
)
def test_never_compares_across_runs_engines_or_settings(make_record, light, heavy, other):
    records = [make_record(2.1, light), make_record(1.6, heavy, **other)]
    assert contradiction(records) is None
    assert "can't be said" in summary(records)


def test_of_one_record_is_its_time(make_record, light):
    text = summary([make_record(2.1, light)])
    assert text.startswith("light on onnxruntime takes 2.10 ms per image.")
    assert "can't be said" in text


def test_without_network_facts_names_the_runner(make_record):
    text = summary([make_record(3.0, runner="mine.onnx"), make_record(2.0, runner="its.onnx")])
    assert text.startswith("The fastest is its.onnx: 2.00 ms per image.")
    assert "can't be said" in text


def test_the_same_network_twice_says_nothing_of_flops(make_record, light):
    assert "can't be said" in summary([make_record(2.0, light), make_record(2.1, light)])


def test_says_when_runs_were_not_interleaved(make_record, light, heavy):
    text = summary([make_record(2.1, light), make_record(1.6, heavy, run="run-2")])
    assert "of 2 runs, whose times were not interleaved" in text


def test_time_is_per_image(make_record, light):
    assert "takes 0.500 ms per image" in summary([make_record(4.0, light, batch=8)])


def test_of_no_records_is_an_error():
    with pytest.raises(UsageError, match="at least one record"):
        summary([])
