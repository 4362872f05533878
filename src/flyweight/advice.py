"""The public function that advises on a network or its name, and what it takes for one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from flyweight import advising
from flyweight.advising import Advice
from flyweight.api import to_time
from flyweight.engines import Array
from flyweight.errors import UsageError
from flyweight.graph.from_onnx import from_onnx
from flyweight.measuring import Progress


def to_advise(model_or_name: nn.Module | str) -> nn.Module:
    """The network of `to_time`, or the one that an ONNX file holds.

    Raises:
        UsageError: as for `to_time`, or a file that isn't there or is no ONNX model of one input.
        CaptureError: an ONNX model with operators that can't be read; the message names them.
    """
    if isinstance(model_or_name, str) and model_or_name.endswith(".onnx"):
        return from_onnx(Path(model_or_name))
    return to_time(model_or_name)


def advise(
    model_or_name: nn.Module | str,
    example: Array | Tensor | Sequence[int] = (1, 3, 224, 224),
    engine: str | None = None,
    threads: int | None = None,
    budget_s: float = 120.0,
    network: str | None = None,
    told: Callable[[str], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Advice:
    """Say why a network is slow and what would help, with proof. The network is not changed.

    Every piece of advice is timed against the network as it is, interleaved, and kept only where
    the ratio's confidence interval excludes 1 (docs/advise.md).

    Args:
        model_or_name: as for `compile`, or an .onnx file.
        example: an input, float32; or its shape, for random images.
        engine: on which the network is run now; None is "onnxruntime".
        threads: CPU threads, if no others are to be tried; None is 1.
        budget_s: seconds for all of it.
        network: what to call it; its own name otherwise.
        told: called with what is being done.
        progress: called between rounds of measurements.

    Raises:
        UsageError: an unknown name or engine, one that doesn't tell its operations apart, threads
            below 1, an example that isn't float32, or a network that doesn't run on it.
        FlyweightError: an engine that isn't installed.
        CaptureError: a network that the engine can't run.
    """
    if isinstance(example, Tensor):
        array = example.detach().cpu().numpy()
    elif isinstance(example, np.ndarray):
        array = example
    else:
        array = np.random.default_rng(0).standard_normal(tuple(example), np.float32)
    if array.dtype != np.float32:
        raise UsageError(f"the example must be float32, not {array.dtype}")
    setting = advising.Setting(engine or "onnxruntime", 1 if threads is None else threads)
    return advising.advise_model(
        to_advise(model_or_name), np.ascontiguousarray(array), setting, budget_s, threads is None,
        network, told, progress,
    )  # fmt: skip
