"""Which layers int8 hurts: the network's scores when one layer alone is quantised."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flyweight.engines import Array
from flyweight.exporting import Source
from flyweight.quantizing import onnx_runtime
from flyweight.quantizing.layers import Layer, kept, layers_of
from flyweight.quantizing.photographs import Photographs
from flyweight.quantizing.preparing import lowered_onnx, prepared
from flyweight.quantizing.settings import Settings
from flyweight.quantizing.tools import scores_of

IMAGES = 16
"""Images to calibrate on and to compare scores on: enough to order layers by."""


@dataclass(frozen=True)
class Sensitive:
    """A layer, and how far it alone moves the network's scores.

    Attributes:
        layer: which.
        signal_to_noise: in decibels, 10 log10 of the scores' variance over the mean square of their
            error: the lower, the worse. Infinite where nothing changes.
    """

    layer: Layer
    signal_to_noise: float


def sensitive_layers(
    source: Source,
    photographs: Photographs,
    settings: Settings | None = None,
    threads: int = 1,
    show: Callable[[str, float], None] = lambda text, share: None,
) -> tuple[Sensitive, ...]:
    """The layers of a network by what int8 does to them, the worst first.

    It is found with ONNX Runtime's tool and engine, by quantising one layer at a time.

    Args:
        source: as for `quantize`.
        photographs: of which `IMAGES` of those to calibrate on are used.
        settings: layers that are kept are left out.
        threads: CPU threads.
        show: called before each layer.

    Raises:
        UsageError: as for `quantize`.
        WeightsError: likewise.
        CaptureError: likewise.
        FlyweightError: the tool fails, or images can't be read.
    """
    settings = settings or Settings()
    subject = prepared(source, photographs, replace(settings, images=IMAGES))
    images = subject.calibration
    proto, _ = lowered_onnx(subject, "onnxruntime")
    layers = layers_of(proto)
    left_out = kept(layers, settings.keep)
    layers = tuple(layer for layer in layers if layer not in left_out)
    found = []
    with tempfile.TemporaryDirectory(prefix="flyweight.") as folder:
        path = Path(folder, "one.onnx")

        def scores(dtype: str) -> Array:
            runner = onnx_runtime.load(
                path, subject.source.network, subject.example, threads, dtype
            )
            return np.concatenate([scores_of(runner, x) for x in images.inputs()])

        onnx_runtime.write_float(proto, path)
        expected = scores("float32")
        for number, layer in enumerate(layers):
            show(f"{layer.name} alone in int8", number / len(layers))
            onnx_runtime.quantized(proto, images, settings, path, only=layer.nodes)
            found.append(Sensitive(layer, signal_to_noise(expected, scores("int8"))))
    return tuple(sorted(found, key=lambda one: one.signal_to_noise))


def signal_to_noise(expected: Array, found: Array) -> float:
    """Decibels: the variance of what is expected over the mean square of the difference."""
    signal = float(np.var(expected, dtype=np.float64))
    noise = float(np.mean(np.square(found.astype(np.float64) - expected)))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
