"""What can't be compiled: one line that says what, where, and what to do."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flyweight
from flyweight.cli.app import run
from flyweight.errors import CaptureError, FlyweightError, UsageError
from tests.native.against import needs_compiler

pytestmark = needs_compiler

NETWORKS = """
import torch
from torch import nn
class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return self.conv(x)
class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4))
    def forward(self, x):
        return self.body(x)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "native_nets.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def bench(network: str, *words: str) -> int:
    return run(
        ["bench", f"native_nets:{network}", "--engine", "native", "--input", "8", "--budget", "1s",
         *words]
    )  # fmt: skip


def compile_it(model: nn.Module, example: Tensor) -> object:
    return flyweight.compile(model, example.numpy(), engine="native", tune=False)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def set_compiler(kind: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "unknown": "nonsense",
        "mistyped": "'gcc",
        "silent": script(here / "silent", "exit 1"),
        "talking": script(here / "talking", "echo warning: 1 >&2; echo an error: 2 >&2; exit 3"),
        "knows nothing": script(
            here / "half", f'case "$*" in *-dM*|*--version*) exec {cc()} "$@";; esac\n'
            "echo much; echo x.c:1: error: no >&2; echo more >&2; exit 1",
        ),
    }  # fmt: skip
    if kind == "none":
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setenv("PATH", str(here))
    else:
        monkeypatch.setenv("CC", known[kind])


def cc() -> str:
    from flyweight.native.building import compiler

    return " ".join(compiler())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("none", "needs a C compiler and finds none: install one"),
        ("unknown", "finds no compiler 'nonsense' (CC): install one"),
        ("mistyped", 'CC is "\'gcc": No closing quotation'),
        ("silent", "silent fails: it says nothing"),
        ("talking", "talking fails: an error: 2"),
        ("knows nothing", "x.c:1: error: no; set CC to another compiler"),
    ],
)
def test_compilers(
    kind: str,
    said: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_compiler(kind, here, monkeypatch)
    assert bench("Small", "--no-tune") == 1
    printed = capsys.readouterr().err
    assert said in printed
    assert "engine 'onnxruntime'" in printed
    assert len(printed.splitlines()) <= 2  # what was left out, and that nothing is left
    with pytest.raises(FlyweightError) as caught:
        compile_it(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [(), ("--no-tune",)])
def test_nowhere_to_keep_what_is_compiled(
    words: tuple[str, ...],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "file"))
    assert bench("Small", *words) == 1
    printed = capsys.readouterr().err
    assert "set XDG_CACHE_HOME to a folder that can be written to" in printed
    assert len(printed.splitlines()) <= 2


def test_the_module_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("Grouped", "--no-tune") == 1
    printed = capsys.readouterr().err.splitlines()
    assert "body.1: the native engine has no group_norm; run the network with" in printed[0]
    assert len(printed) <= 2


def test_another_precision(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("Small", "--precision", "bfloat16") == 2
    printed = capsys.readouterr().err
    assert "the native engine computes in float32: leave bfloat16 out" in printed
    assert printed.count("\n") == 1


class Does(nn.Module):
    """A function in a module of its own, after a convolution."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.inner = nn.Module()
        self.inner.part = Calls(function)

    def forward(self, x: Tensor) -> object:
        return self.inner.part(self.first(x))


class Calls(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)  # type: ignore[operator]


MISSING = {
    "group_norm": lambda x: F.group_norm(x, 2),
    "conv_transpose2d.input": lambda x: F.conv_transpose2d(x, torch.ones(8, 2, 2, 2)),
    "upsample_bilinear2d.vec": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "cat that cuts, joins or moves positions": lambda x: torch.cat([x, x], 2),
    "view that cuts, joins or moves positions": lambda x: x.view(x.shape[0], 8, 3, 12),
    "softmax.int over positions": lambda x: x.softmax(2),
    "softmax.int of tensors other than": lambda x: x.flatten(2).softmax(2),
    "operations on 5 dimensions": lambda x: F.avg_pool3d(x.unsqueeze(2), (1, 2, 2)),
    "conversion to float64": lambda x: x.double(),
    "add.Tensor with {'alpha': 0.5}": lambda x: torch.add(x, x, alpha=0.5),
    "div.Tensor of a constant and a feature map": lambda x: torch.arange(1.0, 9)[:, None, None] / x,
    "sub.Tensor of feature maps of different sizes": lambda x: x.mean((2, 3), keepdim=True) - x,
    "mul.Tensor with a constant for each position": lambda x: x * torch.ones(6, 6),
    "softplus with these arguments": lambda x: F.softplus(x, 2.0),
    "argmax": lambda x: x.argmax(1),
    "linear": lambda x: F.linear(x, torch.ones(2, 6)),
}


@pytest.mark.parametrize("said", MISSING)
def test_operations_that_the_engine_has_not(said: str) -> None:
    with pytest.raises(CaptureError) as caught:
        compile_it(Does(MISSING[said]).eval(), torch.zeros(1, 3, 8, 8))
    text = str(caught.value)
    assert text.startswith("inner.part: the native engine has no ")
    assert said in text
    assert "run the network with engine 'onnxruntime', or write that part" in text
    assert "\n" not in text


def test_outputs_that_are_no_maps() -> None:
    with pytest.raises(CaptureError, match="output 0 of this network is something else"):
        compile_it(Does(lambda x: x.mean((1, 2, 3))).eval(), torch.zeros(1, 3, 8, 8))
    with pytest.raises(CaptureError, match="output 1 of this network is something else"):
        compile_it(Does(lambda x: (x, x.shape[0])).eval(), torch.zeros(1, 3, 8, 8))


def test_double_precision() -> None:
    model = nn.Conv2d(3, 4, 1).double()
    with pytest.raises(FlyweightError) as caught:
        compile_it(model, torch.zeros(1, 3, 8, 8, dtype=torch.float64))
    assert isinstance(caught.value, CaptureError | UsageError)
    assert "float32" in str(caught.value)


def test_what_cannot_be_followed() -> None:
    class Decides(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(CaptureError, match=rf"Decides.*{Path(__file__).name}"):
        compile_it(Decides(), torch.zeros(1, 3, 8, 8))


def test_another_shape_than_compiled_for() -> None:
    runner = flyweight.compile(nn.ReLU(), torch.zeros(1, 3, 4, 4).numpy(), engine="native")
    with pytest.raises(UsageError, match=r"not float32 of \(1, 3, 5, 4\)"):
        runner(torch.zeros(1, 3, 5, 4))
    with pytest.raises(UsageError, match="not float64 of"):
        runner(torch.zeros(1, 3, 4, 4, dtype=torch.float64))
