"""From photographs to a trained network, its evaluation and a C file, as a stranger types it."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from flyweight.cli import training_card
from flyweight.cli.app import run
from flyweight.cli.output import Bar
from flyweight.training.folder import read_about
from flyweight.zoo.weights import load_pretrained
from tests.cli.typed import A_FEW_STEPS, NAME, STEPS, said
from tests.training.small import CLASSES, image_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs in a folder for each class, and a run of a few steps on them."""
    folder = tmp_path_factory.mktemp("here")
    image_folder(folder / "photos", 48)
    shown: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_card, "SPEED_S", 0.2)
        patch.setattr(Bar, "show", lambda bar, text, share: shown.append(f"{share:.2f} {text}"))
        code = run(["train", NAME, "--data", str(folder / "photos"), "--out", str(folder / "run"),
                    *A_FEW_STEPS, "--recipe", "shufflenet_v2"])  # fmt: skip
    assert code == 0
    (folder / "shown.txt").write_text("\n".join(shown))
    return folder


def test_the_progress_says_what_is_to_be_watched(here: Path) -> None:
    """The bar adds the time that remains, from the share that is done."""
    steps = [line for line in (here / "shown.txt").read_text().split("\n") if ", step " in line]
    number = r"[0-9.]+"
    for step, line in enumerate(steps, 1):
        assert re.fullmatch(
            rf"{step / 4:.2f} epoch {number}, step {step} of 4, {number} images/s,"
            rf" loss {number}, top-1 {number}%",
            line,
        )
    assert len(steps) == 4


def test_the_folder_of_a_run(here: Path) -> None:
    names = {path.name for path in (here / "run").iterdir()}
    assert names == {
        *("run.json", "weights.safetensors", "history.csv", "README.md", "curves.png"),
        "checkpoint-000000004.ckpt",
    }
    card = (here / "run" / "README.md").read_text()
    for words in ("ShuffleNet V1, Section 4", "of 6 images of the validation", "M multiply-adds",
                  "bottom, middle, top", "ms on onnxruntime"):  # fmt: skip
        assert words in card
    with Image.open(here / "run" / "curves.png") as picture:
        assert picture.width > 1000


def test_weights_know_their_form_and_classes(here: Path) -> None:
    pretrained = load_pretrained(NAME, here / "run" / "weights.safetensors")
    assert pretrained.model.options["stem_stride"] == 2
    assert pretrained.loaded.classes == CLASSES
    assert pretrained.loaded.preprocessing.crop == 32


@pytest.mark.slow
def test_a_run_is_evaluated_as_its_history_says(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    about = json.loads((here / "run" / "run.json").read_text())
    image_folder(tmp_path / "train", 30)
    image_folder(tmp_path / "val", 12, 1)
    out = tmp_path / "run"
    said(capsys, "train", NAME, "--data", tmp_path, "--out", out, *A_FEW_STEPS)
    history = (out / "history.csv").read_text().splitlines()
    top1 = float(history[-1].split(",")[history[0].split(",").index("val_top1")])
    found = json.loads(said(capsys, "evaluate", out, "--data", tmp_path / "val", "--json"))
    assert (found["n"], found["top1"]["accuracy"]) == (12, top1)
    assert found["model"] == str(out)
    assert about["classes"] == list(CLASSES)


def test_a_run_classifies(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = next((here / "photos" / "top").iterdir())
    found = json.loads(said(capsys, "classify", photo, "--model", here / "run", "--json"))
    (image,) = found["images"]
    assert sorted(one["name"] for one in image["top"]) == sorted(CLASSES)
    assert sum(one["probability"] for one in image["top"]) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_from_photographs_to_c(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = here / "c"
    said(capsys, "export", here / "run", "--format", "c", "--pixels", "uint8", "--out", out)
    assert (out / "classes.txt").read_text() == "bottom\nmiddle\ntop\n"
    assert list(out.glob("*.c"))


@pytest.mark.slow
def test_fine_tuning_begins_with_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_folder(here / "fewer", 24)
    shutil.rmtree(here / "fewer" / "top")
    out = here / "tuned"
    error = said(
        capsys, "train", NAME, "--data", here / "fewer", "--out", out, *STEPS,
        "--weights", here / "run", "--teacher", here / "run", code=2,
    )  # fmt: skip
    assert "knows 3 classes, which aren't those of the images" in error
    text = said(capsys, "train", NAME, "--data", here / "fewer", "--out", out, *STEPS,
                "--weights", here / "run")  # fmt: skip
    assert "top-1" in text
    about = json.loads((out / "run.json").read_text())
    assert (about["classes"], about["settings"]["recipe"]["name"]) == (
        ["bottom", "middle"],
        "finetune",
    )
    pretrained = load_pretrained(NAME, out / "weights.safetensors")
    assert pretrained.model.options["stem_stride"] == 2


@pytest.mark.slow
def test_a_run_teaches(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = here / "taught"
    said(capsys, "train", "mobilenet_v1_x0_25", "--data", here / "photos", "--out", out,
         "--input", "32", "--batch", "16", "--steps", "2", "--threads", "1", "--device", "cpu",
         "--teacher", here / "run", "--average", "0.9")  # fmt: skip
    assert str(here / "run") in (out / "README.md").read_text()


WRONG = (
    (["--recipe", "shufflenet"], "unknown recipe 'shufflenet'; did you mean shufflenet_v2"),
    (["--schedule", "falling"], "unknown schedule 'falling'"),
    (["--steps", "2", "--epochs", "2"], "give the length in epochs or in steps, not in both"),
    (["--option", "stem_stride"], "write KEY=VALUE"),
    (["--option", "stem_stride=3"], "must be 1, 2 or 4, not 3"),
    (["--accumulate", "3"], "a batch of 16 can't be divided among 1 processes with 3 pieces"),
    (["--skip-limit", "-1"], "--skip-limit must be 0 or more, not -1"),
    (["--teacher-weights", "x"], "--teacher-weights needs --teacher"),
    (["--teacher", NAME], f"--teacher {NAME} knows nothing without --teacher-weights"),
    (["--teacher", "runs/nowhere"], "no training run in runs/nowhere: it has no run.json"),
    (["--seed", "-1"], "the seed must be 0 or more, not -1"),
    (["--device", "tpu"], "no device 'tpu'"),
    (["--lr", "0"], "--lr must be more than 0"),
    (["--sync-norm"], "on GPUs alone: leave --sync-norm out"),
    (["--data", "/nowhere"], "can't read images from /nowhere: no such folder"),
)


@pytest.mark.parametrize(("args", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_wrong_usage(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    steps = [] if "--epochs" in args else ["--steps", "2"]
    code = run(["train", NAME, "--data", str(here / "photos"), "--out", str(tmp_path / "run"),
                "--batch", "16", "--input", "32", "--device", "cpu", *steps, *args])  # fmt: skip
    error = capsys.readouterr().err
    assert code in (1, 2)
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("train", NAME, "--data", here / "photos", "--out", here / "run", *A_FEW_STEPS)
    assert "holds a run: --resume continues it" in said(capsys, *args, code=2)
    error = said(capsys, *args, "--resume", "--seed", "3", code=2)
    assert "settings.seed (0 there, 3 here)" in error


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint(here: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "flyweight.train", NAME, "--data", str(here / "photos"),
               "--out", str(out), *A_FEW_STEPS[:-6], "--threads", "1", "--device", "cpu",
               "--steps", "100000", "--checkpoint", "1ms"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not list(out.glob("checkpoint-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "--resume goes on with it" in error
    assert "Traceback" not in error


def test_no_run_and_no_weights(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    error = said(capsys, "evaluate", NAME, "--data", here / "photos", code=2)
    assert "give --weights FILE, or the folder of a training run" in error


@pytest.mark.slow
def test_tensorboard(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboard")
    said(capsys, "train", NAME, "--data", here / "photos", "--out", tmp_path / "run", *A_FEW_STEPS,
         "--tensorboard")  # fmt: skip
    assert list((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.slow
def test_condensenet_is_condensed_when_it_is_trained(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is kept is the network of the form "test", with the accuracy of the history."""
    image_folder(tmp_path / "train", 24)
    image_folder(tmp_path / "val", 6, 1)
    out, name = tmp_path / "run", "condensenet_74_g8"
    said(capsys, "train", name, "--data", tmp_path, "--out", out, "--recipe", "condensenet",
         "--option", "form=train", "--input", "32", "--batch", "8", "--steps", "3",
         "--threads", "1", "--device", "cpu")  # fmt: skip
    model = load_pretrained(name, out / "weights.safetensors").model
    assert model.form == "test"
    history = (out / "history.csv").read_text().splitlines()
    top1 = float(history[-1].split(",")[history[0].split(",").index("val_top1")])
    found = json.loads(said(capsys, "evaluate", out, "--data", tmp_path / "val", "--json"))
    assert found["top1"]["accuracy"] == top1


@pytest.mark.slow
def test_a_network_of_ones_own(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained, evaluated, classified with, exported and learned from like one of the zoo."""
    monkeypatch.chdir(ROOT)
    image_folder(tmp_path / "train", 48)
    image_folder(tmp_path / "val", 12, 1)
    out = tmp_path / "run"
    said(capsys, "train", "tests.training.small:Small", "--data", tmp_path, "--out", out,
         "--input", "12", "--batch", "16", "--lr", "0.1", "--epochs", "20", "--smallest", "0.8",
         "--device", "cpu", "--threads", "1", "--centre", "1")  # fmt: skip
    found = json.loads(said(capsys, "evaluate", out, "--data", tmp_path / "val", "--json"))
    assert found["top1"]["accuracy"] == 1
    photo = tmp_path / "val" / "bottom" / "000.png"
    (image,) = json.loads(said(capsys, "classify", photo, "--model", out, "--json"))["images"]
    assert {one["name"] for one in image["top"]} == set(CLASSES)
    file = tmp_path / "small.onnx"
    exported = json.loads(said(capsys, "export", out, "--out", file, "--json"))
    assert exported["metadata"]["preprocessing"]["crop"] == 12
    assert list(read_about(out).classes) == list(CLASSES)
    taught = tmp_path / "taught"
    said(capsys, "train", "tests.training.small:Small", "--data", tmp_path, "--out", taught,
         "--input", "12", "--batch", "16", "--steps", "2", "--device", "cpu", "--threads", "1",
         "--teacher", "tests.training.small:Small", "--teacher-weights",
         out / "weights.safetensors")  # fmt: skip
    assert read_about(taught).teacher == "tests.training.small:Small"
