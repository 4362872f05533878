"""What PyTorch's three forms on an NVIDIA GPU have in common: as it comes, a graph, compiled."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.engines.torch_eager import own_copy, runner_of, to_arrays
from flyweight.errors import CaptureError, FlyweightError, UsageError, first_line
from flyweight.nn import label

DEVICE = "cuda"


def why_no_gpu() -> str | None:
    """Why networks can't run on a GPU here; None if they can."""
    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None and torch.version.hip is None:
        return f"PyTorch {torch.__version__} is built for CPUs; https://pytorch.org has others"
    return "PyTorch finds none; nvidia-smi shows what the driver finds"


def gpu_here() -> str | None:
    """The GPU's name; None where there is none."""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


def check(options: Options) -> None:
    """Find out whether the GPU has this precision.

    Raises:
        UsageError: it hasn't bfloat16.
    """
    if options.precision == "bfloat16" and not torch.cuda.is_bf16_supported(False):
        raise UsageError(f"{torch.cuda.get_device_name()} has no bfloat16: leave it out")


@contextlib.contextmanager
def as_asked() -> Iterator[None]:
    """Without gradients, and float32 is float32: convolutions may be rounded to TF32 otherwise."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@dataclass(frozen=True)
class OnGpu:
    """A network on the GPU.

    Attributes:
        run: from an input there to outputs there.
        again: runs the network on the example once more; the result stays there.
    """

    run: Callable[[Tensor], Any]
    again: Callable[[], object]


def cuda_runner(
    engine: str,
    model: nn.Module,
    example: Array,
    options: Options,
    form: Callable[[nn.Module, Tensor], OnGpu],
) -> Runner:
    """A runner of one of the forms. It is timed on an example that is on the GPU already.

    Args:
        engine: its name.
        model: the network; it is not changed.
        example: an input.
        options: how it is run.
        form: makes the form of a network that is on the GPU, and of its input there.

    Raises:
        UsageError: the module doesn't run on this input.
        CaptureError: it doesn't run in bfloat16, or can't be given this form, as one that waits
            for values in the middle.
        FlyweightError: the GPU's memory is too small.
    """
    try:
        with as_asked():
            x = torch.from_numpy(example).to(DEVICE)
            made = form(own_copy(model, x, options.precision), x)
            made.again()
            if x.is_cuda:
                torch.cuda.synchronize()
    except FlyweightError:
        raise
    except torch.cuda.OutOfMemoryError as error:
        raise FlyweightError(
            f"{label(model)} at {tuple(example.shape)} needs more memory than the GPU has free:"
            " take a smaller batch"
        ) from error
    except Exception as error:
        raise CaptureError(f"{label(model)} can't run as {engine}: {first_line(error)}") from error

    def call(array: Array) -> Array | tuple[Array, ...]:
        with as_asked():
            return to_arrays(made.run(torch.from_numpy(array).to(x.device)))

    def again() -> object:
        with as_asked():
            return made.again()

    versions = {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    runner = runner_of(engine, model, example, options, call)
    libraries = {**runner.libraries, **versions}
    return replace(runner, libraries=libraries, device=DEVICE, again=again)
