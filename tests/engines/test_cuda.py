"""The GPU's engines, as far as that goes without one; where there is one, more tests run them.

Here the device is the CPU, but for CUDA graphs, which it hasn't.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flyweight import compile
from flyweight.cli.app import run
from flyweight.cli.study import CPU, GPU, _columns
from flyweight.engines import ENGINES, cuda, cuda_eager
from flyweight.engines import table as engines_table
from flyweight.engines.cuda import OnGpu, as_asked, cuda_runner
from flyweight.engines.protocol import Options
from flyweight.errors import CaptureError, FlyweightError
from flyweight.measuring import environment as about_machine
from flyweight.measuring import measure
from flyweight.studies import STUDIES

ON_GPU = [name for name, engine in ENGINES.items() if engine.gpu]


class Asks(nn.Module):
    """Says how it was run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((torch.backends.cudnn.allow_tf32, torch.is_grad_enabled()))
        found: Tensor = self.conv(x).relu()
        return found


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    monkeypatch.setattr(engines_table, "why_no_gpu", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: True)


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    "engine", ["cuda-eager", pytest.param("cuda-compile", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_is_moved_run_and_brought_back(engine: str, precision: str) -> None:
    model, x = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), image(2, 3, 9, 9)
    runner = compile(model, x, engine=engine, precision=precision)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(x)).numpy()
    bound = 1e-5 if precision == "float32" else 2e-2
    assert np.abs(runner(x) - expected).max() / np.abs(expected).max() < bound
    assert runner.dtype == precision
    assert runner.again is not None
    (out,) = [t for t in [runner.again()] if isinstance(t, Tensor)]
    np.testing.assert_allclose(out.numpy(), runner(x), rtol=1e-6)


@pytest.mark.usefixtures("on_cpu")
def test_float32_is_float32_and_the_setting_is_put_back() -> None:
    model = Asks()
    runner = cuda_eager.prepare(model, image(1, 3, 8, 8), Options())
    assert model.seen == []  # a copy was run
    before = torch.backends.cudnn.allow_tf32
    with as_asked():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.is_grad_enabled()
    assert torch.backends.cudnn.allow_tf32 == before
    runner(image(1, 3, 8, 8))
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.usefixtures("on_cpu")
def test_what_is_timed_is_on_the_gpu_already() -> None:
    model, calls = nn.ReLU(), []

    def form(module: nn.Module, example: Tensor) -> OnGpu:
        return OnGpu(module, lambda: calls.append(torch.backends.cudnn.allow_tf32))

    runner = cuda_runner("cuda-eager", model, image(1, 3, 4, 4), Options(), form)
    record = measure({"it": runner}, 0.1).record("it")
    assert len(calls) > record.n * record.calls_per_sample
    assert not any(calls)  # TF32 was never allowed


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (torch.cuda.OutOfMemoryError("tried to allocate"), FlyweightError, "take a smaller batch"),
        (RuntimeError("not permitted when stream is capturing\nand so on"), CaptureError,
         "ReLU can't run as cuda-graph: not permitted when stream is capturing$"),
    ],
)  # fmt: skip
def test_what_fails_on_the_gpu(raised: Exception, kind: type[Exception], said: str) -> None:
    def form(module: nn.Module, example: Tensor) -> OnGpu:
        raise raised

    with pytest.raises(kind, match=said):
        cuda_runner("cuda-graph", nn.ReLU(), image(1, 3, 4, 4), Options(), form)


@pytest.mark.parametrize("engine", ON_GPU)
@pytest.mark.parametrize(("cuda_version", "said"), [(None, "built for CPUs"), ("12.8", "none")])
def test_no_gpu_is_said_in_a_line(
    engine: str,
    cuda_version: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda_version)
    assert not ENGINES[engine].installed
    for args in (["bench", "mobilenet_v1_x0_25"], ["study", "g1"], ["study", "g1", "g2"]):
        assert run([*args, "--engine", engine]) == 1
        error = capsys.readouterr().err
        assert f"engine '{engine}' needs an NVIDIA GPU: PyTorch" in error
        assert said in error
        assert len(error.splitlines()) == 1


def test_only_what_runs_on_the_gpu_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(about_machine, "gpu_model", lambda: "Imaginary GPU")
    found = {
        device: about_machine.environment(SimpleNamespace(device=device), None).gpu
        for device in ("cpu", "cuda", None)
    }
    assert found == {"cpu": None, "cuda": "Imaginary GPU", None: "Imaginary GPU"}


@pytest.mark.parametrize(
    ("study", "gpu", "cpu"), [("g1", "GPU x1", "ARM x1"), ("g2", "GPU x1", "CPU x1")]
)
def test_a_study_has_columns_for_each_kind_of_machine(study: str, gpu: str, cpu: str) -> None:
    for platforms, first in ((GPU, gpu), (CPU, cpu)):
        assert [one.name for one in _columns(STUDIES[study], None, True, platforms)] == [first]
