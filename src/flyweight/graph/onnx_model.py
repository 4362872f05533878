"""Captured modules as ONNX models, for the engines that read them."""

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from flyweight.errors import CaptureError, first_line
from flyweight.graph.capture import capture, frozen_copy, quiet
from flyweight.nn import label

OPSET = 20
"""Of the operators in our ONNX models: what PyTorch 2.13's exporter writes by itself."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

_Kept = dict[tuple[nn.Module, tuple[int, ...]], bytes]
_MOST_KEPT = 500_000_000
"""Bytes of all that is kept: with weights of half a gigabyte each, some networks are."""
_KEPT: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def exported_once() -> Iterator[None]:
    """Within it, `exported` writes a module once for an input shape, however often it is asked for.

    For callers that prepare the same modules again and again, and don't change them meanwhile.
    """
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def exported(model: nn.Module, example: Tensor) -> bytes:
    """Any module as `to_onnx` writes it in evaluation mode. It is not changed.

    Raises:
        CaptureError: as for `to_onnx`, or the module can't be copied.
    """
    kept = _KEPT.get()
    key = (model, tuple(example.shape))
    if kept is None:
        return to_onnx(frozen_copy(model), example)
    if key in kept:
        return kept[key]
    found = to_onnx(frozen_copy(model), example)
    if len(found) + sum(map(len, kept.values())) <= _MOST_KEPT:
        kept[key] = found
    return found


def to_onnx(model: nn.Module, example: Tensor, dynamic_batch: bool = False) -> bytes:
    """The module as a serialised ONNX model for inputs of the example's shape.

    Args:
        model: in evaluation mode; it is not changed.
        example: (batch, channels, height, width).
        dynamic_batch: leave the number of images open.

    Raises:
        CaptureError: the module can't be captured, or an operation has no ONNX counterpart.
    """
    program = capture(model, example, dynamic_batch)
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    for value in tree_leaves(output.args):
        if value is not None and not isinstance(getattr(value, "meta", {}).get("val"), Tensor):
            raise CaptureError(
                f"{label(model)} can't be exported to ONNX: it returns numbers beside its tensors;"
                " return tensors alone"
            )
    with quiet():
        try:
            exported = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=OPSET)
        except Exception as error:
            raise CaptureError(
                f"{label(model)} can't be exported to ONNX: {_reason(error)}; engines 'eager'"
                " and 'compile' don't need ONNX"
            ) from error
    if exported is None:
        raise CaptureError(f"{label(model)} can't be exported to ONNX")
    return bytes(exported.model_proto.SerializeToString())


def _reason(error: BaseException) -> str:
    """The first line of what PyTorch's exporter stumbled over, which is behind its own error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _COLOURS.sub("", first_line(error))
