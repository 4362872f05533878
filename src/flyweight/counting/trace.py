"""Running a copy of a network on tensors without data, to see every operation it calls."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from flyweight.errors import UsageError, first_line
from flyweight.nn import label

Call = tuple[str, OpOverload, tuple[Any, ...], Mapping[str, Any], Any]
"""The path of the module that called, the operation, its arguments, and its result."""


class Watch(TorchDispatchMode):
    """Tells of every operation below Python, functional calls included.

    Args:
        where: the paths of the modules that are being called, the innermost last (see `follow`).
        told: called with each.
    """

    def __init__(self, where: list[str], told: Callable[[Call], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.told = told
        self.where = where

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.told((self.where[-1], func, args, kwargs or {}, out))
        return out


_Errors = tuple[type[Exception], ...]


def _copies(model: nn.Module) -> Iterator[tuple[nn.Module, FakeTensorMode | None, _Errors]]:
    """Copies to run until one succeeds, each with the errors after which the next one is tried.

    A network that has no data is copied as it is, which is fastest; its errors say little, though.
    Others get a copy without data, which costs no memory, and then a real one, for networks that
    look at their data (`.item()`, shapes that depend on values).
    """
    tensors = [*model.parameters(), *model.buffers()]
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    data = (DataDependentOutputException, DynamicOutputShapeException)
    if tensors and all(tensor.is_meta for tensor in tensors):
        yield _copy(model, {}), None, (Exception,)
    memo = {id(tensor): fake.from_tensor(tensor, static_shapes=True) for tensor in tensors}
    yield _copy(model, memo), fake, data
    yield _copy(model, {}), None, ()


def _copy(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise UsageError(
            f"{label(model)} can't be copied, so it can't be counted without touching"
            f" it: {first_line(error)}"
        ) from error


def trace(model: nn.Module, input_size: Sequence[int]) -> tuple[nn.Module, list[Call]]:
    """Run a copy of the network in evaluation mode and collect its operations.

    The network itself is not run and not changed: its weights, buffers, hooks, modes and gradients
    stay as they are.

    Args:
        model: any module of one image batch.
        input_size: shape of the input, batch first.

    Returns:
        The copy that was run, and the operations in order.

    Raises:
        UsageError: the network can't be copied, or doesn't run on this input.
    """
    for clone, mode, tolerated in _copies(model):
        where = follow(clone)
        calls: list[Call] = []
        watch = Watch(where, calls.append)
        try:
            _run(clone, mode, input_size, watch)
        except tolerated:
            continue
        except Exception as error:
            place = f" (in {where[-1]})" if where[-1] else ""
            raise UsageError(
                f"{label(model)} doesn't run on an input of {tuple(input_size)}{place}:"
                f" {first_line(error)}"
            ) from error
        return clone, calls
    raise UsageError(f"{label(model)} can't be run to be counted")


def _run(
    clone: nn.Module, mode: FakeTensorMode | None, input_size: Sequence[int], watch: Watch
) -> None:
    """One forward pass, in evaluation mode, leaving the global random state as it was."""
    clone.eval()
    first = next((t for t in clone.parameters() if t.is_floating_point()), None)
    dtype = torch.float32 if first is None else first.dtype
    device = torch.device("cpu") if first is None else first.device
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        if mode is None:
            x = torch.rand(tuple(input_size), dtype=dtype, device=device)
            with watch:
                clone(x)
            return
        with mode:
            x = torch.empty(tuple(input_size), dtype=dtype, device=device)
            with watch:
                clone(x)


def follow(clone: nn.Module) -> list[str]:
    """Keep the path of the module that is running on top of a list, by hooks on the copy."""
    where = [""]

    def enter(path: str) -> Callable[..., None]:
        return lambda *_: where.append(path)

    def leave(*_: object) -> None:
        where.pop()

    for path, module in clone.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        # The caller's own hooks came along in the copy; they may reach outside it.
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        if path:
            module.register_forward_pre_hook(enter(path))
            module.register_forward_hook(leave)
    return where


def storage(tensor: Tensor) -> StorageWeakRef:
    """What a tensor and its views have in common."""
    return StorageWeakRef(tensor.untyped_storage())
