"""ONNX Runtime's CPU provider.

It has no bfloat16 arithmetic: a model of bf16 tensors doesn't load. What it has is a setting for
Arm64 CPUs with bf16 instructions, under which a float32 model's matrix products, and from newer
versions on its convolutions, are computed in bf16 and added up in float32; tensors between
operations stay float32. Runners say "bfloat16 products" for it. On other CPUs the setting does
nothing, so bfloat16 is refused there.
"""

import platform
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from flyweight.engines.protocol import Array, Options, Runner
from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.graph import exported
from flyweight.nn import label

_ERRORS_ONLY = 3
_BF16_PRODUCTS = "mlas.enable_gemm_fastmath_arm64_bfloat16"


def check(options: Options) -> None:
    """Refuse a precision that would silently be float32.

    Raises:
        UsageError: bfloat16 elsewhere than on Linux on an Arm64 CPU with bf16 instructions.
    """
    if options.precision == "bfloat16" and not has_bf16():
        raise UsageError(
            "ONNX Runtime computes in bf16 only on Arm64 CPUs that have it, under Linux: on this"
            f" {platform.machine()} CPU leave out bfloat16 or engine 'onnxruntime'"
        )


def has_bf16() -> bool:
    """Whether the setting for products in bf16 has an effect here."""
    if sys.platform != "linux" or platform.machine() != "aarch64":
        return False
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.startswith("Features") and "bf16" in line.split() for line in lines)


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner over an inference session (see `Prepare`).

    Raises:
        UsageError: bfloat16 on a CPU where ONNX Runtime has none.
        CaptureError: the module can't be exported, or ONNX Runtime refuses it.
    """
    check(options)
    onnx_bytes = exported(model, torch.from_numpy(example))
    return from_onnx(onnx_bytes, label(model), example, options)


def settings_of(options: Options) -> ort.SessionOptions:
    """What a session is told."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _ERRORS_ONLY
    # Idle threads of one runner would otherwise spin while another one is timed.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    if options.precision == "bfloat16":
        settings.add_session_config_entry(_BF16_PRODUCTS, "1")
    return settings


def session_of(
    model: bytes | Path, network: str, settings: ort.SessionOptions
) -> ort.InferenceSession:
    """A session on the CPU, of an ONNX model or a file of one.

    Raises:
        CaptureError: ONNX Runtime refuses the model.
    """
    try:
        return ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CaptureError(f"ONNX Runtime refuses {network}: {first_line(error)}") from error


def from_onnx(onnx_bytes: bytes, network: str, example: Array, options: Options) -> Runner:
    """A runner over a session of an ONNX model.

    Args:
        onnx_bytes: what `to_onnx` returns.
        network: what the runner is to call it.
        example: an input of the model.
        options: how to run it.

    Raises:
        CaptureError: ONNX Runtime refuses the model.
    """
    session = session_of(onnx_bytes, network, settings_of(options))
    return runner_of(session, network, example, options)


def runner_of(
    session: ort.InferenceSession, network: str, example: Array, options: Options
) -> Runner:
    """A runner over a session that was made with these options (see `from_onnx`)."""
    name = session.get_inputs()[0].name

    def call(x: Array) -> Array | tuple[Array, ...]:
        outputs = session.run(None, {name: np.ascontiguousarray(x)})
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return Runner(
        engine="onnxruntime",
        network=network,
        threads=options.threads,
        example=example,
        dtype="bfloat16 products" if options.precision == "bfloat16" else "float32",
        layout="NCHW",
        libraries={"torch": torch.__version__, "onnxruntime": ort.__version__},
        call=call,
    )
