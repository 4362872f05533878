"""ONNX Runtime's own profile: a file of events, one for each node of each call."""

import bisect
import contextlib
import json
import math
import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from flyweight.decomposing.kinds import CONVOLUTION, kind_of_onnx
from flyweight.decomposing.onnx_nodes import OnnxNode, OnnxNodes
from flyweight.decomposing.profile import Operation, Profile, Timing, typical
from flyweight.engines import Array, Options
from flyweight.engines.onnx_runtime import session_of, settings_of
from flyweight.errors import FlyweightError
from flyweight.graph import exported
from flyweight.nn import label

HOW = "ONNX Runtime's profile"
_BEHIND = "_kernel_time"
_CUT_OFF = 0.5
"""Of a microsecond: the profile counts whole ones, and cuts off what is beyond."""
_SIZES = {"float": 4, "double": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int8": 1,
          "uint8": 1, "bool": 1}  # fmt: skip

_NORM = re.compile(r"(.+)_bn_nchwc(?:_token_\d+)?")
"""A batch norm on blocks of channels, which runs as a depthwise convolution: called after what it
puts out."""
_IN_PLACE = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Nodes whose output is their input's memory: nothing is moved."""

Event = Mapping[str, Any]


class OnnxRuntimeProfiler:
    """A session that writes a profile (see `Profiler`).

    Raises:
        UsageError: a precision that ONNX Runtime doesn't have here.
        CaptureError: the module can't be exported, or ONNX Runtime refuses it.
    """

    def __init__(self, model: nn.Module, example: Array, options: Options) -> None:
        content = exported(model, torch.from_numpy(example))
        self.example = example
        self._nodes = OnnxNodes(content)
        self._folder = tempfile.TemporaryDirectory(prefix="flyweight-")
        settings = settings_of(options)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(self._folder.name) / "profile")
        self._session = session_of(content, label(model), settings)
        self._input = self._session.get_inputs()[0].name
        self._calls = 0
        self._rounds: list[tuple[int, int]] = []
        self._open = True

    def __call__(self, x: Array) -> Any:
        """Run the network, profiled."""
        self._calls += 1
        return self._session.run(None, {self._input: np.ascontiguousarray(x)})

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """A round: remember which calls were made in it."""
        first = self._calls
        yield
        self._rounds.append((first, self._calls))

    def finish(self, calls_s: Sequence[float]) -> Profile:
        """What the file says of the rounds.

        Raises:
            FlyweightError: it isn't as such files are.
        """
        events = self._events()
        calls = _calls(events)
        rounds = [calls[a:b] for a, b in self._rounds if a < b <= len(calls)]
        if not rounds:
            raise FlyweightError("ONNX Runtime's profile has no calls")
        first = rounds[0][0]
        if any(call.keys() != first.keys() for calls_ in rounds for call in calls_):
            raise FlyweightError("ONNX Runtime's profile has other nodes from call to call")
        means = [[_seconds(calls, name) for name in first] for calls in rounds]
        seconds, whole = typical(means, calls_s)
        timings = tuple(
            Timing(self._operation(event), own)
            for event, own in zip(first.values(), seconds, strict=True)
        )
        return Profile(timings, whole, len(timings), sum(map(len, rounds)))

    def close(self) -> None:
        """Take the file away."""
        if self._open:
            self._session.end_profiling()
            self._open = False
        self._folder.cleanup()

    def _events(self) -> list[Event]:
        path = Path(self._session.end_profiling())
        self._open = False
        try:
            events: list[Event] = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError) as error:
            raise FlyweightError(f"can't read ONNX Runtime's profile: {error}") from error
        return events

    def _operation(self, event: Event) -> Operation:
        args = event["args"]
        operator, name = str(args["op_name"]), _name(event)
        if norm := _NORM.fullmatch(name):
            node = self._nodes.find((norm[1],), False)
            return operation_of("BatchNormalization", name, args, node)
        product = kind_of_onnx(operator, False) == CONVOLUTION
        node = self._nodes.find(_names(name), product)
        return operation_of(operator, name, args, node)


def operation_of(
    operator: str, name: str, args: Mapping[str, Any], node: OnnxNode | None
) -> Operation:
    """An event as an operation.

    Multiply-adds are the network's where its node is known: ONNX Runtime pads channels up to whole
    blocks, and its shapes are the padded ones.

    Args:
        operator: of ONNX, or of those that ONNX Runtime adds.
        name: of the node.
        args: of the event.
        node: of the model, that it was made of.
    """
    read, written = (list(_tensors(args.get(f"{way}_type_shape"))) for way in ("input", "output"))
    shapes = [shape for _, shape in read]
    output = written[0][1] if written else ()
    product = kind_of_onnx(operator, False) == CONVOLUTION
    if node is not None and product:
        madds, depthwise = node.madds, node.depthwise
    elif product and len(shapes) > 1 and "Conv" in operator and output:
        madds = math.prod(output) * math.prod(shapes[1][1:])
        depthwise = shapes[1][1] == 1 and shapes[1][0] == shapes[0][1]
    else:
        madds, depthwise = 0, False
    elements = sum(math.prod(shape) for _, shape in (*read, *written))
    size = sum(math.prod(shape) * _SIZES.get(kind, 4) for kind, shape in (*read, *written))
    if operator in _IN_PLACE:
        elements = size = 0
    elif product and node is not None:
        # Weights that were packed before aren't among what it says that is read.
        packed = max(node.weights - sum(map(math.prod, shapes[1:])), 0)
        elements, size = elements + packed, size + 4 * packed
    return Operation(
        name=(node.module if node is not None else "") or name,
        operation=operator,
        kind=kind_of_onnx(operator, depthwise),
        output=output,
        madds=madds,
        elements=elements,
        bytes=size,
    )


def _tensors(shapes: object) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Types and shapes as an event has them: a list of dictionaries of one entry."""
    for entry in shapes if isinstance(shapes, list) else []:
        for kind, shape in entry.items():
            yield kind, tuple(int(size) for size in shape)


def _name(event: Event) -> str:
    return str(event["name"]).removesuffix(_BEHIND)


def _names(name: str) -> tuple[str, ...]:
    """What a node may have been called before ONNX Runtime changed it."""
    plain = name.partition("/")[0]
    return (plain, plain.removesuffix("_nchwc"), plain.removesuffix("_nhwc"))


def _calls(events: Sequence[Event]) -> list[dict[str, Event]]:
    """The nodes of each call by name, in the order in which they were done.

    The file's order differs from version to version; times tell which call a node belongs to.
    """
    runs = sorted(event["ts"] for event in events if event["name"] == "model_run")
    nodes = [e for e in events if e["cat"] == "Node" and e["name"].endswith(_BEHIND)]
    nodes.sort(key=lambda event: int(event["ts"]))
    starts = [bisect.bisect_right(runs, event["ts"]) - 1 for event in nodes]
    found: list[dict[str, Event]] = [{} for _ in runs]
    for call, node in zip(starts, nodes, strict=True):
        if call >= 0:
            found[call][_name(node)] = node
    return found


def _seconds(calls: Sequence[Mapping[str, Event]], name: str) -> float:
    """A node's mean time: where it varies, the mean has digits behind the microsecond."""
    return (statistics.fmean(call[name]["dur"] for call in calls) + _CUT_OFF) * 1e-6
