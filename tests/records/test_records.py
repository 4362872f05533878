"""Records: what they refuse, and what is read back."""

import dataclasses
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyweight.errors import FlyweightError, RecordError
from flyweight.files import check_writable
from flyweight.records import (
    SCHEMA_VERSION,
    Environment,
    NetworkFacts,
    Record,
    paired_ratio,
    read_records,
    write_records,
)

ENVIRONMENT = Environment(
    cpu="A CPU", instruction_sets=("avx2",), gpu=None, cores=2, threads=1, governor=None,
    load_average=0.1, memory_bytes=1, os="Linux", python="3.11.7", libraries={"torch": "2"},
    commit=None, engine="eager", lowered=False, dtype="float32", layout="NCHW",
    batch=1, input=(1, 3, 8, 8),
)  # fmt: skip
FACTS = NetworkFacts("net", "Family", 10, 5, 20, 30.5, "a paper")


def record(samples: tuple[float, ...] = (1e-3, 2e-3, 4e-3), runner: str = "a") -> Record:
    return Record(runner, samples, 3, ENVIRONMENT, "run", "2026-01-01T00:00:00+00:00")


def test_no_record_without_its_environment() -> None:
    with pytest.raises(TypeError):
        Record("a", (1.0,), 1, run="r", started="")  # type: ignore[call-arg]
    with pytest.raises(RecordError, match="no environment, so no record"):
        Record("a", (1.0,), 1, None, "run", "")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Environment(cpu="A CPU")  # type: ignore[call-arg]


@pytest.mark.parametrize("samples", [(), (0.0,), (-1.0,), (float("nan"),), (float("inf"),)])
def test_no_record_of_what_is_no_time(samples: tuple[float, ...]) -> None:
    with pytest.raises(RecordError):
        record(samples)


def test_figures_are_numpys() -> None:
    one = record((4.0, 1.0, 2.0, 8.0))
    assert (one.median_s, one.q1_s, one.q3_s, one.n) == (3.0, 1.75, 5.0, 4)
    assert one.iqr_s == pytest.approx(3.25)


times = st.floats(1e-9, 1e3, allow_nan=False)


@given(
    samples=st.lists(times, min_size=1, max_size=20),
    runner=st.text(),
    warnings=st.lists(st.text(), max_size=3),
    facts=st.sampled_from([None, FACTS]),
    complete=st.booleans(),
)
def test_read_back_as_written(
    tmp_path_factory: pytest.TempPathFactory,
    samples: list[float],
    runner: str,
    warnings: list[str],
    facts: NetworkFacts | None,
    complete: bool,
) -> None:
    path = tmp_path_factory.mktemp("records") / "r.jsonl"
    written = [
        dataclasses.replace(
            record(tuple(samples), runner), warnings=tuple(warnings), network=facts,
            complete=complete,
        ),
        record(),
    ]  # fmt: skip
    write_records(path, written)
    assert read_records(path) == written
    line = json.loads(path.read_text().splitlines()[0])
    assert line["median_s"] == written[0].median_s
    assert line["schema_version"] == SCHEMA_VERSION


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({**record().to_json(), "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(RecordError, match=r"line 1: written in schema 3 by a newer Flyweight"):
        read_records(path)


def in_schema_1(**more: object) -> dict[str, Any]:
    old = {**record().to_json(), "schema_version": 1}
    environment = {key: value for key, value in old["environment"].items() if key != "lowered"}
    return {**old, "environment": {**environment, **more}}


def test_schema_1_is_read_and_written_anew(tmp_path: Path) -> None:
    """It had no lowering: the field is None, and nothing says "+lowered"."""
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(in_schema_1()))
    (old,) = read_records(path)
    assert old == dataclasses.replace(
        record(), environment=dataclasses.replace(ENVIRONMENT, lowered=None)
    )
    assert old.environment.form == "eager"
    write_records(path, [old])
    assert json.loads(path.read_text())["schema_version"] == SCHEMA_VERSION
    assert read_records(path) == [old]


def test_committed_records_are_read() -> None:
    results = Path(__file__).resolve().parents[2] / "results"
    paths = list(results.rglob("*.jsonl"))
    assert paths
    for path in paths:
        for one in read_records(path):
            assert one.schema_version == SCHEMA_VERSION


@pytest.mark.parametrize("lowered", [True, False, None])
def test_form_is_the_engine_and_whether_it_ran_lowered(lowered: bool | None) -> None:
    environment = dataclasses.replace(ENVIRONMENT, lowered=lowered)
    assert environment.form == ("eager+lowered" if lowered else "eager")
    assert dataclasses.replace(environment, engine=None).form is None
    assert "form" not in dataclasses.asdict(environment)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no records"),
        ("\n\n", "holds no records"),
        ("not json", "line 1: not JSON"),
        ("[]", "a record is a JSON object"),
        ("{}", "no schema_version"),
        ('{"schema_version": 1}', "field 'environment' is missing"),
        (json.dumps({**record().to_json(), "extra": 1}), "unexpected keyword argument 'extra'"),
        (json.dumps(in_schema_1(lowered=False)), "schema 1 has no field 'lowered'"),
        (json.dumps({**in_schema_1(), "schema_version": 2}), "missing .* argument: 'lowered'"),
        (json.dumps({**in_schema_1(), "environment": None}), "not a record"),
        (json.dumps({**record().to_json(), "samples_s": None}), "not a record"),
        (json.dumps({**record().to_json(), "samples_s": [0]}), "not a positive time"),
        (json.dumps(record().to_json())[:-40], "line 1: not JSON"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(RecordError, match=message):
        read_records(path)


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="it is not text"):
        read_records(path)
    with pytest.raises(RecordError, match="No such file"):
        read_records(tmp_path / "none")


def test_a_failed_write_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    write_records(path, [record()])
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FlyweightError, match=r"can't write .*No space left on device"):
        write_records(path, [record(), record()])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["r.jsonl"]


def test_unwritable_places(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "no" / "r.jsonl", "there is no folder"),
        (tmp_path, "it is a folder"),
    ]:
        with pytest.raises(FlyweightError, match=reason):
            check_writable(path)


def test_a_pipe_is_written_to_and_a_link_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_records(pipe, [record()])
    reader.join(10)
    assert json.loads(read[0])["runner"] == "a"
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_records(tmp_path / "link", [record()])
    assert (tmp_path / "link").is_symlink()
    assert read_records(tmp_path / "file") == [record()]


def test_ratio_of_known_make_up() -> None:
    """A drift that both share cancels; the difference of 20 % stays."""
    noise = np.random.default_rng(1)
    drift = np.linspace(1, 3, 60)
    b = drift * noise.normal(1, 0.01, 60)
    a = 1.2 * drift * noise.normal(1, 0.01, 60)
    ratio = paired_ratio(tuple(a), tuple(b))
    assert ratio.low < 1.2 < ratio.high
    assert ratio.high - ratio.low < 0.02
    assert ratio.differs
    assert ratio.rounds == 60


def test_interval_covers_one_as_often_as_it_says() -> None:
    """Two runners of the same speed: about 1 in 20 intervals may miss it."""
    noise = np.random.default_rng(2)
    missed = sum(paired_ratio(*noise.lognormal(0, 0.05, (2, 40))).differs for _ in range(200))
    assert missed <= 20


def test_ratio_uses_the_rounds_that_both_have() -> None:
    assert paired_ratio((2.0, 2.0, 9.0), (1.0, 1.0)).rounds == 2
    assert paired_ratio((2.0,), (1.0,)).value == 2.0
