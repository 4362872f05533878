"""`flyweight compress` and `decompress`, as a stranger types them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flyweight.cli.app import run
from flyweight.compress import read_container
from flyweight.trained import load_trained
from tests.cli.typed import A_FEW_STEPS, NAME, said
from tests.training.small import image_folder

FACTORY = "tests.training.small:Small"
ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--epochs", "1", "--batch", "16", "--workers", "1", "--device", "cpu", "--budget", "0.5s",
         "--engine", "eager")  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, a run of a few steps on them, and the run compressed."""
    folder = tmp_path_factory.mktemp("here")
    image_folder(folder / "photos", 48)
    photos, trained = str(folder / "photos"), str(folder / "run")
    assert run(["train", NAME, "--data", photos, "--out", trained, *A_FEW_STEPS]) == 0
    return folder


def test_a_run_and_back(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fwc, plain = tmp_path / "run.fwc", tmp_path / "run.safetensors"
    out = json.loads(
        said(capsys, "compress", here / "run", "--data", here / "photos", "--density", "*=0.3",
             "--bits", "4", "--out", fwc, *QUICK, "--json")
    )  # fmt: skip
    steps = [row["step"] for row in out["steps"]]
    assert steps == ["as it is", "pruned", "retrained", "shared", "values trained", "the file"]
    for row in out["steps"]:
        assert row["top1"]["n"] == 6
        assert row["median_s"] > 0
    last = out["steps"][-1]
    assert last["bytes"] == fwc.stat().st_size
    assert last["times_smaller"] > 5
    assert last["density"] == pytest.approx(0.3, abs=0.01)
    assert not (tmp_path / "run.fwc.work").exists()
    assert "wrote" in said(capsys, "decompress", fwc, "--out", plain)
    trained = load_trained(NAME, plain)
    assert trained.classes == ("bottom", "middle", "top")
    assert trained.preprocessing.crop == 32
    text = said(capsys, "compress", "--inspect", fwc)
    assert "layers aren't zero" in text
    inspected = json.loads(said(capsys, "compress", "--inspect", fwc, "--json"))
    assert inspected["bytes"] == last["bytes"]
    assert sum(one["after"] for one in inspected["tensors"]) < last["bytes"]
    message = said(capsys, "evaluate", NAME, "--weights", fwc, "--data", here, code=1)
    assert "is compressed: 'flyweight decompress" in message
    message = said(capsys, "compress", "squeezenet_1_1", "--weights", fwc, "--out",
                   tmp_path / "x.fwc", code=1)  # fmt: skip
    assert message.startswith(f"flyweight: {fwc}: ")
    # Here a compressed file is weights too, and is written again as it is.
    again = tmp_path / "again.fwc"
    said(capsys, "compress", NAME, "--weights", fwc, "--out", again)
    assert again.read_bytes() == fwc.read_bytes()


def test_without_images(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "compress", here / "run", "--out", tmp_path / "x.fwc", "--bits", "6",
               "--density", "classifier=0.5", "--budget", "0.5s", "--engine", "eager")  # fmt: skip
    assert "isn't faster by that alone" in out
    assert "top-1" not in out


def test_a_network_of_ones_own(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its factory: with training, without, and from a file of its own weights."""
    fwc, plain = tmp_path / "own.fwc", tmp_path / "own.safetensors"
    out = json.loads(
        said(capsys, "compress", FACTORY, "--data", here / "photos", "--input", "12", "--density",
             "0.5", "--bits", "3", "--out", fwc, *QUICK, "--json")
    )  # fmt: skip
    assert [row["bits"] for row in out["steps"]] == [32, 32, 32, 3, 3, 3]
    assert out["steps"][-1]["density"] == pytest.approx(0.5, abs=0.01)
    said(capsys, "decompress", fwc, "--out", plain)
    again = tmp_path / "again.fwc"
    said(capsys, "compress", FACTORY, "--weights", plain, "--input", "12", "--bits", "3", "--out",
         again, "--budget", "0.1s", "--engine", "eager")  # fmt: skip
    assert {name: one.tolist() for name, one in read_container(again).values().items()} == {
        name: one.tolist() for name, one in read_container(fwc).values().items()
    }


WRONG = {
    "nothing": ((), 2, "give a network and --out FILE"),
    "no out": (("run",), 2, "give a network and --out FILE"),
    "a strange name": (("run", "--out", "x.zip"), 2, "must end in .fwc or .net"),
    "no folder": (("run", "--out", "none/x.fwc"), 1, "there is no folder"),
    "bits": (("run", "--out", "x.fwc", "--bits", "9"), 2, "--bits must be 1 to 8"),
    "density": (("run", "--out", "x.fwc", "--density", "2"), 2, "more than 0 and at most 1"),
    "a layer": (("run", "--out", "x.fwc", "--density", "y=0.5"), 2, "no layer matches 'y'"),
    "an engine": (("run", "--out", "x.fwc", "--engine", "onyx"), 2, "unknown engine 'onyx'"),
    "epochs": (("run", "--out", "x.fwc", "--epochs", "-1"), 2, "--epochs must be 0 or more"),
    "val alone": (("run", "--out", "x.fwc", "--val", "photos"), 2, "--val goes with --data"),
    "images": (("run", "--out", "x.fwc", "--data", "none"), 1, "no such folder"),
    "inspecting": (("run", "--inspect", "x.fwc"), 2, "give no network"),
    "no file": (("--inspect", "none.fwc"), 1, "No such file"),
    "a network": (("shufflenet_v9", "--out", "x.fwc"), 2, "unknown model"),
    "a factory": (("tests.training.small:none", "--out", "x.fwc"), 2, "has no function 'none'"),
    "no weights": ((NAME, "--out", "x.fwc"), 2, "give --weights FILE"),
    "not SqueezeNet": (("run", "--out", "x.net", "--budget", "0.1s"), 1, "SqueezeNet 1.0 with"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage(
    here: Path, case: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    args, code, words = WRONG[case]
    monkeypatch.chdir(here)
    message = said(capsys, "compress", *args, code=code)
    assert words in message
    assert "Traceback" not in message
    assert not (here / "x.fwc").exists()


def test_other_classes(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        image_folder(tmp_path / "photos", 12, number)
    for path in (tmp_path / "photos").iterdir():
        path.rename(path.with_name(path.name + "s"))
    message = said(capsys, "compress", here / "run", "--data", tmp_path / "photos", "--out",
                   tmp_path / "x.fwc", code=2)  # fmt: skip
    assert "trained on other classes" in message


def test_decompressing_what_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.fwc").write_bytes(b"something else")
    message = said(
        capsys, "decompress", tmp_path / "x.fwc", "--out", tmp_path / "y.safetensors", code=1
    )
    assert "is no .fwc file" in message
    assert not (tmp_path / "y.safetensors").exists()


@pytest.mark.slow
def test_ctrl_c_and_on(here: Path, tmp_path: Path) -> None:
    args = [sys.executable, "-m", "flyweight", "compress", str(here / "run"), *QUICK[2:],
            "--data", str(here / "photos"), "--out", str(tmp_path / "x.fwc"), "--density",
            "*=0.5", "--epochs", "200"]  # fmt: skip
    started = subprocess.Popen(args, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    folder = tmp_path / "x.fwc.work" / "prune-1"
    for _ in range(600):
        if folder.exists():
            break
        time.sleep(0.1)
    time.sleep(1)
    started.send_signal(signal.SIGINT)
    _, message = started.communicate(timeout=120)
    assert started.returncode == 130
    assert "--resume goes on" in message
    assert list(folder.glob("checkpoint-*"))
    again = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "--resume goes on with it" in again.stderr
