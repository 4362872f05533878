"""NNCF's quantisation of OpenVINO models: `nncf.quantize`.

It puts FakeQuantize operations around what is to run in int8 and corrects biases by the mean error
that quantised weights make; the CPU plugin turns them into integer operators.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import openvino as ov
import openvino.passes

from flyweight.engines import Array, Options, Runner
from flyweight.engines.open_vino import compiled_model, runner_of, settings_of
from flyweight.errors import CaptureError, FlyweightError, first_line
from flyweight.exporting.describing import as_text
from flyweight.graph.capture import quiet
from flyweight.quantizing.layers import kept, layers_of
from flyweight.quantizing.photographs import Calibration
from flyweight.quantizing.settings import Settings

# Otherwise NNCF reports its use to a server, without asking; there is no other switch for it.
os.environ.setdefault("NNCF_CI", "1")
import nncf

_OVERFLOW = {
    "first": nncf.OverflowFix.FIRST_LAYER,
    "all": nncf.OverflowFix.ENABLE,
    "none": nncf.OverflowFix.DISABLE,
}


def write_float(proto: onnx.ModelProto, path: Path) -> None:
    """Write an .xml file and a .bin file in float32 (see `Quantizer`)."""
    ov.save_model(_read(proto), path, compress_to_fp16=False)


def write_int8(
    proto: onnx.ModelProto,
    calibration: Calibration,
    settings: Settings,
    entries: Mapping[str, Any],
    path: Path,
) -> None:
    """Write an .xml file and a .bin file in int8 (see `Quantizer`)."""
    model = _read(proto)
    nodes = [layer.node for layer in kept(layers_of(proto), settings.keep)]
    # The ONNX reader makes two operations of a node with a bias.
    names = {name for node in nodes for name in (node, f"{node}/WithoutBiases")}
    ignored = [op.get_friendly_name() for op in model.get_ops() if op.get_friendly_name() in names]
    try:
        with quiet():
            written = nncf.quantize(
                model,
                nncf.Dataset(list(calibration.inputs())),
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(calibration),
                fast_bias_correction=True,
                ignored_scope=nncf.IgnoredScope(names=ignored),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=_OVERFLOW[settings.spare_bit]
                ),
            )
    except Exception as error:  # the tool raises all kinds
        raise FlyweightError(
            f"nncf.quantize failed: {type(error).__name__}: {first_line(error)}"
        ) from error
    for key, value in as_text(entries).items():
        written.set_rt_info(value, ["flyweight", key])
    ov.save_model(written, path, compress_to_fp16=False)


def _read(proto: onnx.ModelProto) -> Any:
    """The network, its constants folded.

    The ONNX reader reshapes the weights of grouped and depthwise convolutions in the graph. Left
    there, NNCF takes their scales along a wrong axis, and they never become int8.
    """
    try:
        model = ov.Core().read_model(proto.SerializeToString())
    except Exception as error:
        raise CaptureError(f"OpenVINO refuses the network: {first_line(error)}") from error
    manager = ov.passes.Manager()
    manager.register_pass(ov.passes.ConstantFolding())
    manager.run_passes(model)
    return model


def load(path: Path, network: str, example: Array, threads: int, dtype: str) -> Runner:
    """An infer request of the CPU, for as many images as the example has (see `Quantizer`)."""
    options = Options(threads)
    compiled = compiled_model(path, network, settings_of(options), example.shape)
    runner = runner_of(compiled, network, example, options)
    libraries = {**runner.libraries, "nncf": nncf.__version__}
    return replace(runner, dtype=dtype, lowered=True, libraries=libraries)


def about(settings: Settings) -> Mapping[str, str]:
    """What the tool does (see `Quantizer`)."""
    return {
        "tool": f"nncf.quantize {nncf.__version__}, for OpenVINO {ov.__version__}",
        "weights": "int8, per output channel, symmetric",
        "activations": "uint8, or int8 where they have both signs; symmetric",
        "calibration": "the mean of each image's smallest and largest value; biases corrected",
        "spare_bit": settings.spare_bit,
        "keep": json.dumps(settings.keep),
    }
