"""PyTorch on an NVIDIA GPU as it comes: every operation is started by Python."""

from torch import Tensor, nn

from flyweight.engines.cuda import OnGpu, check, cuda_runner
from flyweight.engines.protocol import Array, Options, Runner

__all__ = ["check", "prepare"]


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner that calls a copy of the module on the GPU (see `Prepare` and `cuda_runner`)."""
    return cuda_runner("cuda-eager", model, example, options, _form)


def _form(module: nn.Module, example: Tensor) -> OnGpu:
    return OnGpu(module, lambda: module(example))
