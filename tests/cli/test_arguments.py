"""What people type, read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyweight.cli.arguments import Subject, forms, image, seconds, shape, subject, subjects
from flyweight.errors import UsageError

READ = {
    "net": Subject("net"),
    "net@160": Subject("net", 160),
    "net/eager": Subject("net", None, "eager"),
    "net@96/eager": Subject("net", 96, "eager"),
    "pkg.mod:make@96": Subject("pkg.mod:make", 96),
    "net/eager+lowered": Subject("net", None, "eager", True),
    "pkg.mod:make@96/eager+lowered": Subject("pkg.mod:make", 96, "eager", True),
}


@pytest.mark.parametrize("text", READ)
def test_subjects(text: str) -> None:
    assert subject(text) == READ[text]


def test_patterns_stand_for_networks() -> None:
    found = subjects(["mobilenet_v1_x0_2?@96/eager", "mobilenet_v1_x0_25@96/eager"])
    assert found == [Subject("mobilenet_v1_x0_25", 96, "eager")]
    found = subjects(["mobilenet_v1_x0_2?/eager+lowered"])
    assert found == [Subject("mobilenet_v1_x0_25", None, "eager", True)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net/eager+lowerd", r"what may follow an engine is \+lowered, not '\+lowerd'"),
        ("net/eager+", r"what may follow an engine is \+lowered, not '\+'"),
        ("net/eager+lowered+lowered", "what may follow an engine"),
        ("net+lowered", r"\+lowered follows an engine, as in net/openvino\+lowered"),
        ("net@96+lowered", r"\+lowered follows an engine, as in net@96/openvino\+lowered"),
        ("net/+lowered", r"\+lowered follows an engine, as in net/openvino\+lowered"),
    ],
)
def test_no_form(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        subject(text)


def test_forms() -> None:
    """Whether to lower, for each form: (plain, lowered, both)."""
    assert forms(False, False, False) == forms(True, False, False) == (False,)
    assert forms(False, True, False) == (True,)
    assert forms(False, False, True) == (False, True)
    for asked in ((True, True, False), (True, False, True), (False, True, True), (True,) * 3):
        with pytest.raises(UsageError, match="one of --plain, --lowered and --both"):
            forms(*asked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60", 60.0), ("60s", 60.0), ("2m", 120.0), ("500ms", 0.5), (" 1.5 s", 1.5), (".5", 0.5)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1h", "nan", "inf", "1s2", "s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError, match="is no duration"):
        seconds(text)


def test_sizes() -> None:
    assert shape("1,3,224,224") == (1, 3, 224, 224)
    assert image("224") == (3, 224, 224)
    assert image("1,28,32") == (1, 28, 32)
    for text in ("", "a", "1,,2", "-1", "0", "1.5"):
        with pytest.raises(UsageError, match="is no size"):
            shape(text)
    with pytest.raises(UsageError, match="is no image size"):
        image("3,224")


@given(st.text())
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    for read in (subject, seconds, shape, image):
        with contextlib.suppress(UsageError):
            read(text)
