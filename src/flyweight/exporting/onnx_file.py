"""ONNX files, for ONNX Runtime and everything else that reads them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from torch import Tensor, nn

from flyweight.engines import Array
from flyweight.errors import FlyweightError, first_line
from flyweight.exporting.describing import Description, as_text
from flyweight.exporting.formats import Run
from flyweight.graph import to_onnx
from flyweight.graph.onnx_model import OPSET

_ERRORS_ONLY = 3


def write(
    model: nn.Module, example: Tensor, description: Description, path: Path
) -> Mapping[str, Any]:
    """Write one .onnx file (see `Writer`)."""
    proto, entries = described(model, example, description)
    onnx.helper.set_model_props(proto, as_text(entries))
    onnx.save_model(proto, path)
    return entries


def described(
    model: nn.Module, example: Tensor, description: Description
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The network as an ONNX model for any number of images, and what is to be said of it.

    Raises:
        CaptureError: the network can't be captured, or an operation has no ONNX counterpart.
    """
    proto = onnx.load_model_from_string(to_onnx(model, example, dynamic_batch=True))
    for node in proto.graph.node:
        # Stack traces with the paths of this machine, for debugging the exporter.
        del node.metadata_props[:]
    _name_the_batch(proto.graph)
    entries = description.entries(proto.graph.input[0].name, OPSET)
    return proto, entries


def _name_the_batch(graph: onnx.GraphProto) -> None:
    """Call the open dimension "batch", where PyTorch counts its symbols."""
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", "batch", dim.dim_param)


def load(path: Path) -> Run:
    """An inference session of the CPU (see `Writer`)."""
    settings = ort.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    try:
        session = ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FlyweightError(
            f"ONNX Runtime refuses the file it was given: {first_line(error)}"
        ) from error
    name = session.get_inputs()[0].name

    def run(x: Array) -> tuple[Array, ...]:
        return tuple(session.run(None, {name: np.ascontiguousarray(x)}))

    return run
