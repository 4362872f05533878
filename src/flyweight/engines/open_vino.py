"""OpenVINO's CPU plugin."""

import openvino as ov
import torch
from torch import nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.errors import CaptureError, first_line
from flyweight.graph import frozen_copy, to_onnx
from flyweight.nn import label


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner over an infer request (see `Prepare`).

    Raises:
        CaptureError: the module can't be exported, or OpenVINO refuses it.
    """
    onnx_bytes = to_onnx(frozen_copy(model), torch.from_numpy(example))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(options.threads),
        # On CPUs with bf16 the plugin would run in bf16 without being asked.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = ov.Core()
        compiled = core.compile_model(core.read_model(onnx_bytes), "CPU", settings)
    except Exception as error:
        raise CaptureError(f"OpenVINO refuses {label(model)}: {first_line(error)}") from error
    request = compiled.create_infer_request()
    count = len(compiled.outputs)

    def call(x: Array) -> Array | tuple[Array, ...]:
        request.infer([x], share_inputs=True)
        outputs = tuple(request.get_output_tensor(i).data.copy() for i in range(count))
        return outputs[0] if count == 1 else outputs

    return Runner(
        engine="openvino",
        network=label(model),
        threads=options.threads,
        example=example,
        dtype=str(example.dtype),
        layout="NCHW",
        libraries={"torch": torch.__version__, "openvino": ov.__version__},
        call=call,
    )
