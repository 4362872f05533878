"""The native engine as it is asked for: by default, by name, lowered, without a compiler."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from flyweight import compile
from flyweight.cli.app import run
from flyweight.cli.arguments import Subject
from flyweight.cli.preparing import jobs
from flyweight.errors import UsageError
from flyweight.native.building import has_compiler
from flyweight.records import read_records

NETWORK = """
from torch import nn
def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
SMALL = "default_nets:small"
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs a C compiler")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "default_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("CC", raising=False)


def measured(*args: str) -> list[str]:
    """The runners that a command that measures had."""
    assert run([*args, "--input", "32", "--budget", "100ms", "--json", "r.jsonl"]) == 0
    return [record.runner for record in read_records(Path("r.jsonl"))]


@needs_compiler
def test_native_is_the_engine_of_bench(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measured("bench", SMALL) == [f"{SMALL}/native"]
    assert "using engine" not in capsys.readouterr().err
    (record,) = read_records(here / "r.jsonl")
    assert record.environment.engine == "native"
    assert record.environment.dtype == "float32"
    assert "compiler" in record.environment.libraries


@needs_compiler
def test_native_is_compared(here: Path) -> None:
    sides = ["native", "onnxruntime", "--model", SMALL, "--no-tune"]
    assert measured("compare", *sides) == [f"{SMALL}/native", f"{SMALL}/onnxruntime"]
    assert measured("compare", SMALL, f"{SMALL}@48", "--no-tune") == [
        f"{SMALL}/native", f"{SMALL}@48/native",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["everywhere", "CC"])
def test_without_a_compiler_bench_uses_another(
    here: Path,
    missing: str,
    no_compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if missing == "CC":
        monkeypatch.undo()
        monkeypatch.chdir(here)
        monkeypatch.setenv("CC", "no-such-compiler-anywhere")
    assert measured("bench", SMALL) == [f"{SMALL}/onnxruntime"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "using engine" in line]
    assert len(lines) == 1
    assert "using engine onnxruntime" in lines[0]
    assert "needs a C compiler: apt install gcc" in lines[0]


def test_native_without_a_compiler_is_one_line(
    here: Path, no_compiler: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", SMALL, "--engine", "native"]) == 1
    said = capsys.readouterr().err
    assert "needs a C compiler and finds none: install one (apt install gcc)" in said
    assert said.count("\n") == 1


@pytest.mark.skipif(shutil.which("false") is None, reason="needs a program that fails")
def test_a_compiler_that_fails_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "false")
    assert run(["bench", SMALL, "--engine", "native"]) == 1
    said = capsys.readouterr().err
    assert "flyweight: false fails" in said
    assert said.count("\n") == 1


@needs_compiler
def test_a_cache_that_cannot_be_written_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "file"))
    assert run(["bench", SMALL, "--engine", "native", "--input", "32"]) == 1
    said = capsys.readouterr().err
    assert "set XDG_CACHE_HOME to a folder that can be written to" in said
    assert said.count("\n") == 1


@needs_compiler
@pytest.mark.parametrize("options", [[], ["--engine", "native"]])
def test_bfloat16_is_refused(
    here: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", SMALL, "--precision", "bfloat16", *options]) == 2
    said = capsys.readouterr().err
    assert "the native engine computes in float32: leave bfloat16 out" in said
    assert said.count("\n") == 1


IMAGE = (3, 32, 32)
BOTH = (False, True)


def keys(subject: Subject, engines: list[str], forms: tuple[bool, ...]) -> list[str]:
    return [job.key for job in jobs([subject], engines, IMAGE, forms)]


@needs_compiler
def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """Native has one form; what was asked of other engines is done, and a line says so."""
    subject, once = Subject("net"), "native runs networks in one form"
    assert keys(subject, [], (False,)) == ["net/native"]
    assert keys(subject, ["native", "eager"], (False,)) == ["net/native", "net/eager"]
    assert capsys.readouterr().err == ""
    assert keys(subject, ["native", "eager"], BOTH) == [
        "net/native", "net/eager", "net/eager+lowered",
    ]  # fmt: skip
    assert capsys.readouterr().err.count(once) == 1
    assert keys(subject, ["native"], (True,)) == ["net/native"]
    assert capsys.readouterr().err.count(once) == 1
    assert keys(Subject("net", engine="native"), ["eager"], BOTH) == ["net/native"]


def test_forms_without_an_engine_are_those_of_one_that_has_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert keys(Subject("net"), [], BOTH) == ["net/onnxruntime", "net/onnxruntime+lowered"]
    said = capsys.readouterr().err
    assert "using engine onnxruntime, since the native one lowers every network itself" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["bench", f"{SMALL}/native+lowered"],
        ["compare", "native", "native+lowered", "--model", SMALL],
        ["lower", SMALL, "--engine", "native"],
    ],
)
def test_the_lowered_form_is_refused(
    here: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 2
    said = capsys.readouterr().err
    assert "engine 'native' lowers every network itself: give it the network as it is" in said
    assert said.count("\n") == 1


def test_compile_refuses_the_lowered_form() -> None:
    with pytest.raises(UsageError, match="engine 'native' lowers every network itself"):
        compile("mobilenet_v1_x0_25", np.zeros((1, 3, 32, 32), "f4"), "native", lowered=True)
