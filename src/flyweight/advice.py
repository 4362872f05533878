"""The public function that advises on a network or its name, and what it takes for one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from flyweight import advising
from flyweight.advising import Advice
from flyweight.advising.preparing import AGREEMENT, error_of
from flyweight.api import to_time
from flyweight.engines import Array
from flyweight.errors import CaptureError, UsageError, first_line
from flyweight.graph import check_runs
from flyweight.graph.from_onnx import OnnxNetwork, from_onnx
from flyweight.measuring import Progress

IMAGE = (1, 3, 224, 224)
"""What a network is advised on where nothing says its input's shape."""
_FATAL = 4
"""ONNX Runtime then says nothing of its own: its errors become ours."""


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
    example: Array | Tensor | Sequence[int] | None = None,
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
        example: an input, float32; or its shape, for random images. None is the shape that an
            .onnx file declares, and (1, 3, 224, 224) for any other network.
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
        CaptureError: a network that the engine can't run, or a file that can't be read, or is read
            otherwise than ONNX Runtime does.
    """
    model = to_advise(model_or_name)
    if example is None:
        example = model.example_shape() if isinstance(model, OnnxNetwork) else IMAGE
    if isinstance(example, Tensor):
        array = example.detach().cpu().numpy()
    elif isinstance(example, np.ndarray):
        array = example
    else:
        array = np.random.default_rng(0).standard_normal(tuple(example), np.float32)
    if array.dtype != np.float32:
        raise UsageError(f"the example must be float32, not {array.dtype}")
    array = np.ascontiguousarray(array)
    if isinstance(model, OnnxNetwork):
        check_reading(model, array)
    setting = advising.Setting(engine or "onnxruntime", 1 if threads is None else threads)
    return advising.advise_model(
        model, array, setting, budget_s, threads is None, network, told, progress
    )


def check_reading(model: OnnxNetwork, example: Array) -> None:
    """Compare what was read from a file with what ONNX Runtime computes from it.

    Raises:
        UsageError: it doesn't run on the example.
        CaptureError: they differ, by more than 1e-3 of the largest value of an output.
    """
    path = model.path
    check_runs(model, torch.from_numpy(example))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        expected = session.run(None, {session.get_inputs()[0].name: example})
    except Exception as error:
        raise UsageError(
            f"{path}: ONNX Runtime doesn't run it on {example.shape}: {first_line(error)}"
        ) from error
    with torch.no_grad():
        found = tuple(one.numpy() for one in tree_leaves(model(torch.from_numpy(example))))
    difference = error_of(tuple(expected), found)
    if not difference <= AGREEMENT:
        raise CaptureError(
            f"{path} can't be read: what is understood of it differs from what ONNX Runtime"
            f" computes by {difference:.1e} of the largest value; please report this file"
        )
