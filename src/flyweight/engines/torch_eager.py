"""PyTorch as it comes."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.errors import CaptureError, UsageError, first_line
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
    tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
    arrays = tuple(tensor.detach().cpu().numpy() for tensor in tensors)
    return arrays[0] if len(arrays) == 1 else arrays


class _InBfloat16(nn.Module):
    """A module whose weights are bfloat16, for float32 inputs and outputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.variant = label(module)  # what messages call it
        self.module = module.to(torch.bfloat16)

    def forward(self, x: Tensor) -> Any:
        out = self.module(x.to(torch.bfloat16))
        return tree_map_only(Tensor, lambda t: t.float() if t.is_floating_point() else t, out)


def own_copy(model: nn.Module, example: Tensor, precision: str) -> nn.Module:
    """A copy to run where the example lies, in this precision; inputs and outputs are float32.

    Raises:
        UsageError: the module doesn't run on this input.
        CaptureError: it doesn't in bfloat16, as one that makes float32 tensors itself.
    """
    own = frozen_copy(model).to(example.device)
    check_runs(own, example)
    if precision == "float32":
        return own
    converted = _InBfloat16(own)
    try:
        check_runs(converted, example)
    except UsageError as error:
        reason = first_line(error.__cause__ or error)
        raise CaptureError(
            f"{label(model)} runs in float32, but not in bfloat16: {reason}"
        ) from error
    return converted


def runner_of(
    engine: str,
    model: nn.Module,
    example: Array,
    options: Options,
    call: Callable[[Array], Array | tuple[Array, ...]],
) -> Runner:
    """A runner of PyTorch, by what it calls."""
    return Runner(
        engine=engine,
        network=label(model),
        threads=options.threads,
        example=example,
        dtype=options.precision,
        layout="NCHW",
        libraries={"torch": torch.__version__},
        call=call,
    )


def torch_runner(
    engine: str,
    model: nn.Module,
    module: Callable[..., Any],
    example: Array,
    options: Options,
) -> Runner:
    """A runner that calls a module, made by `own_copy`, under `options.threads` threads."""

    def call(x: Array) -> Array | tuple[Array, ...]:
        with torch_threads(options.threads), torch.no_grad():
            return to_arrays(module(torch.from_numpy(x)))

    return runner_of(engine, model, example, options, call)


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner that calls a copy of the module (see `Prepare`).

    Raises:
        UsageError: the module doesn't run on this input.
        CaptureError: it doesn't in the precision asked for.
    """
    own = own_copy(model, torch.from_numpy(example), options.precision)
    return torch_runner("eager", model, own, example, options)
