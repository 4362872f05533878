"""OpenVINO's performance counters: the mean time of each layer of the plugin's own graph.

The plugin keeps sums over all calls and can't be told to forget them, so there is no time of a
single call. Three compiled models take turns, round by round, and the medians are over them.
"""

import contextlib
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from flyweight.decomposing.kinds import CONVOLUTION, MOVEMENT, kind_of_openvino
from flyweight.decomposing.onnx_nodes import OnnxNodes
from flyweight.decomposing.open_vino_layers import operation_of
from flyweight.decomposing.profile import Operation, Profile, Timing
from flyweight.engines import Array, Options
from flyweight.engines.open_vino import compiled_model, settings_of
from flyweight.errors import FlyweightError
from flyweight.graph import exported
from flyweight.nn import label

HOW = "OpenVINO's performance counters"
INSTANCES = 3
_CUT_OFF = 1.0
"""Of a microsecond: each call's time is cut off to whole ones, and their mean once more, by half of
one on average each time."""
_NOT_DONE = "not_executed"
_SIZES = {"f32": 4, "i32": 4, "u32": 4, "f16": 2, "bf16": 2, "i64": 8, "i8": 1, "u8": 1,
          "boolean": 1}  # fmt: skip


class OpenVinoProfiler:
    """Requests of models that count how long their layers take (see `Profiler`).

    Raises:
        CaptureError: the module can't be exported, or OpenVINO refuses it.
    """

    def __init__(self, model: nn.Module, example: Array, options: Options) -> None:
        content = exported(model, torch.from_numpy(example))
        self.example = example
        self._nodes = OnnxNodes(content)
        settings = {**settings_of(options), "PERF_COUNT": "YES"}
        name = label(model)
        self._models = [compiled_model(content, name, settings) for _ in range(INSTANCES)]
        self._requests = [model.create_infer_request() for model in self._models]
        self._calls = [0] * INSTANCES
        self._turn = 0

    def __call__(self, x: Array) -> Any:
        """Run the network, profiled."""
        self._calls[self._turn] += 1
        request = self._requests[self._turn]
        request.infer([x], share_inputs=True)
        return [tensor.data.copy() for tensor in request.output_tensors]

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """A round of one model; what is called from then on is the next one."""
        yield
        self._turn = (self._turn + 1) % INSTANCES

    def finish(self, calls_s: Sequence[float]) -> Profile:
        """What the counters say.

        Raises:
            FlyweightError: they count nothing.
        """
        graphs = [
            [layer for layer in model.get_runtime_model().get_ordered_ops() if _works(layer)]
            for model, calls in zip(self._models, self._calls, strict=True)
            if calls
        ]
        named = [dict(zip(_keys(graph), graph, strict=True)) for graph in graphs]
        if not named or not named[0] or any(one.keys() != named[0].keys() for one in named):
            raise FlyweightError("OpenVINO's counters have other layers from model to model")
        timings = []
        for key, layer in named[0].items():
            operation, took = self._operation(layer), [_took(one[key]) for one in named]
            # What moves data and takes no time is done in place: nothing is moved.
            if operation.kind != MOVEMENT or any(took):
                timings.append(Timing(operation, _seconds(took)))
        # Means are what there is of layers, so the call's time is one, too.
        return Profile(tuple(timings), statistics.fmean(calls_s), len(timings), sum(self._calls))

    def close(self) -> None:
        """Nothing is left."""

    def _operation(self, layer: Any) -> Operation:
        kind = _told(layer, "layerType")
        read = [(_shape(source), _size(source.get_node()), source.get_node().get_type_name())
                for source in layer.input_values()]  # fmt: skip
        names = [
            name.removesuffix("/WithoutBiases")
            for name in (layer.friendly_name, *_told(layer, "originalLayersNames").split(","))
        ]
        product = kind_of_openvino(kind, False, False) == CONVOLUTION
        return operation_of(
            kind,
            layer.friendly_name,
            [(shape, size) for shape, size, _ in read],
            [(_shape(port), _size(layer)) for port in layer.outputs()],
            self._nodes.find(names, product),
            any(source == "Parameter" for *_, source in read),
        )


def _told(layer: Any, what: str) -> str:
    """What the plugin's graph says of a layer."""
    told: Mapping[str, Any] = layer.rt_info
    return str(told[what].astype(str)) if what in told else ""


def _keys(graph: list[Any]) -> list[str]:
    """What layers are called in every model that is compiled of a network.

    Names that the plugin makes up end in a number that differs from model to model; those that are
    the same without it are told apart by their order.
    """
    found: list[str] = []
    for layer in graph:
        made_up = _told(layer, "layerType") != "Convolution"
        name = re.sub(r"_\d+", "_", layer.friendly_name) if made_up else layer.friendly_name
        found.append(f"{name} {sum(key.startswith(f'{name} ') for key in found)}")
    return found


def _took(layer: Any) -> float:
    """Microseconds; what takes less than one is said not to be executed."""
    told = _told(layer, "execTimeMcs")
    return 0.0 if told == _NOT_DONE else float(told)


def _works(layer: Any) -> bool:
    return _told(layer, "layerType") not in ("", "Const", "Input", "Output")


def _seconds(microseconds: list[float]) -> float:
    found = statistics.median(microseconds)
    return (found + _CUT_OFF if found else _CUT_OFF / 2) * 1e-6


def _shape(port: Any) -> tuple[int, ...]:
    shape = port.get_partial_shape()
    return tuple(int(size) for size in shape.to_shape()) if shape.is_static else ()


def _size(layer: Any) -> int:
    """Bytes of an element that a layer puts out."""
    return _SIZES.get(_told(layer, "outputPrecisions").split(",")[0], 4)
