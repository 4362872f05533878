"""torch.compile with frozen weights: batch norm folded, weights packed, operations fused."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.engines.torch_eager import own_copy, torch_runner, torch_threads
from flyweight.errors import CaptureError, first_line
from flyweight.graph import capture, quiet
from flyweight.nn import label


def compiled(module: nn.Module, example: Tensor) -> Callable[[Tensor], Any]:
    """The network's code, which its first call compiles; that has to be within `compiling`.

    Raises:
        CaptureError: the module can't be captured.
    """
    # Compiling the captured graph, not the module: networks of one class share the code of their
    # `forward`, and PyTorch stops compiling silently after a few variants of the same code.
    code: Callable[[Tensor], Any] = torch.compile(capture(module, example).module(), dynamic=False)
    return code


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Weights count as constants, and the compiler's remarks aren't printed."""
    from torch._inductor import config

    with quiet(), config.patch(freezing=True):
        yield


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner of compiled code (see `Prepare`).

    Raises:
        CaptureError: no C++ compiler, or the module can't be captured or compiled.
    """
    from torch._inductor import config

    compiler = config.cpp.cxx[-1]
    if not isinstance(compiler, str) or shutil.which(compiler) is None:
        raise CaptureError(
            f"engine 'compile' needs a C++ compiler and finds no {compiler!r}: install one"
            " (apt install g++) or set CXX"
        )
    x = torch.from_numpy(example)
    code = compiled(own_copy(model, x, options.precision), x)
    runner = torch_runner("compile", model, code, example, options)
    with compiling(), torch_threads(options.threads):
        try:
            runner(example)  # the first call compiles
        except Exception as error:
            raise CaptureError(f"{label(model)} can't be compiled: {first_line(error)}") from error
    return runner
