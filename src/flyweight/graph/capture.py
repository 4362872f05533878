"""Capturing a module with torch.export."""

import copy
import warnings

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from flyweight.errors import CaptureError, first_line
from flyweight.nn import label


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode without gradients, so that the caller's module stays as it is.

    Raises:
        CaptureError: the module can't be copied.
    """
    try:
        return copy.deepcopy(model).eval().requires_grad_(False)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise CaptureError(f"{label(model)} can't be copied: {first_line(error)}") from error


def capture(model: nn.Module, example: Tensor) -> ExportedProgram:
    """The module's graph for inputs of the example's shape, with shapes attached.

    Args:
        model: in evaluation mode; it is not changed.
        example: (batch, channels, height, width).

    Raises:
        CaptureError: the module's Python can't be followed (control flow that depends on data), or
            it doesn't run on this input.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(model, (example,))
        except Exception as error:
            raise CaptureError(
                f"{label(model)} can't be captured for an input of {tuple(example.shape)}:"
                f" {first_line(error)}; engine 'eager' runs what can't be captured"
            ) from error
