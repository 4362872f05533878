"""The precision that was asked for runs, or a clear refusal; never another one in silence."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flyweight import compile
from flyweight.engines import ENGINES, onnx_runtime
from flyweight.errors import CaptureError, UsageError
from flyweight.measuring.environment import environment
from flyweight.native.building import has_compiler

SMALL = "mobilenet_v1_x0_25"


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def bf16_works(engine: str) -> bool:
    if not ENGINES[engine].installed:
        return False
    if engine == "openvino":
        from flyweight.engines.open_vino import has_bf16

        return has_bf16()
    if engine == "onnxruntime":
        return onnx_runtime.has_bf16()
    return engine != "native"


ALL = [pytest.param(name, marks=pytest.mark.slow if name == "compile" else ()) for name in ENGINES]


@pytest.mark.parametrize("engine", ALL)
def test_bfloat16_is_near_float32_and_is_not_float32(engine: str) -> None:
    if not bf16_works(engine):
        pytest.skip(f"no bf16 with {engine} on this machine")
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1) for _ in range(3))),
        image(2, 64, 9, 9),
    )
    exact = compile(model, x, engine=engine)(x)
    runner = compile(model, x, engine=engine, precision="bfloat16")
    out = runner(x)
    assert "bfloat16" in runner.dtype
    assert environment(runner, None).dtype == runner.dtype
    assert out.dtype == np.float32
    difference = np.abs(out - exact).max() / np.abs(exact).max()
    assert 2**-12 < difference < 2**-4  # bfloat16 keeps 8 bits of a value
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "native"])
def test_no_bfloat16_on_this_cpu(engine: str) -> None:
    if not ENGINES[engine].installed or bf16_works(engine):
        pytest.skip(f"needs {engine}, on a CPU where it has no bf16")
    if engine == "native" and not has_compiler():
        pytest.skip("needs a C compiler")
    words = {
        "openvino": "this CPU has no bf16",
        "onnxruntime": "bf16 only on Arm64 CPUs",
        "native": "computes in float32: leave bfloat16 out",
    }[engine]
    with pytest.raises(UsageError, match=words):
        compile(SMALL, image(1, 3, 32, 32), engine=engine, precision="bfloat16")


@pytest.mark.slow
def test_openvino_says_what_really_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for bf16 on a CPU without, the plugin takes float32 and doesn't complain."""
    open_vino = pytest.importorskip("flyweight.engines.open_vino")
    if open_vino.has_bf16():
        pytest.skip("this CPU has bf16")
    monkeypatch.setattr(open_vino, "has_bf16", lambda: True)
    runner = compile(SMALL, image(1, 3, 32, 32), engine="openvino", precision="bfloat16")
    assert runner.dtype == "float32"


@pytest.mark.parametrize(
    ("system", "machine", "features", "expected"),
    [
        ("linux", "aarch64", "Features\t: fp asimd sve bf16 i8mm", True),
        ("linux", "aarch64", "Features\t: fp asimd", False),
        ("linux", "x86_64", "flags\t: avx512_bf16 amx_bf16", False),
        ("darwin", "arm64", "", False),
    ],
)
def test_where_onnxruntime_has_bf16(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, features: str, expected: bool
) -> None:
    monkeypatch.setattr(onnx_runtime, "sys", SimpleNamespace(platform=system))
    monkeypatch.setattr(onnx_runtime, "platform", SimpleNamespace(machine=lambda: machine))
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor\t: 0\n{features}\n")
    assert onnx_runtime.has_bf16() is expected


def test_outputs_that_are_no_floats_stay_and_the_structure_too() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"scores": x * 2, "best": x.argmax(1)}

    x = image(1, 3, 4, 4)
    scores, best = compile(Two(), x, engine="eager", precision="bfloat16")(x)
    assert (scores.dtype, best.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(scores, 2 * x, rtol=2**-8)


def test_a_network_that_needs_float32() -> None:
    class Mixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.matmul(x, torch.ones(4, 4))

    x = image(1, 3, 4, 4)
    compile(Mixed(), x, engine="eager")
    with pytest.raises(CaptureError, match="Mixed runs in float32, but not in bfloat16: "):
        compile(Mixed(), x, engine="eager", precision="bfloat16")
    with pytest.raises(UsageError, match="Conv2d doesn't run on an input of"):
        compile(nn.Conv2d(1, 1, 1), x, engine="eager", precision="bfloat16")


def test_precision_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal after minutes of preparing other networks would come late."""
    if bf16_works("onnxruntime"):
        pytest.skip("ONNX Runtime has bf16 here")
    import flyweight.api

    monkeypatch.setattr(flyweight.api, "create_model", lambda *_: sys.exit("made a network"))
    with pytest.raises(UsageError, match="bf16 only on Arm64"):
        compile(SMALL, image(1, 3, 32, 32), precision="bfloat16")
