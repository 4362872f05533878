"""What people name on the command line, as layers for an accelerator."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flyweight.cli.arguments import Subject, image, subjects
from flyweight.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from flyweight.accelerator import Workload


FILE = ".onnx"
"""What a name ends in that is a file's."""


def workloads(names: Sequence[str], size: str | None) -> list["Workload"]:
    """The layers of networks, patterns of the zoo's names and files among them.

    Args:
        names: as for `workload`, shell patterns of such, or .onnx files.
        size: of all inputs, as it was typed; None for each network's own.

    Raises:
        UsageError: there is no such network.
        CaptureError: a file that can't be read.
    """
    found: list[Workload] = []
    for name in names:
        if name.endswith(FILE):
            found.append(workload_of_any(name, None if size is None else (1, *image(size))))
        else:
            found += [workload(one, size) for one in subjects([name])]
    return found


def workload(asked: Subject, size: str | None) -> "Workload":
    """The network's layers, at the size that is asked for, or at its paper's, or at 224 pixels.

    Raises:
        UsageError: it has an engine, or there is no such network.
    """
    if asked.engine is not None:
        raise UsageError(f"{asked.model}/{asked.engine}: a simulation has no engine; leave it out")
    model, shape = _network(asked.model)
    if size is not None:
        shape = image(size)
    if asked.size is not None:
        shape = (shape[0], asked.size, asked.size)
    return _read(model, (1, *shape), asked.model)


def workload_of_any(name: str, shape: tuple[int, ...] | None) -> "Workload":
    """The layers of what `flyweight advise` takes: also of an .onnx file.

    Args:
        name: of the zoo, package.module:factory, or a file.
        shape: of the input, batch first; None for what the file or the paper has, or 224 pixels.

    Raises:
        UsageError: there is no such network or file.
        CaptureError: a file that can't be read.
    """
    if name.endswith(FILE):
        from flyweight.graph.from_onnx import from_onnx

        file = from_onnx(Path(name))
        return _read(file, shape or file.example_shape(), name)
    model, own = _network(name)
    return _read(model, shape or (1, *own), name)


def _network(name: str) -> "tuple[nn.Module, tuple[int, int, int]]":
    """A network, and the image that its paper has, or one of 224 pixels."""
    import torch

    from flyweight.api import as_model
    from flyweight.zoo import model_info

    if ":" in name:
        return as_model(name), (3, 224, 224)
    side = model_info(name).resolution
    with torch.device("meta"):  # no weights are needed
        return as_model(name), (3, side, side)


def _read(model: "nn.Module", shape: tuple[int, ...], name: str) -> "Workload":
    from flyweight.accelerator import read_network

    return replace(read_network(model, shape), network=name)
