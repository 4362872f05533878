"""Networks as other people write them get advice, or one sentence about what can't be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import flyweight
from flyweight.advising import NOTE, Advice, find, preparing, read, running
from flyweight.advising.preparing import simpler
from flyweight.advising.reading import Reading
from flyweight.advising.rebuilding import rebuilt
from flyweight.advising.widths import widths_of
from flyweight.cli.app import run
from flyweight.errors import FlyweightError
from flyweight.graph.from_onnx import from_onnx
from tests.advising import other_styles
from tests.advising.other_styles import PARTLY, READ, REFUSED, SHAPE, SIDE
from tests.advising.synthetic import times
from tests.graph import other_exporters

WAYS = ["--engine", "eager", "--threads", "1", "--budget", "2s"]
IN_PRACTICE = ["GhostNet", "segmentation"]
"""Those that go through everything in the fast tests, too."""


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines take seconds to prepare a network."""
    monkeypatch.setattr(preparing, "_TRIED", ())
    monkeypatch.setattr(running, "LEAST_S", 0.3)
    monkeypatch.setattr(running, "PREPARING", 100)


def tensors(outputs: Any) -> list[Tensor]:
    """All of them, of whatever kind they are nested in."""
    return [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]


@pytest.fixture(scope="module", params=READ)
def whole(request: pytest.FixtureRequest) -> tuple[nn.Module, Reading]:
    """A network, and its reading."""
    torch.manual_seed(0)
    model = READ[request.param]().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reading = read(model, torch.randn(SHAPE))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    return model, reading


def test_every_alternative_can_be_run(whole: tuple[nn.Module, Reading]) -> None:
    model, reading = whole
    x = torch.randn(SHAPE)
    with torch.no_grad():
        expected = [one.shape for one in tensors(model(x))]
    for one in find(reading, times(reading)):
        assert one.edit is not None or one.kind != "architectural" or one.why_no_edit
        if one.edit is None:
            continue
        changed = rebuilt(reading, widths_of(reading.graph.graph), one.edit)
        assert changed.module is not None
        with torch.no_grad():
            assert [found.shape for found in tensors(changed.module(x))] == expected


def test_what_is_left_out_changes_nothing(whole: tuple[nn.Module, Reading]) -> None:
    model, reading = whole
    smaller = simpler(reading)
    if smaller is None:
        return
    x = torch.randn(SHAPE)
    with torch.no_grad():
        for a, b in zip(tensors(model(x)), tensors(smaller(x)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_places_are_the_authors(whole: tuple[nn.Module, Reading]) -> None:
    model, reading = whole
    modules = dict(model.named_modules(remove_duplicate=False))
    for one in find(reading, times(reading)):
        if one.kind == NOTE:
            continue
        assert one.places
        for place in one.places:
            assert place.kind == type(modules[place.path]).__name__
            assert not place.file or Path(place.file).name == "other_styles.py"


def checked(advice: Advice) -> None:
    """What must hold of any advice on these."""
    assert advice.summary()
    assert advice.trials
    assert advice.to_json()["trials"]
    assert all(one.why for one in advice.trials)


@pytest.mark.parametrize("name", IN_PRACTICE)
def test_advice_is_given(name: str) -> None:
    advice = flyweight.advise(READ[name](), SHAPE, "eager", 1, 2.0)
    checked(advice)
    assert advice.unread == ()
    assert advice.findings


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "eager"])
@pytest.mark.parametrize("name", READ)
def test_advice_is_given_on_each(name: str, engine: str) -> None:
    advice = flyweight.advise(READ[name](), SHAPE, engine, 1, 2.0)
    checked(advice)
    # PyTorch's profiler can lose track of a network; the operations themselves are always read.
    assert not any("operations can't be read" in sentence for sentence in advice.unread)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTLY)
def test_what_runs_but_cannot_be_captured(name: str) -> None:
    make, says = PARTLY[name]
    advice = flyweight.advise(make(), SHAPE, "eager", 1, 1.0)
    checked(advice)
    assert advice.findings == ()
    with pytest.raises(FlyweightError, match=says) as caught:
        flyweight.advise(make(), SHAPE, "onnxruntime", 1, 1.0)
    assert "\n" not in str(caught.value)
    assert any(str(caught.value) in sentence for sentence in advice.unread)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("engine", ["onnxruntime", "eager"])
def test_what_cannot_be_run_is_one_sentence(name: str, engine: str) -> None:
    make, says = REFUSED[name]
    with pytest.raises(FlyweightError, match=says):
        flyweight.advise(make(), SHAPE, engine, 1, 1.0)


def one_line(capsys: pytest.CaptureFixture[str], says: str) -> None:
    """Nothing on stdout, and one line on stderr."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert says in captured.err


@pytest.mark.parametrize("factory", ["Dictionary", "Lazy", "doubled"])
def test_the_command_line_refuses_in_a_line(
    factory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{other_styles.__name__}:{factory}"
    assert run(["advise", name, *WAYS, "--input", str(SIDE)]) == 2
    one_line(capsys, "flyweight: ")


@pytest.mark.parametrize("factory", ["Early", "scripted_part", "ToNumpy", "Nothing"])
def test_the_command_line_says_what_cannot_be_captured(
    factory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{other_styles.__name__}:{factory}"
    assert run(["advise", name, "--budget", "1s", "--input", str(SIDE)]) == 1  # ONNX Runtime
    one_line(capsys, "can't be captured")


def test_the_command_line_advises(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"{other_styles.__name__}:repvgg"
    assert run(["advise", name, *WAYS, "--input", str(SIDE)]) == 0
    assert capsys.readouterr().out.startswith(f"{name} on 1x3x64x64, eager, 1 thread")


@pytest.mark.parametrize("name", other_exporters.READ)
def test_files_of_other_exporters_are_looked_into(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    other_exporters.READ[name](path)
    network = from_onnx(path)
    reading = read(network, torch.randn(network.example_shape()))
    found = find(reading, times(reading))
    assert {one.guideline for one in found} <= {"", "G1", "G2", "G3", "G4"}
    for one in found:
        assert all(not place.file for place in one.places)  # no line is the file's author's
        if one.edit is not None:
            assert rebuilt(reading, widths_of(reading.graph.graph), one.edit).module is not None


def test_channels_that_go_to_and_fro_are_found(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    other_exporters.channels_last(path)
    network = from_onnx(path)
    reading = read(network, torch.randn(network.example_shape()))
    assert "layout changes" in {one.key for one in find(reading, None)}


@pytest.mark.parametrize(
    "name", ["upsampled", *(pytest.param(n, marks=pytest.mark.slow) for n in other_exporters.READ)]
)
def test_the_command_line_advises_on_files(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    other_exporters.READ[name](path)
    assert run(["advise", str(path), *WAYS]) == 0
    sizes = "x".join(map(str, from_onnx(path).example_shape()))
    assert capsys.readouterr().out.startswith(f"{path} on {sizes}, eager, 1 thread")


@pytest.mark.parametrize("name", other_exporters.REFUSED)
def test_the_command_line_refuses_files_in_a_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, says = other_exporters.REFUSED[name]
    make(tmp_path / "model.onnx")
    assert run(["advise", str(tmp_path / "model.onnx"), *WAYS]) in (1, 2)
    one_line(capsys, says)


def test_what_is_understood_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    other_exporters.beside(path)
    monkeypatch.setattr(torch.nn.functional, "pixel_shuffle", None)
    monkeypatch.setattr("flyweight.graph.onnx_operators.F.instance_norm", lambda x, **_: x)
    with pytest.raises(FlyweightError, match="differs from what ONNX Runtime"):
        flyweight.advise(str(path), None, "eager", 1, 1.0)


def test_a_file_is_run_on_the_shape_that_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    other_exporters.inputs_too(path)
    with pytest.raises(FlyweightError, match=r"Gemm|Reshape"):
        flyweight.advise(str(path), (1, 3, 48, 48), "eager", 1, 1.0)
    advice = flyweight.advise(str(path), None, "eager", 1, 1.0)
    assert advice.input == (1, 3, 32, 32)
    assert advice.exact is None or advice.exact.error is not None
    assert np.isfinite(advice.total_s or 0.0)
