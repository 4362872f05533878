"""PyTorch as it comes."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.graph import check_runs, frozen_copy
from flyweight.nn import label


@contextlib.contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """PyTorch's thread count is one for the process: set it, and put it back."""
    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def to_arrays(out: Any) -> Array | tuple[Array, ...]:
    """A tensor as an array, several (a tuple, list or dict) as a tuple of arrays."""
    arrays = tuple(t.detach().numpy() for t in tree_leaves(out) if isinstance(t, torch.Tensor))
    return arrays[0] if len(arrays) == 1 else arrays


def torch_runner(
    engine: str, model: nn.Module, module: Callable[..., Any], example: Array, threads: int
) -> Runner:
    """A runner that calls a module under `threads` threads."""

    def call(x: Array) -> Array | tuple[Array, ...]:
        with torch_threads(threads), torch.no_grad():
            return to_arrays(module(torch.from_numpy(x)))

    return Runner(
        engine=engine,
        network=label(model),
        threads=threads,
        example=example,
        dtype=str(example.dtype),
        layout="NCHW",
        libraries={"torch": torch.__version__},
        call=call,
    )


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner that calls a copy of the module (see `Prepare`).

    Raises:
        UsageError: the module doesn't run on this input.
    """
    own = frozen_copy(model)
    check_runs(own, torch.from_numpy(example))
    return torch_runner("eager", model, own, example, options.threads)
