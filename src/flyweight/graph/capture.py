"""Capturing a module with torch.export."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.nn import label


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep PyTorch's exporters from reporting what an error says anyway, or nobody asked about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode without gradients, so that the caller's module stays as it is.

    Raises:
        CaptureError: the module can't be copied.
    """
    try:
        return copy.deepcopy(model).eval().requires_grad_(False)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise CaptureError(f"{label(model)} can't be copied: {first_line(error)}") from error


def capture(model: nn.Module, example: Tensor, dynamic_batch: bool = False) -> ExportedProgram:
    """The module's graph for inputs of the example's shape, with shapes attached.

    Args:
        model: in evaluation mode; it is not changed.
        example: (batch, channels, height, width).
        dynamic_batch: leave the number of images open; the rest of the shape is the example's.

    Raises:
        UsageError: the module doesn't run on this input.
        CaptureError: its Python can't be followed (control flow that depends on data).
    """
    shapes = None
    if dynamic_batch:
        # PyTorch takes a batch of one for a constant.
        example = torch.cat([example, example]) if len(example) == 1 else example
        shapes = ({0: torch.export.Dim("batch", min=1)},)
    with quiet(), torch.no_grad():
        try:
            return torch.export.export(model, (example,), dynamic_shapes=shapes)
        except Exception as error:
            check_runs(model, example)
            raise CaptureError(
                f"{label(model)} can't be captured for an input of {tuple(example.shape)}:"
                f" {first_line(error)}; engine 'eager' runs what can't be captured"
            ) from error


def check_runs(model: nn.Module, example: Tensor) -> None:
    """Run the module once, without gradients.

    Raises:
        UsageError: it doesn't run on this input.
    """
    try:
        with torch.no_grad():
            model(example)
    except Exception as error:
        raise UsageError(
            f"{label(model)} doesn't run on an input of {tuple(example.shape)}: {first_line(error)}"
        ) from error
