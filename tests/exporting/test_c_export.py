"""`export --format c`: a folder that builds, calls and classifies, described and checked."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import flyweight
from flyweight import create_model, export
from flyweight.cli.app import run
from flyweight.errors import FlyweightError, UsageError
from flyweight.exporting import TOLERANCE, c_folder
from flyweight.exporting.formats import Run, UncheckedError
from flyweight.native.building import has_compiler
from flyweight.nn import channel_shuffle
from flyweight.zoo.preprocessing import Preprocessing, open_image, prepare
from flyweight.zoo.weights import class_names
from tests.data_dir import DATA, needs_data

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler")
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="not installed: cmake")

THEIRS = Preprocessing(
    crop=32, resize=37, colour="BGR", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25),
    interpolation="bicubic",
)  # fmt: skip
SIZE = (1, 3, 32, 32)

Array = NDArray[np.float32]


class TinyNet(nn.Module):
    """Padding, a shuffle, a split, a concatenation, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.classifier = nn.Linear(8, 7)

    def forward(self, x: Tensor) -> Tensor:
        kept, worked = channel_shuffle(torch.relu(self.stem(x)), 2).chunk(2, 1)
        return self.classifier(torch.cat((kept, self.branch(worked)), 1).mean((2, 3)))


def scores_of(model: nn.Module, x: Array) -> Array:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x)).numpy()


def example_of(folder: Path, where: Path) -> Path:
    """The example, compiled as the folder's README says it."""
    (command,) = re.findall(r"^cc .*", (folder / "README.md").read_text(), re.MULTILINE)
    words = command.split()[1:]
    words[words.index("-o") + 1] = str(where / "example")
    compiler = os.environ.get("CC", "cc").split()
    done = subprocess.run(
        [*compiler, *words, "-Wall", "-Wextra", "-Werror"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]
    return where / "example"


def says(program: Path, folder: Path, *words: object) -> str:
    done = subprocess.run(
        [program, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def best(said: str) -> list[tuple[float, str]]:
    """The lines of classes that the example prints."""
    return [(float(score), name) for score, name in re.findall(r"^ *(-?[\d.]+)  (.+)$", said, re.M)]


# ---- what is there


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that takes bytes; nobody writes into it."""
    if not has_compiler():
        pytest.skip("no C compiler")
    out = tmp_path_factory.mktemp("exported") / "small"
    export(TinyNet(), out, "c", SIZE, preprocessing=THEIRS, pixels="uint8", cpu="portable")
    return out


def test_files_and_what_they_say(folder: Path) -> None:
    about = json.loads((folder / "metadata.json").read_text())
    named = {"tinynet.h", "tinynet.c", "tinynet.bin"}
    rest = {"CMakeLists.txt", "embed.cmake", "example.c", "README.md", "metadata.json"}
    assert {path.name for path in folder.iterdir()} == set(about["files"]) == named | rest
    assert list(folder.parent.iterdir()) == [folder]
    assert about["network"] == "TinyNet"
    assert about["name"] == "tinynet"
    assert about["cpu"] == {"instructions": "portable", "flags": [], "native": False}
    image = {"name": "images", "shape": ["batch", 32, 32, 3], "layout": "NHWC", "dtype": "uint8"}
    assert about["input"] == image
    assert about["preprocessing"]["colour"] == "BGR"
    assert about["weights"] == "as the module had them"
    assert about["flyweight"] == flyweight.__version__
    assert not {"date", "class_names", "opset"} & set(about)
    readme = (folder / "README.md").read_text()
    for said in ("32 x 32 x 3 bytes", "Apache License", "as the module had them", "portable",
                 "| outputs | 7 floats |", "Give RGB bytes"):  # fmt: skip
        assert said in readme
    for path in folder.iterdir():
        assert not re.search(rb"@\w+@", path.read_bytes()), path  # every gap is filled


@needs_compiler
def test_said_of_an_export(tmp_path: Path) -> None:
    result = export(TinyNet(), tmp_path / "a", "c", SIZE, layout="NHWC")
    assert result.check is not None
    assert 0 <= result.check.random_error < 1e-5
    assert set(result.files) == set((tmp_path / "a").iterdir())
    assert result.bytes == sum(file.stat().st_size for file in result.files)
    assert json.loads((tmp_path / "a" / "metadata.json").read_text()) == result.metadata
    assert f"wrote {tmp_path / 'a'}, 8 files" in str(result)
    assert "any number of images of 32 x 32 x 3 (float32 NHWC)" in str(result)
    assert "read back and compared with eager" in str(result)
    as_json = json.loads(json.dumps(result.to_json()))
    assert as_json["check"]["tolerance"] == TOLERANCE
    assert as_json["unchecked"] is None


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read back, as without a compiler: that takes most of the time."""

    def load(path: Path) -> Run:
        raise UncheckedError("left out")

    monkeypatch.setattr(c_folder, "load", load)


@pytest.mark.slow
@pytest.mark.usefixtures("unread")
def test_the_same_network_gives_the_same_files(tmp_path: Path) -> None:
    torch.manual_seed(5)
    (tmp_path / "elsewhere").mkdir()
    export("squeezenet_1_1", tmp_path / "a", "c", (1, 3, 64, 64), cpu="avx2", pixels="uint8")
    subprocess.run(
        [sys.executable, "-m", "flyweight", "export", "squeezenet_1_1", "--format", "c",
         "--input", "64", "--cpu", "avx2", "--pixels", "uint8", "--out", "longer_name"],
        cwd=tmp_path / "elsewhere", check=True, capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "77", "CC": "no_such_compiler"},
    )  # fmt: skip
    first, second = tmp_path / "a", tmp_path / "elsewhere" / "longer_name"
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert "classes.txt" in names
    for name in names:
        content = (first / name).read_bytes()
        assert content == (second / name).read_bytes(), name
        for path in (str(tmp_path), "site-packages", str(Path.home())):
            assert path.encode() not in content or path == "/", name
    assert (first / "classes.txt").read_text().splitlines() == list(class_names())


# ---- what it computes


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("cpu", ["native", "avx2", "neon", "portable", "avx512"])
def test_every_cpu_compiles_everywhere(cpu: str, tmp_path: Path) -> None:
    result = export(TinyNet(), tmp_path / "a", "c", SIZE, cpu=cpu)
    assert result.check is not None
    assert result.check.random_error < 1e-5
    assert result.metadata["cpu"]["native"] is (cpu == "native")
    if cpu != "native":
        assert result.metadata["cpu"]["instructions"] == cpu


def test_the_example_classifies(folder: Path, tmp_path: Path) -> None:
    program = example_of(folder, tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    pixels.tofile(tmp_path / "image.raw")
    x = (pixels[:, :, ::-1].astype(np.float64) / 255 - THEIRS.mean) / THEIRS.std
    scores = scores_of(TinyNet(), x.transpose(2, 0, 1)[None].astype(np.float32))[0]
    order = np.argsort(-scores)[:5]
    names = [f"class {i}" for i in range(7)]
    found = best(says(program, folder, tmp_path / "image.raw"))
    assert [name for _, name in found] == [names[i] for i in order]
    np.testing.assert_allclose([score for score, _ in found], scores[order], atol=2e-4)
    classes = tmp_path / "names.txt"
    classes.write_text("".join(f"name {i}\n" for i in range(5)))  # two names are missing
    said = says(program, folder, "-c", classes, "-t", 2, "-n", 3, tmp_path / "image.raw")
    for (_, name), i in zip(best(said), order, strict=True):
        assert name == (f"name {i}" if i < 5 else f"class {i}")
    assert re.search(r"^[\d.]+ ms \(median of 3\), at best [\d.]+ ms$", said, re.MULTILINE)
    assert "MB of weights" in said


def test_the_example_says_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    program = example_of(folder, tmp_path)
    (tmp_path / "image.raw").write_bytes(bytes(32 * 32 * 3))
    (tmp_path / "short.raw").write_bytes(bytes(32 * 32 * 3 - 1))
    (tmp_path / "long.raw").write_bytes(bytes(32 * 32 * 3 + 1))
    (tmp_path / "damaged.bin").write_bytes((folder / "tinynet.bin").read_bytes()[:-1] + b"\x7f")
    image = tmp_path / "image.raw"
    wrong: dict[Sequence[object], tuple[int, str]] = {
        (): (2, "usage: "), ("a", "b"): (2, "usage: "), ("-n", 0, image): (2, "usage: "),
        ("-n", "x", image): (2, "usage: "), ("-t", -1, image): (2, "usage: "),
        ("-z", image): (2, "usage: "), (tmp_path / "none",): (1, "No such file"),
        (tmp_path / "short.raw",): (1, "it must have 3072 bytes: 32 x 32 x 3 bytes"),
        (tmp_path / "long.raw",): (1, "it must have 3072 bytes"),
        ("-w", tmp_path / "none", image): (1, "the file of weights can't be read"),
        ("-w", image, image): (1, "the weights are those of another network"),
        ("-w", tmp_path / "damaged.bin", image): (1, "the weights are damaged"),
    }  # fmt: skip
    for words, (code, says_) in wrong.items():
        done = subprocess.run(
            [program, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, words
        assert done.stdout == ""
        assert says_ in done.stderr


@pytest.mark.slow
@needs_cmake
@pytest.mark.parametrize("embedded", ["OFF", "ON"])
def test_cmake_builds_it(embedded: str, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    option = f"-DFLYWEIGHT_EMBED_WEIGHTS={embedded}"
    for command in (["cmake", "-B", "build", option], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stdout + done.stderr
    (copy / "image.raw").write_bytes(bytes(32 * 32 * 3))
    if embedded == "ON":
        (copy / "tinynet.bin").unlink()
    found = best(says(copy / "build" / "example", copy, "image.raw"))
    x = np.broadcast_to(-np.array(THEIRS.mean) / THEIRS.std, (1, 32, 32, 3)).transpose(0, 3, 1, 2)
    scores = scores_of(TinyNet(), x.astype(np.float32).copy())[0]
    assert [name for _, name in found] == [f"class {i}" for i in np.argsort(-scores)[:5]]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("pixels", ["float32", "uint8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_readme_prepares_images(pixels: str, layout: str, tmp_path: Path) -> None:
    if (pixels, layout) == ("uint8", "NCHW"):
        pytest.skip("bytes are NHWC")
    export(
        TinyNet(), tmp_path / "a", "c", SIZE, preprocessing=THEIRS, pixels=pixels, layout=layout,
        cpu="neon",
    )  # fmt: skip
    readme = (tmp_path / "a" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    noise = np.random.default_rng(0).integers(0, 255, (45, 61, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    code = code.replace("photo.jpg", "photo.png")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    expected = prepare(open_image(tmp_path / "photo.png"), THEIRS)
    if pixels == "uint8":
        found = np.fromfile(tmp_path / "image.raw", np.uint8).reshape(32, 32, 3)
        values = (found[:, :, ::-1] / 255 - THEIRS.mean) / THEIRS.std
    else:
        values = np.fromfile(tmp_path / "image.raw", np.float32)
        values = values.reshape((3, 32, 32) if layout == "NCHW" else (32, 32, 3))
    if layout == "NHWC":
        values = values.transpose(2, 0, 1)
    np.testing.assert_allclose(values, expected, atol=1e-5)


@needs_compiler
def test_several_outputs(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x * 2, x.mean((2, 3))

    export(Two(), tmp_path / "a", "c", (1, 3, 8, 8))
    program = example_of(tmp_path / "a", tmp_path)
    np.full((3, 8, 8), 1.5, np.float32).tofile(tmp_path / "image.raw")
    said = says(program, tmp_path / "a", tmp_path / "image.raw")
    assert "output_0: 3 x 8 x 8, from 3 to 3" in said
    assert best(said) == [(1.5, f"class {i}") for i in range(3)]


@pytest.mark.slow
@needs_compiler
@pytest.mark.usefixtures("unread")
def test_small_in_memory(tmp_path: Path) -> None:
    """A fresh process, weights and all."""
    export("shufflenet_v2_x0_5", tmp_path / "a", "c", pixels="uint8")
    program = example_of(tmp_path / "a", tmp_path)
    (tmp_path / "image.raw").write_bytes(bytes(224 * 224 * 3))
    said = says(program, tmp_path / "a", "-n", 3, tmp_path / "image.raw")
    print(said)
    assert best(said)[0][1] in class_names()
    resident = re.search(r"([\d.]+) MB resident at most", said)
    if resident is None:
        pytest.skip("no /proc here")
    assert float(resident[1]) < 16


@needs_data
@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("pixels", ["float32", "uint8"])
def test_real_weights_name_the_same_classes(pixels: str, tmp_path: Path) -> None:
    weights = DATA / "weights" / "mobilenet_v1_025_224_keras.safetensors"
    photographs = sorted((DATA / "imagenet_sample_1000_s256").glob("*.jpg"))[::60]
    result = export(
        "mobilenet_v1_x0_25", tmp_path / "a", "c", weights=weights, images=photographs,
        pixels=pixels,
    )  # fmt: skip
    assert result.check is not None
    assert result.check.same_top1 == result.check.images == len(photographs) == 17


# ---- what is refused, and what fails


def test_refusals_come_before_the_work(tmp_path: Path) -> None:
    work = "no_such_module:factory"
    (tmp_path / "file").write_text("x")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metadata.json").write_text('{"files": ["metadata.json"]}')
    out = tmp_path / "out"
    refused = [
        ((out, "c", {"cpu": "avx1024"}), UsageError, "unknown instruction set 'avx1024'"),
        ((out, "c", {"pixels": "int8"}), UsageError, "unknown kind of pixels 'int8'; did you"),
        ((out, "c", {"layout": "nchw"}), UsageError, "unknown layout 'nchw'"),
        ((out, "c", {"pixels": "uint8", "layout": "NCHW"}), UsageError, "uint8 images are NHWC"),
        ((tmp_path / "a.onnx", None, {"cpu": "avx2"}), UsageError, "format onnx has float32"),
        ((tmp_path / "a.pt2", None, {"pixels": "uint8"}), UsageError, "are for format c"),
        ((tmp_path / "a.onnx", "c", {"cpu": "avx2"}), UsageError, r"\(--out .*/a\)"),
        ((out, None, {}), UsageError, "--format c writes a folder"),
        ((tmp_path / "theirs", "c", {"cpu": "avx2"}), UsageError, "no export made it"),
        ((tmp_path / "theirs", "c", {"cpu": "avx2", "force": True}), UsageError, "no export made"),
        ((tmp_path / "other", "c", {"cpu": "avx2", "force": True}), UsageError, "no export made"),
        ((tmp_path / "file", "c", {"cpu": "avx2"}), FlyweightError, "it is no folder"),
        ((tmp_path / "none" / "out", "c", {"cpu": "avx2"}), FlyweightError, "there is no folder"),
        ((out, "c", {"cpu": "avx2"}), UsageError, "doesn't import"),
    ]  # fmt: skip
    for (path, name, options), kind, message in refused:
        with pytest.raises(kind, match=message):
            export(work, path, name, **options)
    assert not out.exists()
    assert (tmp_path / "theirs" / "thesis.tex").read_text() == "x"


def test_bytes_need_a_preprocessing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing says how bytes become the inputs of TinyNet"):
        export(TinyNet(), tmp_path / "a", "c", SIZE, cpu="avx2", pixels="uint8")
    grey = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(UsageError, match="have 3 channels, and Sequential reads 1: take float32"):
        export(
            grey, tmp_path / "a", "c", (1, 1, 8, 8), cpu="avx2", pixels="uint8",
            preprocessing=THEIRS,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_lowered_in_any_case(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lowers every network itself"):
        export(TinyNet(), tmp_path / "a", "c", SIZE, cpu="avx2", lowered=True)
    assert not list(tmp_path.iterdir())


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FlyweightError, match=r"apt install gcc.*or say it: --cpu avx512, avx2"):
        export(TinyNet(), tmp_path / "a", "c", SIZE)
    assert not list(tmp_path.iterdir())
    result = export(TinyNet(), tmp_path / "a", "c", SIZE, cpu="neon")
    assert result.check is None
    assert "NOT CHECKED: there is no C compiler here" in str(result)
    assert result.to_json()["check"] is None
    assert "no C compiler" in result.to_json()["unchecked"]
    assert (tmp_path / "a" / "tinynet.c").is_file()


@needs_compiler
def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(c_folder, "load", lambda path: lambda x: (np.zeros((len(x), 7)),))
        with pytest.raises(FlyweightError, match="the file differs from eager by"):
            export(TinyNet(), tmp_path / "a", "c", SIZE, cpu="avx2")
    with monkeypatch.context() as patched:
        patched.setenv("CC", "false")
        with pytest.raises(FlyweightError, match="false fails"):
            export(TinyNet(), tmp_path / "a", "c", SIZE, cpu="avx2")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("unread")
def test_force_replaces_what_an_export_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a"
    out.mkdir()  # an empty one is as good as none
    export("mobilenet_v1_x0_25", out, "c", SIZE, cpu="portable")
    (out / "build").mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already: --force overwrites its files"):
        export(TinyNet(), out, "c", SIZE, cpu="portable")
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with monkeypatch.context() as patched:
        patched.setattr(c_folder, "load", lambda path: lambda x: (np.zeros((len(x), 7)),))
        with pytest.raises(FlyweightError, match="differs"):
            export(TinyNet(), out, "c", SIZE, cpu="portable", force=True)
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    result = export(TinyNet(), out, "c", SIZE, cpu="portable", force=True)
    mine = {out / "build", out / "notes.txt"}
    assert set(out.iterdir()) == set(result.files) | mine  # no mobilenet, no classes.txt
    assert list(tmp_path.iterdir()) == [out]


SLOW_COMPILER = """#!/bin/sh
case "$*" in
*-shared*) touch "$STARTED"; sleep 60 ;;
*) exec cc "$@" ;;
esac
"""


@pytest.mark.slow
@needs_compiler
@pytest.mark.skipif(shutil.which("cc") is None, reason="not installed: cc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_is_killed_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "cc_slow").write_text(SLOW_COMPILER)
    (tmp_path / "cc_slow").chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "nets.py").write_text(
        "from torch import nn\ndef small():\n    return nn.Conv2d(3, 4, 3)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "flyweight", "export", "nets:small", "--format", "c",
         "--input", "32", "--cpu", "portable", "--out", "out"],
        cwd=tmp_path / "work", stderr=subprocess.PIPE, text=True,
        env={**os.environ, "CC": str(tmp_path / "cc_slow"), "STARTED": str(tmp_path / "started"),
             "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    while not (tmp_path / "started").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate()
    assert "Traceback" not in err
    assert not (tmp_path / "work" / "out").exists()
    if number != signal.SIGKILL:  # nobody can tidy up after that
        assert process.returncode == 130
        assert not list((tmp_path / "work").iterdir())


# ---- as it is typed


@pytest.mark.usefixtures("unread")
def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["export", "squeezenet_1_1", "--input", "64", "--out", "net", "--format", "c"]
    assert run([*command, "--cpu", "portable", "--pixels", "uint8"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "wrote net, 9 files" in out
    assert "planned for portable" in out
    assert "any number of images of 64 x 64 x 3 (uint8 NHWC)" in out
    assert run([*command, "--cpu", "portable", "--force", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "c"
    assert found["metadata"]["input"]["layout"] == "NCHW"
    assert "net/squeezenet_1_1.h" in found["files"]
    wrong = {
        ("--cpu", "avx"): "unknown instruction set 'avx'; did you mean avx2?",
        ("--pixels", "bytes"): "unknown kind of pixels 'bytes'",
        ("--layout", "CHWN"): "unknown layout 'CHWN'",
        ("--out", "net"): "net is there already: --force overwrites its files",
        ("--cpu",): "--cpu",
    }
    for words, message in wrong.items():
        assert run([*command[:-4], "--format", "c", "--out", "new", *words]) == 2
        assert not Path("new").exists()
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert err.count("\n") == 1


@pytest.mark.usefixtures("unread")
def test_the_network_is_not_changed(tmp_path: Path) -> None:
    model = create_model("squeezenet_1_1").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    export(model, tmp_path / "a", "c", (1, 3, 64, 64), cpu="portable")
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
