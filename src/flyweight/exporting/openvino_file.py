"""OpenVINO's files: the network in .xml, its weights in .bin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from torch import Tensor, nn

from flyweight.engines import Array
from flyweight.errors import CaptureError, FlyweightError, first_line
from flyweight.exporting.describing import Description, as_text
from flyweight.exporting.formats import Run
from flyweight.exporting.onnx_file import described
from flyweight.nn import label


def write(
    model: nn.Module, example: Tensor, description: Description, path: Path
) -> Mapping[str, Any]:
    """Write the .xml file and the .bin file, by way of ONNX (see `Writer`)."""
    proto, entries = described(model, example, description)
    try:
        read = ov.Core().read_model(proto.SerializeToString())
    except Exception as error:
        raise CaptureError(f"OpenVINO refuses {label(model)}: {first_line(error)}") from error
    for key, value in as_text(entries).items():
        read.set_rt_info(value, ["flyweight", key])
    ov.save_model(read, path, compress_to_fp16=False)
    return entries


def load(path: Path) -> Run:
    """A compiled model of the CPU plugin, in float32 (see `Writer`)."""
    try:
        compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except Exception as error:
        raise FlyweightError(
            f"OpenVINO refuses the file it was given: {first_line(error)}"
        ) from error
    request = compiled.create_infer_request()

    def run(x: Array) -> tuple[Array, ...]:
        request.infer([np.ascontiguousarray(x)])
        return tuple(request.get_output_tensor(i).data.copy() for i in range(len(compiled.outputs)))

    return run
