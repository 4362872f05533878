"""Engines: the same result as eager, the threads asked for, and clear refusals."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flyweight import compile, create_model
from flyweight.engines import ENGINES, Engine
from flyweight.errors import CaptureError, FlyweightError, UsageError
from flyweight.native.building import has_compiler

INSTALLED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not engine.installed or (name == "native" and not has_compiler()),
            reason=f"{name} is not installed",
        ),
    )
    for name, engine in ENGINES.items()
]
FAST = [param for param in INSTALLED if param.values[0] != "compile"]
# For native tests/native does the same with a network of each structure.
OTHERS = [param for param in FAST if param.values[0] != "native"]
FAMILIES = ("shufflenet_v2_x0_5", "shufflenet_v2_x0_5_halved", "shufflenet_v1_x0_5_g3",
            "mobilenet_v1_x0_25", "mobilenet_v2_x0_35")  # fmt: skip


def trained_like(model: nn.Module) -> nn.Module:
    """Random statistics and scales, so that the signal neither dies nor explodes."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    return model


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


class Branching(nn.Module):
    """Control flow that depends on data."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class TwoOutputs(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, x.mean((2, 3))


def agree(model: nn.Module, engine: str, batch: int = 1) -> None:
    x = image(batch, 3, 64, 64)
    with torch.no_grad():
        expected = model.double().eval()(torch.from_numpy(x).double()).numpy()
    runner = compile(model.float(), x, engine=engine, tune=False)
    error = np.abs(runner(x) - expected).max() / np.abs(expected).max()
    assert error < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", FAMILIES)
def test_engines_agree_with_float64(name: str, engine: str) -> None:
    agree(trained_like(create_model(name, num_classes=10)), engine, batch=2)


@pytest.mark.slow
def test_compiled_agrees_with_float64() -> None:
    agree(trained_like(create_model("shufflenet_v2_x0_5", num_classes=10)), "compile")


@pytest.mark.parametrize("engine", [*FAST, pytest.param("compile", marks=pytest.mark.slow)])
def test_small_network_on_every_engine(engine: str) -> None:
    """Dense and depthwise convolution, batch norm, a concatenation; batch of 3."""

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 8, 3, padding=1)
            self.norm = nn.BatchNorm2d(8)
            self.b = nn.Conv2d(8, 8, 3, stride=2, groups=8)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.relu(self.norm(self.a(x)))
            return torch.cat((self.b(y), self.b(y.flip(1))), 1).mean((2, 3))

    agree(trained_like(Small()), engine, batch=3)


@pytest.mark.parametrize("engine", FAST)
def test_several_outputs(engine: str) -> None:
    x = image(1, 3, 8, 8)
    first, second = compile(TwoOutputs(), x, engine=engine, tune=False)(x)
    np.testing.assert_allclose(first, x + 1, rtol=1e-6)
    np.testing.assert_allclose(second, x.mean((2, 3)), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("engine", FAST)
def test_the_model_is_left_as_it_was_and_the_runner_keeps_its_weights(engine: str) -> None:
    model = trained_like(create_model("mobilenet_v1_x0_25", num_classes=4)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = image(1, 3, 32, 32)
    runner = compile(model, x, engine=engine, tune=False)
    first = runner(x)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(runner(x), first)


@pytest.mark.slow
@pytest.mark.parametrize("engine", FAST)
def test_tensors_and_arrays(engine: str) -> None:
    x = image(1, 3, 32, 32)
    runner = compile("mobilenet_v1_x0_25", torch.from_numpy(x), engine=engine, tune=False)
    from_tensor = runner(torch.from_numpy(x))
    assert isinstance(from_tensor, np.ndarray)
    np.testing.assert_array_equal(from_tensor, runner(x))
    again = runner(x)
    runner(2 * x)
    np.testing.assert_array_equal(again, from_tensor)  # a result isn't overwritten by the next


def test_threads_of_eager() -> None:
    """Set for the call, and put back."""
    seen: list[int] = []

    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return x

    before = torch.get_num_threads()
    x = image(1, 3, 4, 4)
    for threads in (1, 2, 3):
        compile(Asks(), x, engine="eager", threads=threads)(x)
        assert seen[-1] == threads
        assert torch.get_num_threads() == before


COUNT_THREADS = """
import os, sys
import numpy as np
from flyweight import compile, create_model
x = np.zeros((1, 3, 224, 224), np.float32)
model = create_model("mobilenet_v1_x1_0")
def used():
    ticks = {}
    for task in os.listdir("/proc/self/task"):
        fields = open(f"/proc/self/task/{task}/stat").read().rsplit(")", 1)[1].split()
        ticks[task] = int(fields[11]) + int(fields[12])
    return ticks
for threads in (1, 2):
    runner = compile(model, x, engine=sys.argv[1], threads=threads, tune=False)
    for _ in range(3):
        runner(x)
    before = used()
    for _ in range(60):
        runner(x)
    print(sum(count > before.get(task, 0) + 3 for task, count in used().items()))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize("engine", FAST)
def test_threads_are_honoured(engine: str) -> None:
    """Threads that used CPU time while the network ran: one, and two."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, engine], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "2"]


def test_a_compiler_that_fails() -> None:
    """The network is all right: that isn't wrong usage, and other engines may run it."""
    from torch._inductor import config

    class Unusual(nn.Module):  # nothing that an earlier run has compiled and cached
        def forward(self, x: Tensor) -> Tensor:
            return (x * 1.2345678).sin().sum((2, 3)) + 7.654321

    with config.patch({"cpp.cxx": (None, "false"), "fx_graph_cache": False}):
        with pytest.raises(CaptureError, match="Unusual can't be compiled"):
            compile(Unusual(), image(1, 3, 9, 11), engine="compile")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one(threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads must be 1 or more, not {threads}"):
        compile("mobilenet_v1_x0_25", image(1, 3, 32, 32), threads=threads)


def test_refusals() -> None:
    x = image(1, 3, 32, 32)
    with pytest.raises(UsageError, match="unknown engine 'onnxruntim'; did you mean onnxruntime"):
        compile("mobilenet_v1_x0_25", x, engine="onnxruntim")
    with pytest.raises(UsageError, match=r"the example must be float32, .*not float64"):
        compile("mobilenet_v1_x0_25", x.astype("f8"))
    with pytest.raises(UsageError, match="unknown precision 'bf16'; did you mean bfloat16"):
        compile("mobilenet_v1_x0_25", x, precision="bf16")
    with pytest.raises(UsageError, match=r"mobilenet_v1_x0_25 doesn't run on an input of"):
        compile("mobilenet_v1_x0_25", image(1, 4, 32, 32), engine="eager")
    runner = compile("mobilenet_v1_x0_25", x, engine="eager")
    for wrong in (image(1, 3, 48, 48), x.astype("f8")):
        with pytest.raises(UsageError, match="was prepared for float32 inputs of"):
            runner(wrong)


def test_what_cannot_be_captured() -> None:
    x = image(1, 3, 8, 8)
    with pytest.raises(CaptureError, match=r"Branching can't be captured: .* with engine 'eager'"):
        compile(Branching(), x, engine="onnxruntime")
    np.testing.assert_array_equal(compile(Branching(), abs(x), engine="eager")(abs(x)), 2 * abs(x))


def test_an_engine_that_is_not_installed() -> None:
    absent = Engine("absent", "flyweight.engines.absent", "no_such_package", "pip install it")
    with pytest.raises(FlyweightError, match="engine 'absent' is not installed: pip install it"):
        absent.load()


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    with config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        with pytest.raises(CaptureError, match="needs a C\\+\\+ compiler and finds no 'no-such"):
            compile("mobilenet_v1_x0_25", image(1, 3, 32, 32), engine="compile")
