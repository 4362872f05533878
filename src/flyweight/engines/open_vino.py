"""OpenVINO's CPU plugin."""

from pathlib import Path
from typing import Any

import openvino as ov
import torch
from torch import nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.graph import exported
from flyweight.nn import label

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def check(options: Options) -> None:
    """Refuse a precision that the plugin would silently replace by float32.

    Raises:
        UsageError: bfloat16 on a CPU without its instructions.
    """
    if options.precision == "bfloat16" and not has_bf16():
        raise UsageError(
            "this CPU has no bf16 instructions, so OpenVINO would run in float32: leave"
            " bfloat16 out, or use a CPU with avx512_bf16 or amx_bf16"
        )


def has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this CPU."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _precision(compiled: Any) -> str:
    """The precision that a compiled model runs in, which may not be what was asked for."""
    name = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    return next((known for known, hint in _HINTS.items() if hint == name), str(name))


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner over an infer request (see `Prepare`).

    Raises:
        UsageError: bfloat16 on a CPU without its instructions.
        CaptureError: the module can't be exported, or OpenVINO refuses it.
    """
    check(options)
    onnx_bytes = exported(model, torch.from_numpy(example))
    return from_onnx(onnx_bytes, label(model), example, options)


def settings_of(options: Options) -> dict[str, str]:
    """What the plugin is told."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(options.threads),
        # On CPUs with bf16 the plugin would run in bf16 without being asked.
        "INFERENCE_PRECISION_HINT": _HINTS[options.precision],
    }


def compiled_model(
    model: bytes | Path,
    network: str,
    settings: dict[str, str],
    shape: tuple[int, ...] | None = None,
) -> Any:
    """A model compiled for the CPU.

    Args:
        model: of ONNX, or a file of OpenVINO's.
        network: what people call it.
        settings: what the plugin is told.
        shape: of the input, where the model leaves it open.

    Raises:
        CaptureError: OpenVINO refuses the model.
    """
    try:
        core = ov.Core()
        read = core.read_model(model)
        if shape is not None:
            read.reshape(list(shape))
        return core.compile_model(read, "CPU", settings)
    except Exception as error:
        raise CaptureError(f"OpenVINO refuses {network}: {first_line(error)}") from error


def from_onnx(onnx_bytes: bytes, network: str, example: Array, options: Options) -> Runner:
    """A runner over an infer request of an ONNX model.

    Args:
        onnx_bytes: what `to_onnx` returns.
        network: what the runner is to call it.
        example: an input of the model.
        options: how to run it.

    Raises:
        CaptureError: OpenVINO refuses the model.
    """
    compiled = compiled_model(onnx_bytes, network, settings_of(options))
    return runner_of(compiled, network, example, options)


def runner_of(compiled: Any, network: str, example: Array, options: Options) -> Runner:
    """A runner over a model that was compiled with these options (see `from_onnx`)."""
    request = compiled.create_infer_request()
    count = len(compiled.outputs)

    def call(x: Array) -> Array | tuple[Array, ...]:
        request.infer([x], share_inputs=True)
        outputs = tuple(request.get_output_tensor(i).data.copy() for i in range(count))
        return outputs[0] if count == 1 else outputs

    return Runner(
        engine="openvino",
        network=network,
        threads=options.threads,
        example=example,
        dtype=_precision(compiled),
        layout="NCHW",
        libraries={"torch": torch.__version__, "openvino": ov.__version__},
        call=call,
    )
