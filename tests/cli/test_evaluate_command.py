"""`flyweight evaluate` as a stranger types it: what it prints, its exit codes, and wrong input."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from flyweight.cli.app import run
from flyweight.zoo import create_model
from flyweight.zoo.preprocessing import Preprocessing
from flyweight.zoo.weights import save_weights

NAME = "mobilenet_v1_x0_25"


def constant(folder: Path, file: str, bias: list[float]) -> None:
    """Weights that give every image the same scores."""
    model = create_model(NAME, num_classes=len(bias))
    model.classifier.weight.data.zero_()
    model.classifier.bias.data.copy_(torch.tensor(bias))
    save_weights(model, folder / file, Preprocessing(crop=32, resize=36))


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 32), (200, 30, 90)).save(path)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that always say "7, 6, 5, 4, 3", and eight images: three show 7, two 4, three 0."""
    folder = tmp_path_factory.mktemp("here")
    constant(folder, "w.safetensors", [0, 0, 0, 1, 2, 3, 4, 5])
    constant(folder, "imagenet.safetensors", [float(-number) for number in range(1000)])
    constant(folder, "three.safetensors", [0, 1, 2])
    grey = create_model(NAME, num_classes=8, in_channels=1)
    save_weights(grey, folder / "grey.safetensors")
    for label, count in ((7, 3), (4, 2), (0, 3)):
        for number in range(count):
            image(folder / "data" / str(label) / f"{number}.png")
    for synset in ("n01440764", "n01443537", "n15075141"):
        image(folder / "synsets" / f"{synset}_1.png")
    for name in ("cat", "dog"):
        image(folder / "named" / name / "1.png")
    (folder / "empty").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad" / "a.png").write_text("no image")
    (folder / "bad.txt").write_text("a.png 0\nmissing.png 1\n")
    (folder / "far.txt").write_text("0/0.png 0\n0/1.png 8\n")
    (folder / "twice.txt").write_text("0/0.png 0\n0/0.png 0\n")
    (folder / "out.txt").write_text("../w.safetensors 0\n")
    image(folder / "corrupt" / "7" / "good.png")
    for number in range(7):
        (folder / "corrupt" / "7" / f"bad{number}.png").write_text("no image")
    return folder


def test_what_is_printed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(here)
    command = ["evaluate", NAME, "--weights", "w.safetensors", "--data", "data"]
    assert run([*command, "--per-class", "--csv", str(tmp_path / "c.csv"), "--threads", "1"]) == 0
    said = capsys.readouterr()
    assert said.err == "labels: the folders' names are the classes' numbers\n"
    lines = said.out.splitlines()
    assert lines[0] == f"{NAME} on 8 images of data, cropped to 32 x 32 pixels"
    # Wilson's intervals of 3 and of 5 of 8.
    assert lines[1] == "top-1: 37.5% (3 of 8 right, 95% interval 13.7% to 69.4%)"
    assert lines[2] == "top-5: 62.5% (5 of 8 right, 95% interval 30.6% to 86.3%)"
    assert "images/s: " in lines[3]
    assert "wall time, with reading and decoding" in lines[3]
    assert "Published" not in said.out
    assert [line.split() for line in lines[-3:]] == [
        ["0", "0", "3", "0", "0"], ["4", "4", "2", "0", "2"], ["7", "7", "3", "3", "3"],
    ]  # fmt: skip
    assert (tmp_path / "c.csv").read_text() == (
        "class,name,images,top1_right,top5_right\n0,0,3,0,0\n4,4,2,0,2\n7,7,3,3,3\n"
    )


def test_json(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    command = ["evaluate", NAME, "--data", "synsets", "--json", "--weights"]
    assert run([*command, "imagenet.safetensors", "--input", "128", "--per-class"]) == 0
    answer = json.loads(capsys.readouterr().out)
    # The classes 0, 1 and 999 of a classifier that says 0, 1, 2, 3, 4.
    assert (answer["n"], answer["top1"]["correct"], answer["top5"]["correct"]) == (3, 1, 2)
    assert answer["top1"]["interval_95"] == pytest.approx([0.0615, 0.7923], abs=1e-4)
    assert [one["name"] for one in answer["per_class"]] == ["tench", "goldfish", "toilet tissue"]
    assert (answer["preprocessing"]["crop"], answer["resize"]) == (128, "crop")
    assert answer["images_per_s"] == pytest.approx(3 / answer["seconds"])
    assert answer["skipped"] == []
    assert run([*command, "imagenet.safetensors", "--input", "224", "--limit", "2"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["n"], answer["published"]["top1_error"]) == (2, 49.4)
    assert "per_class" not in answer


def test_few_classes_have_no_top5(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(here)
    (tmp_path / "l.txt").write_text("cat/1.png 2\ndog/1.png, 0\n")
    command = ["evaluate", NAME, "--weights", "three.safetensors", "--data", "named"]
    assert run([*command, "--labels", str(tmp_path / "l.txt"), "--per-class"]) == 0
    said = capsys.readouterr()
    assert "top-1: 50.0% (1 of 2 right" in said.out
    assert "top-5" not in said.out
    assert "class 2" in said.out


def test_published_figures_are_shown_with_a_remark(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    command = ["evaluate", NAME, "--weights", "imagenet.safetensors", "--data", "synsets"]
    assert run([*command, "--input", "224"]) == 0
    said = capsys.readouterr().out
    assert "Published: top-1 50.6% (ShuffleNet V2" in said
    assert "Other images give other figures." in said


def test_images_that_cannot_be_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    command = ["evaluate", NAME, "--weights", "w.safetensors", "--data", "corrupt"]
    assert run(command) == 1
    said = capsys.readouterr()
    assert "top-1: 100.0% (1 of 1 right" in said.out
    assert said.err.count("skipped: corrupt/7/bad") == 5
    assert "skipped: 2 more" in said.err
    assert "7 of 8 images could not be read, and are not counted" in said.err
    assert run([*command, "--json"]) == 1
    skipped = json.loads(capsys.readouterr().out)["skipped"]
    assert [one["name"] for one in skipped] == [f"7/bad{number}.png" for number in range(7)]


WITH = ["--weights", "w.safetensors"]
WRONG = {
    "no weights": (["--data", "data"], 2, "--weights"),
    "no data": (WITH, 2, "--data"),
    "weights that aren't there": (
        ["--weights", "none.pth", "--data", "data"], 1, "no such file: none.pth",
    ),
    "weights of grey images": (
        ["--weights", "grey.safetensors", "--data", "data"], 2, "doesn't run on colour images",
    ),
    "no such folder": ([*WITH, "--data", "none"], 1, "images from none: no such folder"),
    "empty folder": ([*WITH, "--data", "empty"], 1, "no images in empty"),
    "folders of no class": ([*WITH, "--data", "named"], 2, "which class is the folder 'cat'?"),
    "files of no class": ([*WITH, "--data", "synsets"], 2, "Give --labels FILE"),
    "no such labels": (
        [*WITH, "--data", "data", "--labels", "no.txt"], 1, "can't read labels from no.txt",
    ),
    "a label too high": (
        [*WITH, "--data", "data", "--labels", "far.txt"], 2, "far.txt, line 2: no class 8",
    ),
    "an image twice": (
        [*WITH, "--data", "data", "--labels", "twice.txt"], 2, "0/0.png was in line 1 before",
    ),
    "an image outside": (
        [*WITH, "--data", "data", "--labels", "out.txt"], 2, "'../w.safetensors' is not within",
    ),
    "no image that can be read": (
        [*WITH, "--data", "bad", "--labels", "bad.txt"], 1, "none of 2 images could be read",
    ),
    "zero batch": ([*WITH, "--data", "data", "--batch", "0"], 2, "--batch must be 1 or more"),
    "zero threads": ([*WITH, "--data", "data", "--threads", "0"], 2, "--threads must be 1"),
    "zero input": ([*WITH, "--data", "data", "--input", "0"], 2, "--input must be 1 or more"),
    "limit of none": ([*WITH, "--data", "data", "--limit", "0"], 2, "--limit must be 1 or more"),
    "unknown squares": ([*WITH, "--data", "data", "--resize", "big"], 2, "'big' is not one of"),
    "images of another size": (
        [*WITH, "--data", "data", "--resize", "none"], 2, "is 40 x 32 pixels, and the network's",
    ),
    "a state that is something else": (
        [*WITH, "--data", "data", "--resume", "bad.txt"], 2, "bad.txt is there, and holds no",
    ),
    "nowhere to keep the state": (
        [*WITH, "--data", "data", "--resume", "no/s.jsonl"], 1, "there is no folder no",
    ),
    "nowhere to write": ([*WITH, "--data", "data", "--csv", "data"], 1, "it is a folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_clear_line(
    here: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args, code, words = WRONG[case]
    monkeypatch.chdir(here)
    assert run(["evaluate", NAME, *args]) == code
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith("labels")]
    assert words in said.err
    assert len(lines) == 1, said.err
    assert said.out == ""


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "-h"]) == 0
    assert "Example: flyweight evaluate " in capsys.readouterr().out


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(here: Path, tmp_path: Path) -> None:
    """Interrupted in a process of its own, then continued to the end in another sitting."""
    many = tmp_path / "many"
    image(many / "7" / "0000.png")
    for number in range(1, 1000):
        (many / "7" / f"{number:04}.png").hardlink_to(many / "7" / "0000.png")
    state = tmp_path / "state.jsonl"
    args = ["evaluate", NAME, "--weights", str(here / "w.safetensors"), "--data", str(many),
            "--batch", "1", "--threads", "1", "--resume", str(state)]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "flyweight", *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if state.exists() and len(state.read_bytes().splitlines()) > 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert f"interrupted; the same command continues it, with what is kept in {state}" in err
    kept = state.read_bytes()
    done = len(kept.splitlines()) - 1
    assert 3 <= done < 1000
    args[args.index("--batch") + 1] = "64"
    assert run(args) == 0
    assert state.read_bytes().startswith(kept)
    lines = state.read_text().splitlines()[1:]
    names = [entry["name"] for line in lines for entry in json.loads(line)["images"]]
    assert names == [f"7/{number:04}.png" for number in range(1000)]
