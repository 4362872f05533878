"""torch.compile on an NVIDIA GPU with frozen weights: norms folded, operations fused."""

from torch import Tensor, nn

from flyweight.engines.cuda import OnGpu, check, cuda_runner
from flyweight.engines.protocol import Array, Options, Runner
from flyweight.engines.torch_compile import compiled, compiling

__all__ = ["check", "prepare"]


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner of compiled code on the GPU (see `Prepare` and `cuda_runner`)."""
    with compiling():
        return cuda_runner("cuda-compile", model, example, options, _form)


def _form(module: nn.Module, example: Tensor) -> OnGpu:
    code = compiled(module, example)
    return OnGpu(code, lambda: code(example))
