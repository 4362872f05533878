"""torch.compile with frozen weights: batch norm folded, weights packed, operations fused."""

import shutil

import torch
from torch import nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.engines.torch_eager import own_copy, torch_runner, torch_threads
from flyweight.errors import CaptureError, first_line
from flyweight.graph import capture, quiet
from flyweight.nn import label


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
    # Compiling the captured graph, not the module: networks of one class share the code of their
    # `forward`, and PyTorch stops compiling silently after a few variants of the same code.
    x = torch.from_numpy(example)
    program = capture(own_copy(model, x, options.precision), x)
    compiled = torch.compile(program.module(), dynamic=False)
    runner = torch_runner("compile", model, compiled, example, options)
    with quiet(), torch_threads(options.threads), config.patch(freezing=True):
        try:
            runner(example)  # the first call compiles
        except Exception as error:
            raise CaptureError(f"{label(model)} can't be compiled: {first_line(error)}") from error
    return runner
