"""`flyweight weights`, as it is typed."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from flyweight.cli.app import run
from flyweight.zoo import create_model
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing
from flyweight.zoo.weights import load_pretrained, public, save_weights
from flyweight.zoo.weights.fetching import MIRROR
from flyweight.zoo.weights.public import PublicWeights
from tests.zoo import reference_layouts as reference

MODEL = "mobilenet_v2_x0_35"
AT_232 = dataclasses.replace(IMAGENET, resize=232)
Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file in torchvision's layout, and what isn't one."""
    folder = tmp_path_factory.mktemp("mirror")
    names = reference.Names(0)
    reference.torchvision_mobilenet_v2(names, torch.zeros(1, 3, 64, 64), width=0.35)
    torch.save(dict(names), folder / "small.pth")
    whole = (folder / "small.pth").read_bytes()
    (folder / "short.pth").write_bytes(whole[: len(whole) // 2])
    save_file({"a.weight": torch.zeros(3)}, folder / "other.safetensors")
    backbone = {key: value for key, value in names.items() if "features.18" not in key}
    save_file(backbone, folder / "backbone.safetensors")
    return folder


@pytest.fixture
def entry(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublicWeights:
    """The only published weights, and a cache and a folder of this test alone."""
    content = (mirror / "small.pth").read_bytes()
    digest, mib = hashlib.sha256(content).hexdigest(), round(len(content) / 2**20, 3)
    row = PublicWeights(
        name=f"{MODEL}.somebody", model=MODEL, url="https://far.invalid/weights/small.pth",
        sha256=digest[:8], size_mib=mib, layout="torchvision MobileNet V2", licence="MIT",
        top1_error=39.7, top5_error=17.1, source="https://far.invalid", preprocessing=AT_232,
    )  # fmt: skip
    by_hand = dataclasses.replace(row, name="vgg_16.by_hand", model="vgg_16", url="", sha256="")
    monkeypatch.setattr(public, "PUBLIC", (row, by_hand))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.chdir(tmp_path)
    return row


def test_list(entry: PublicWeights, mirror: Path, capsys: Said) -> None:
    assert run(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [entry.name, MODEL, "39.7", f"{entry.size_mib:g}", "MIT"]
    assert lines[2].endswith("get it by hand")
    assert run(["weights", "fetch", entry.name, "--mirror", str(mirror)]) == 0
    path = capsys.readouterr().out.strip()
    assert run(["weights", "list", "mobilenet*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("cached")
    assert run(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["cached"] == path
    assert rows[0]["url"] == entry.url
    assert rows[0]["preprocessing"]["resize"] == 232
    assert rows[1]["cached"] is None


def test_fetch_prints_the_path_and_nothing_else_on_stdout(
    entry: PublicWeights, mirror: Path, tmp_path: Path, capsys: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(MIRROR, str(mirror))
    for word in ("downloaded", "already there"):
        assert run(["weights", "fetch", MODEL]) == 0
        said = capsys.readouterr()
        assert said.out == f"{tmp_path}/cache/flyweight/weights/small.pth\n"
        assert said.err == f"{entry.name}: {word}, checksum as published\n"
    assert run(["weights", "fetch", entry.name, "--to", "here"]) == 0
    assert capsys.readouterr().out == "here/small.pth\n"
    assert Path("here/small.pth").read_bytes() == (mirror / "small.pth").read_bytes()


def test_what_is_fetched_converts_with_its_own_preprocessing(
    entry: PublicWeights, mirror: Path, capsys: Said
) -> None:
    assert run(["weights", "fetch", entry.name, "--to", ".", "--mirror", mirror.as_uri()]) == 0
    # The content counts, not the name.
    Path("small.pth").rename("renamed.bin")
    capsys.readouterr()
    assert run(["weights", "convert", "renamed.bin", "--out", "ours.safetensors"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"layout: torchvision MobileNet V2 ({entry.name})"
    assert said[1] == f"network: create_model('{MODEL}')"
    assert said[2].startswith(
        "preprocessing: shorter side 232, bilinear, crop 224; RGB from 0 to 1"
    )
    assert said[3] == "wrote ours.safetensors, which gives the same logits, bit for bit"
    ours, theirs = load_pretrained(MODEL, "ours.safetensors"), load_pretrained(MODEL, "renamed.bin")
    assert ours.loaded.layout == "flyweight"
    assert ours.loaded.preprocessing == AT_232
    assert theirs.loaded.preprocessing == AT_232
    image = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        assert torch.equal(ours.model(image), theirs.model(image))


def test_convert_keeps_the_form_of_our_own_files(
    entry: PublicWeights, tmp_path: Path, capsys: Said
) -> None:
    bgr = Preprocessing(colour="BGR", scale=255.0)
    model = create_model(MODEL, 7, 1, activation="relu", padding="symmetric")
    save_weights(model, "mine.safetensors", bgr)
    assert (
        run(["weights", "convert", "mine.safetensors", "--out", "again.safetensors", "--json"]) == 0
    )
    answer = json.loads(capsys.readouterr().out)
    with safe_open("again.safetensors", framework="pt") as file:
        saved = json.loads(file.metadata()["flyweight"])
    assert (answer["model"], answer["public"], answer["layout"]) == (MODEL, None, "flyweight")
    assert answer["options"] == saved["options"] != {}
    assert answer["preprocessing"] == saved["preprocessing"]
    assert saved["preprocessing"]["colour"] == "BGR"
    assert load_pretrained(MODEL, "again.safetensors").model.classifier.weight.shape[0] == 7


WRONG = {
    "unknown weights": (
        ["fetch", f"{MODEL}.sombody"], 2, f"did you mean {MODEL}.somebody? 'flyweight weights list'"
    ),
    "no match": (["list", "resnet*"], 2, "no weights match 'resnet*'"),
    "by hand": (["fetch", "vgg_16"], 1, "get it by hand from https://far.invalid"),
    "a mirror without the file": (["fetch", MODEL, "--mirror", "."], 1, "No such file"),
    "a mirror of another kind": (["fetch", MODEL, "--mirror", "ftp://x"], 2, "mirror 'ftp://x'"),
    "no file": (["convert", "none.pth", "--out", "o"], 1, "no such file: none.pth"),
    "no folder": (["convert", "{}/small.pth", "--out", "no/o"], 1, "there is no folder no"),
    "cut short": (["convert", "{}/short.pth", "--out", "o"], 1, "damaged, cut short"),
    "another layout": (["convert", "{}/other.safetensors", "--out", "o"], 1, "fit no layout"),
    "half a network": (
        ["convert", "{}/backbone.safetensors", "--out", "o"], 1, "say which it is for, with --model"
    ),
    "half a network with its name": (
        ["convert", "{}/backbone.safetensors", "--model", MODEL, "--out", "o"], 1, "lacks"
    ),
    "another network": (
        ["convert", "{}/small.pth", "--model", "mobilenet_v2_x1_0", "--out", "o"], 1,
        "these look like mobilenet_v2_x0_35",
    ),
    "unknown network": (
        ["convert", "{}/small.pth", "--model", "mobilnet_v2_x0_35", "--out", "o"], 2,
        "did you mean mobilenet_v2_x0_35?",
    ),
    "no out": (["convert", "{}/small.pth"], 2, "--out"),
    "unknown command": (["get"], 2, "get"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_clear_line(
    entry: PublicWeights, mirror: Path, case: str, capsys: Said
) -> None:
    args, code, words = WRONG[case]
    assert run(["weights", *(arg.format(mirror) for arg in args)]) == code
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert said.out == ""
    assert not Path("o").exists()


@pytest.mark.parametrize("command", [[], ["list"], ["fetch"], ["convert"]])
def test_help_has_an_example(command: list[str], capsys: Said) -> None:
    assert run(["weights", *command, "-h"]) == 0
    assert "Example: flyweight weights " in capsys.readouterr().out


def test_the_group_alone_shows_its_help(capsys: Said) -> None:
    assert run(["weights"]) == 0
    assert capsys.readouterr().out.startswith("Usage: flyweight weights")
