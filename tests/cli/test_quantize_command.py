"""`flyweight quantize` as people type it: what it prints, its exit codes, and wrong input."""

import importlib.util
import json
from pathlib import Path

import pytest

from flyweight.cli.app import run
from tests.quantizing.tiny import Tiny, image_files, labelled_by

FACTORY = "tests.quantizing.tiny:make_tiny"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images as ImageNet's are prepared, which a factory's network doesn't say."""
    folder = tmp_path_factory.mktemp("here")
    image_files(folder / "calibrate", 8, 1)
    labelled_by(Tiny().eval(), folder / "data", 20, 2)
    return folder


def command(here: Path, *more: str) -> list[str]:
    usual = ["--calibrate", f"{here}/calibrate", "--data", f"{here}/data", "--budget", "100ms"]
    return ["quantize", FACTORY, *usual, "--input", "16", *more]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    caught = capsys.readouterr()
    assert not caught.out
    assert len(caught.err.splitlines()) == 1
    return caught.err


def test_what_is_printed(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "int8")
    assert run(command(here, "--engine", "onnxruntime", "--sensitive", "--out", out)) == 0
    caught = capsys.readouterr()
    lines = caught.out.splitlines()
    assert lines[0] == (f"{FACTORY} on 20 images of {here}/data (crop), calibrated on 8 others")
    before, after = (line.split() for line in lines if line.startswith("onnxruntime "))
    assert before[:4] == ["onnxruntime", "float32", before[2], "of"]
    assert after[:2] == ["onnxruntime", "int8"]
    assert sum("95% interval of the change" in line for line in lines) == 1
    assert sum(line.startswith("wrote ") for line in lines) == 1
    assert (tmp_path / "int8" / "tests.quantizing.tiny_make_tiny.int8.onnx").is_file()
    assert {"stem", "depthwise", "pointwise", "classifier"} <= {
        line.split()[0] for line in lines if line
    }
    assert "prepared as ImageNet's are" in caught.err
    assert run(command(here, "--engine", "onnxruntime", "--out", out)) == 2
    assert "is there already: --force overwrites it" in capsys.readouterr().err


@pytest.mark.slow
def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--engine", "onnxruntime", "--also", "eager", "--keep-worst", "1", "--json")
    assert run(command(here, *more)) == 0
    said = json.loads(capsys.readouterr().out)
    (pair,) = said["engines"]
    change = pair["change"]
    assert said["n"] == 20 == change["both"] + change["lost"] + change["won"] + change["neither"]
    assert pair["float32"]["top1"]["correct"] == change["both"] + change["lost"]
    assert pair["int8"]["top1"]["correct"] == change["both"] + change["won"]
    assert json.loads(pair["about"]["keep"]) == [said["sensitive"][0]["layer"]]
    assert said["beside"][0]["runner"] == f"{FACTORY}/eager"
    assert pair["float32_over_int8"]["value"] > 0


def test_a_tool_that_is_missing_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, package=None: None if name == "nncf" else there(name, package),
    )
    assert run(command(here, "--engine", "openvino")) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "needs nncf, which is not installed: pip install 'flyweight[int8]'" in last
    assert run(command(here)) == 0
    caught = capsys.readouterr()
    assert "flyweight: without openvino: nncf is missing: pip install" in caught.err
    assert "onnxruntime" in caught.out


def test_images_that_cannot_be_read(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_text("no image")
    more = ("--engine", "onnxruntime", "--calibrate", str(tmp_path))
    assert run(command(here, *more)) == 1
    caught = capsys.readouterr()
    assert "calibrated on 8 others" in caught.out
    assert "skipped: " in caught.err
    assert "bad.png: not an image" in caught.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--images", "0"), "--images must be 1 or more"),
        (("--threads", "0"), "--threads must be 1 or more"),
        (("--keep-worst", "-1"), "--keep-worst must be 0 or more"),
        (("--budget", "soon"), "'soon' is no duration"),
        (("--engine", "native"), "unknown engine for int8 'native'"),
        (("--engine", "onnxruntime", "--also", "nativ"), "did you mean native"),
        (("--engine", "onnxruntime", "--keep", "nothing"), "unknown layer 'nothing'"),
    ],
)
def test_wrong_usage(
    here: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert run(command(here, *more)) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_network_needs_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command(here)
    arguments[1] = "mobilenet_v1_x0_25"
    assert run(arguments) == 2
    assert "give --weights FILE, or the folder of a training run" in one_line(capsys)
    arguments[1] = "mobilenet_v1_x0_26"
    assert run(arguments) == 2
    assert "did you mean mobilenet_v1_x0_25" in one_line(capsys)
