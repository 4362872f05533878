"""Captured modules as ONNX models, for the engines that read them."""

import torch
from torch import Tensor, nn

from flyweight.errors import CaptureError, first_line
from flyweight.graph.capture import capture, quiet
from flyweight.nn import label


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
    with quiet():
        try:
            exported = torch.onnx.export(program, dynamo=True, verbose=False)
        except Exception as error:
            raise CaptureError(
                f"{label(model)} can't be exported to ONNX: {first_line(error)}; engines 'eager'"
                " and 'compile' don't need ONNX"
            ) from error
    if exported is None:
        raise CaptureError(f"{label(model)} can't be exported to ONNX")
    return bytes(exported.model_proto.SerializeToString())
