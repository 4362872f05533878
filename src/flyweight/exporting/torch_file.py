"""PyTorch's files of exported programs (.pt2)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves

from flyweight.engines import Array
from flyweight.errors import FlyweightError, first_line
from flyweight.exporting.describing import Description
from flyweight.exporting.formats import Run
from flyweight.graph import capture, quiet

METADATA = "flyweight.json"
"""The extra file that describes the network."""


def write(
    model: nn.Module, example: Tensor, description: Description, path: Path
) -> Mapping[str, Any]:
    """Write one .pt2 file (see `Writer`)."""
    program = capture(model, example, dynamic_batch=True)
    for graph in program.graph_module.modules():
        for node in getattr(graph, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)  # the paths of this machine
    program.example_inputs = None  # random numbers as large as many a network
    entries = description.entries(program.graph_signature.user_inputs[0])
    with quiet():
        torch.export.save(
            program, path, extra_files={METADATA: json.dumps(entries, ensure_ascii=False)}
        )
    return entries


def load(path: Path) -> Run:
    """The program as a module (see `Writer`)."""
    try:
        with quiet():
            program: ExportedProgram = torch.export.load(path)
            module = program.module()
    except Exception as error:
        raise FlyweightError(
            f"PyTorch refuses the file that it wrote: {first_line(error)}"
        ) from error

    def run(x: Array) -> tuple[Array, ...]:
        with torch.no_grad():
            out = tree_leaves(module(torch.from_numpy(x)))
        return tuple(value.numpy() for value in out if isinstance(value, Tensor))

    return run
