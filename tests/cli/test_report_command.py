"""`flyweight report` of folders, of studies and of two machines; good and bad input."""

from pathlib import Path

import pytest

from flyweight.cli.app import run
from flyweight.records import write_records
from tests.report.conftest import record, study_run

TIMES = (1.0, 1.1, 1.2, 1.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of results, of two studies and another measurement."""
    found = tmp_path / "mine"
    (found / "studies").mkdir(parents=True)
    write_records(found / "studies" / "g1.jsonl", study_run("g1", "ARM x1", TIMES))
    write_records(found / "studies" / "g4.jsonl", study_run("g4", "CPU c=32", TIMES[::-1]))
    write_records(found / "bench.jsonl", [record(1.0, runner="a"), record(2.0, runner="b")])
    (found / "sizes.json").write_text("{}")
    (found / "studies" / ".g9.jsonl.tmp.jsonl").write_text("half a rec")
    return found


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file of a study's records, of another machine."""
    found = tmp_path / "other.jsonl"
    write_records(found, study_run("g1", "ARM x1", (1.0, 0.9, 0.9, 0.9), cpu="Other CPU"))
    return found


def said(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert run(["report", *map(str, args)]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_a_folder(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    lines = said(capsys, folder, "--html", page).splitlines()
    assert lines[-2] == "Of 2 tested claims 2 hold here, 0 don't, and 0 are not decided."
    assert lines[-1].startswith("Not timed here yet: figure1, g2, g3, table7, ")
    assert lines[1].split()[:5] == ["g1", "ARM", "x1", "native", "holds"]
    text = page.read_text()
    assert "bench.jsonl: 2 runners" in text
    assert lines[-1] in text
    assert said(capsys, folder).splitlines() == lines


def test_a_file_of_a_study(other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert "does not hold" in said(capsys, other, "--html", page)
    assert "ShuffleNet V2, Table 1" in page.read_text()


@pytest.mark.slow
def test_a_picture_of_a_study(
    other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "g1.png"
    said(capsys, other, "--png", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_studies(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    for file in (folder / "studies").glob("g*"):
        file.unlink()
    assert said(capsys, folder, "--html", page) == "No claim was tested.\n"
    text = page.read_text()
    assert "bench.jsonl: 2 runners" in text
    assert "<h1>Measurements</h1>" in text
    assert "All verdicts" not in text
    assert "(2 cores, avx512)" in text


def test_two_machines(
    folder: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    out = said(capsys, folder, other, "--html", page)
    assert "mine: Imaginary CPU @ 2.60GHz (2 cores, avx512)" in out
    assert "other: Other CPU (2 cores, avx512)" in out
    assert "never compared with each other" in out
    (heading,) = [line for line in out.splitlines() if line.startswith("ARM x1")]
    assert heading.split("  ")[-1].strip() == "to first (other)"
    (last,) = [line.split() for line in out.splitlines() if line.startswith("1:12 ")]
    assert last[:3] == ["1:12", "57.6", "0.76"]
    assert [float(last[3].replace(",", "")), float(last[6].replace(",", ""))] == pytest.approx(
        [1000 / 1.5, 1000 / 0.9], rel=0.05
    )
    assert [float(last[4]), float(last[7])] == pytest.approx([1 / 1.5, 1 / 0.9], abs=0.02)
    assert "mine: holds: the slowest case, 1:12" in out
    assert "other: does not hold: " in out
    assert "Only mine has g4 with engine native" in out
    assert "measured, other" in page.read_text()


def test_records_of_no_study_are_drawn_as_ever(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    bench = folder / "bench.jsonl"
    out = said(capsys, bench, bench, "--html", page, "--png", picture)
    assert out.startswith("The fastest is a")
    assert "4 runners timed" in page.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nowhere"], 1, "can't read nowhere"),
        (["nowhere", "--html", "x.html"], 1, "can't read nowhere"),
        (["nowhere", "mine"], 1, "can't read nowhere"),
        (["empty"], 1, "empty holds no records (*.jsonl)"),
        (["damaged"], 1, "g1.jsonl, line 1: not JSON"),
        (["plain"], 1, "plain holds no study's records; --html FILE draws what it does hold"),
        (["mine", "plain"], 1, "plain holds no study's records"),
        (["mine", "--html", "no/x.html"], 1, "there is no folder no"),
        (["mine", "--html", "empty"], 1, "it is a folder"),
        (["mine", "--png", "x.png"], 2, "--png draws one study in one setting: mine has 2"),
        (["mine", "other.jsonl", "--png", "x.png"], 2, "--png draws a study of one machine"),
        (["mine", "mine", "mine"], 2, "two side by side"),
        (["mine/bench.jsonl"], 2, "--html FILE, --png FILE, or both"),
        (["mine/bench.jsonl", "mine/bench.jsonl"], 2, "--html FILE, --png FILE, or both"),
        (["mine/studies/g1.jsonl", "mine/studies/g4.jsonl"], 1, "have no study in common"),
        (["both", "mine"], 2, "name the folder of one machine"),
    ],
)
def test_wrong_input_gets_one_clear_line(
    args: list[str],
    code: int,
    words: str,
    folder: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "damaged", "plain", "both"):
        (tmp_path / name).mkdir()
    (tmp_path / "damaged" / "g1.jsonl").write_text("{half a rec")
    write_records(tmp_path / "plain" / "bench.jsonl", [record(1.0)])
    write_records(tmp_path / "both" / "a.jsonl", study_run("g1", "ARM x1", TIMES))
    write_records(tmp_path / "both" / "b.jsonl", study_run("g1", "ARM x1", TIMES, cpu="Other"))
    assert run(["report", *args]) == code
    found = capsys.readouterr()
    assert words in found.err
    assert len(found.err.splitlines()) == 1
    assert found.out == ""
    assert not (tmp_path / "x.html").exists()
