"""ONNX Runtime's CPU provider."""

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.errors import CaptureError, first_line
from flyweight.graph import frozen_copy, to_onnx
from flyweight.nn import label

_ERRORS_ONLY = 3


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner over an inference session (see `Prepare`).

    Raises:
        CaptureError: the module can't be exported, or ONNX Runtime refuses it.
    """
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _ERRORS_ONLY
    # Idle threads of one runner would otherwise spin while another one is timed.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    onnx_bytes = to_onnx(frozen_copy(model), torch.from_numpy(example))
    try:
        session = ort.InferenceSession(onnx_bytes, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CaptureError(f"ONNX Runtime refuses {label(model)}: {first_line(error)}") from error
    name = session.get_inputs()[0].name

    def call(x: Array) -> Array | tuple[Array, ...]:
        outputs = session.run(None, {name: np.ascontiguousarray(x)})
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return Runner(
        engine="onnxruntime",
        network=label(model),
        threads=options.threads,
        example=example,
        dtype=str(example.dtype),
        layout="NCHW",
        libraries={"torch": torch.__version__, "onnxruntime": ort.__version__},
        call=call,
    )
