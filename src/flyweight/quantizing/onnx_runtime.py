"""ONNX Runtime's own quantisation: `onnxruntime.quantization.quantize_static`.

It writes an ONNX file in which pairs of QuantizeLinear and DequantizeLinear stand around what is to
run in int8 (the "QDQ" form); the session fuses them into integer operators. Weights are int8, per
output channel and symmetric; activations uint8, per tensor, with the zero point where calibration
puts it. uint8 weights, which could not overflow either, are not offered: where their zero points
differ between channels the session doesn't fuse, and MobileNetV2 ran several times slower than in
float32.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from flyweight.engines import Array, Options, Runner
from flyweight.engines.onnx_runtime import runner_of, session_of, settings_of
from flyweight.errors import FlyweightError, first_line
from flyweight.exporting.describing import as_text
from flyweight.graph.capture import quiet
from flyweight.quantizing.guarding import guarded
from flyweight.quantizing.layers import kept, layers_of
from flyweight.quantizing.photographs import Calibration
from flyweight.quantizing.settings import Settings

BATCH = "batch"
"""What `flyweight.exporting.onnx_file` calls the number of images."""


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Images, as the tool asks for them."""

    def __init__(self, calibration: Calibration, name: str) -> None:
        self.inputs: Iterator[Array] = calibration.inputs()
        self.name = name

    def get_next(self) -> dict[str, Array] | None:
        """The next image; None at the end."""
        image = next(self.inputs, None)
        return None if image is None else {self.name: image}


def write_float(proto: onnx.ModelProto, path: Path) -> None:
    """Write the ONNX model as it is (see `Quantizer`)."""
    onnx.save_model(proto, path)


def write_int8(
    proto: onnx.ModelProto,
    calibration: Calibration,
    settings: Settings,
    entries: Mapping[str, Any],
    path: Path,
) -> None:
    """Write the model in the QDQ form (see `Quantizer`)."""
    layers = layers_of(proto)
    excluded = [layer.node for layer in kept(layers, settings.keep)]
    quantized(proto, calibration, settings, path, excluded=excluded)
    written = onnx.load_model(path)
    guarded(written, excluded)
    onnx.helper.set_model_props(written, as_text(entries))
    onnx.save_model(written, path)


def quantized(
    proto: onnx.ModelProto,
    calibration: Calibration,
    settings: Settings,
    path: Path,
    excluded: list[str] | None = None,
    only: list[str] | None = None,
) -> None:
    """Run the tool.

    Args:
        proto: the network.
        calibration: images.
        settings: of which `spare_bit` is read.
        path: where to.
        excluded: nodes that stay in float32.
        only: the nodes that don't; None for all others.

    Raises:
        FlyweightError: the tool fails.
    """
    first = next((layer for layer in layers_of(proto) if layer.op == "Conv"), None)
    overrides: dict[str, list[dict[str, Any]]] = {}
    asked = first is not None and first.node not in (excluded or ()) and (
        only is None or first.node in only
    )  # fmt: skip
    if first is not None and asked and settings.spare_bit == "first":
        overrides[first.weight] = [{"axis": 0, "reduce_range": True}]
    # Given a model rather than a file, the tool moves the caller's weights to a file of its own.
    source = path.with_name(f"{path.stem}.float32.onnx")
    try:
        onnx.save_model(proto, source)
        with quiet():
            quantize_static(
                str(source),
                str(path),
                _Reader(calibration, proto.graph.input[0].name),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=settings.spare_bit == "all",
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=only,
                nodes_to_exclude=excluded or [],
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={"TensorQuantOverrides": overrides},
            )
    except Exception as error:  # the tool raises all kinds
        raise FlyweightError(
            f"ONNX Runtime's quantize_static failed: {type(error).__name__}: {first_line(error)}"
        ) from error
    finally:
        source.unlink(missing_ok=True)


def load(path: Path, network: str, example: Array, threads: int, dtype: str) -> Runner:
    """A session of the CPU, for as many images as the example has (see `Quantizer`)."""
    options = Options(threads)
    settings = settings_of(options)
    settings.add_free_dimension_override_by_name(BATCH, example.shape[0])
    runner = runner_of(session_of(path, network, settings), network, example, options)
    return replace(runner, dtype=dtype, lowered=True)


def about(settings: Settings) -> Mapping[str, str]:
    """What the tool does (see `Quantizer`)."""
    return {
        "tool": f"onnxruntime.quantization.quantize_static {ort.__version__}, QDQ",
        "weights": "int8, per output channel, symmetric",
        "activations": "uint8, per tensor, asymmetric",
        "calibration": "MinMax: the smallest and the largest value on all images",
        "spare_bit": settings.spare_bit,
        "keep": json.dumps(settings.keep),
    }
