"""Capturing a module with torch.export."""

import contextlib
import copy
import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.fx.experimental._config
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.graph.blame import GuardWatch, Place, explanation, is_about_batch, place_of
from flyweight.nn import label

_SAME = 1e-4
"""Of the largest value: two ways of computing the same in float32 differ by far less."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep PyTorch's exporters from reporting what an error says anyway, or nobody asked about."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
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
        UsageError: its weights aren't there yet.
    """
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise UsageError(
            f"{label(model)} has lazy modules, whose weights aren't there before they have seen an"
            " image: run it once first"
        )
    try:
        with torch.no_grad():
            copied = copy.deepcopy(model).eval()
            for parameter in copied.parameters():  # modules of TorchScript have no requires_grad_
                parameter.requires_grad_(False)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise CaptureError(f"{label(model)} can't be copied: {first_line(error)}") from error
    return copied


def capture(model: nn.Module, example: Tensor, dynamic_batch: bool = False) -> ExportedProgram:
    """The module's graph for inputs of the example's shape, with shapes attached.

    Args:
        model: in evaluation mode; it is not changed.
        example: (batch, channels, height, width).
        dynamic_batch: leave the number of images open; the rest of the shape is the example's.

    Raises:
        UsageError: the module doesn't run on this input.
        CaptureError: its Python can't be followed (control flow that depends on data), or fixes the
            number of images where that is to stay open.
    """
    images = example
    if dynamic_batch and len(example) == 1:
        images = torch.cat([example, example])  # PyTorch takes a batch of one for a constant
    try:
        program = _export(model, images, dynamic_batch)
    except Exception as error:
        with quiet():
            check_runs(model, example)
        raise CaptureError(_said(model, images, error)) from error
    if not any(isinstance(tensor, Tensor) for tensor in _outputs(program)):
        raise CaptureError(
            f"{label(model)} can't be captured: its forward returns no tensor; return tensors, or"
            " tuples, lists and dictionaries of them"
        )
    if dynamic_batch:
        _check_one_image(model, program, images)
    return program


def _export(model: nn.Module, images: Tensor, dynamic_batch: bool) -> ExportedProgram:
    shapes: Any = ({0: torch.export.Dim("batch", min=1)},) if dynamic_batch else None
    if shapes and _takes_any_number(model):
        shapes = (shapes,)  # forward(self, *inputs): PyTorch has them as one argument
    with quiet(), torch.no_grad():
        return torch.export.export(model, (images,), dynamic_shapes=shapes)


def _takes_any_number(model: nn.Module) -> bool:
    """Whether the first argument of the module's forward is a tuple of all that are given."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL


def _outputs(program: ExportedProgram) -> list[Any]:
    """What the graph knows of its outputs: tensors without data, and whatever else there is."""
    (found,) = (node for node in program.graph.nodes if node.op == "output")
    return [getattr(node, "meta", {}).get("val") for node in tree_leaves(found.args)]


def _said(model: nn.Module, images: Tensor, error: Exception) -> str:
    """What a CaptureError says of an export's error."""
    name = label(model)
    for path, part in model.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            return (
                f"{name} can't be captured: {f'its module {path}' if path else 'it'} is a"
                " ScriptModule, which has no Python to follow; give the module that it was made"
                " from, or run it with engine 'eager'"
            )
    try:
        with quiet():
            check_runs(model, images)
    except UsageError as refusal:  # it runs on one image, and not on the two that PyTorch needs
        place = place_of(refusal.__cause__ or refusal, model)
        where = f"{place}: " if place else ""
        return (
            f"{name} can't be captured: it runs on one image only; {where}"
            f"{first_line(refusal.__cause__ or refusal)}; take the number of images from the tensor"
            " (x.shape[0], or -1 in a view)"
        )
    place = place_of(error, model)
    if place is None and is_about_batch(error):
        place = _fixing_line(model, images, one_counts=False)
    return f"{name} can't be captured: {explanation(error, place)}"


def _fixing_line(model: nn.Module, images: Tensor, one_counts: bool) -> Place | None:
    """The line that poses a condition on the number of images, found by exporting once more.

    Args:
        model: the network.
        images: two or more.
        one_counts: don't take it for granted that there are two or more. PyTorch's exporter to ONNX
            sets the same; some of PyTorch's own modules can't be captured so.
    """
    watch = GuardWatch(model)
    config = torch.fx.experimental._config
    setting = config.patch(backed_size_oblivious=one_counts)  # type: ignore[attr-defined]
    with contextlib.suppress(Exception), setting, watch:
        _export(model, images, dynamic_batch=True)
    return watch.place


def _check_one_image(model: nn.Module, program: ExportedProgram, images: Tensor) -> None:
    """Compare the graph with the module on one image: it was recorded with more.

    PyTorch takes it for granted that there are two or more, so that in `if len(x) == 1` the other
    branch is recorded without a word.

    Raises:
        CaptureError: they differ.
    """
    image = images[:1]
    if image.is_meta or not len(image):
        return
    with quiet(), torch.no_grad():
        try:
            expected = tree_leaves(model(image))
        except Exception:  # one image is too few for it, or these values are wrong
            return
        try:
            found = tree_leaves(program.module()(image))
        except Exception:  # an assertion of the graph
            found = []
        # A network with noise in it differs from itself.
        if _same(expected, found) or not _same(expected, tree_leaves(model(image))):
            return
    place = _fixing_line(model, images, one_counts=True)
    raise CaptureError(
        f"{label(model)} can't be captured: {place or 'it'} treats one image in another way than"
        " several; let the number of images decide nothing, or run it without lowering, for one"
        " number of images"
    )


def _same(expected: list[Any], found: list[Any]) -> bool:
    """Whether all tensors agree, within what the order of additions changes."""
    tensors, others = (
        [value for value in values if isinstance(value, Tensor)] for values in (expected, found)
    )
    return len(tensors) == len(others) and all(
        a.shape == b.shape
        and torch.allclose(
            a, b, rtol=0, atol=_SAME * float(a.nan_to_num().abs().max()), equal_nan=True
        )
        if a.is_floating_point() and a.numel()
        else torch.equal(a, b)
        for a, b in zip(tensors, others, strict=True)
    )


def check_runs(model: nn.Module, example: Tensor) -> None:
    """Run the module once, without gradients.

    Raises:
        UsageError: it doesn't run on this input.
    """
    try:
        with torch.no_grad():
            model(example)
    except Exception as error:
        inputs = _required_inputs(model)
        if isinstance(error, TypeError) and len(inputs) > 1:
            raise UsageError(
                f"{label(model)} takes {len(inputs)} inputs ({', '.join(inputs)}), and only"
                " networks of one can be run here; wrap it in a module whose forward takes one"
            ) from error
        raise UsageError(
            f"{label(model)} doesn't run on an input of {tuple(example.shape)}: {first_line(error)}"
        ) from error


def _required_inputs(model: nn.Module) -> list[str]:
    """The arguments that the module's forward can't do without."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
