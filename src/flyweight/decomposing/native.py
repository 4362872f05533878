"""The native engine's steps, timed by a clock in the compiled network.

The plan is known, so every step is: its module, its shapes, what it costs. Steps that are done
together, a few rows at a time, are timed one by one, and their times are added up; what it takes to
move rows for them counts with the first one.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from flyweight.decomposing.kinds import IN_AND_OUT, kind_of_native
from flyweight.decomposing.profile import Operation, Profile, Timing, typical
from flyweight.engines import Array, Options
from flyweight.errors import FlyweightError
from flyweight.native.building import host_isa
from flyweight.native.clocking import ClockedNetwork
from flyweight.native.compiling import plan_network
from flyweight.native.explaining import ExplainedStep, explanation_of
from flyweight.native.interface import input_dimensions, output_dimensions
from flyweight.native.nodes import AnyNode, Convolution, Elementwise
from flyweight.native.plan import Plan
from flyweight.nn import label

HOW = "a clock in the C code, read after every step"


class NativeProfiler:
    """A compiled network with a clock in it (see `Profiler`).

    Raises:
        CaptureError: the module can't be captured, or has an operation that the engine hasn't.
        FlyweightError: no compiler, or one that fails.
    """

    def __init__(self, model: nn.Module, example: Array, options: Options) -> None:
        name = label(model)
        with torch.no_grad():
            plan, emitted = plan_network(
                model, torch.zeros(example.shape), name, host_isa(), options.image, options.tune
            )
        self.example = example
        self._network = ClockedNetwork(emitted, plan, options.threads)
        self._operations = operations_of(plan, name, len(example))
        self._calls = 0
        self._rounds: list[list[float]] = []
        self._all_calls = 0

    def __call__(self, x: Array) -> Any:
        """Run the network, profiled."""
        self._calls += 1
        return self._network(x)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """A round: what the clock says of its calls."""
        self._network.spent()
        self._calls = 0
        yield
        if self._calls:
            self._rounds.append((self._network.spent() * 1e-9 / self._calls).tolist())
            self._all_calls += self._calls

    def finish(self, calls_s: Sequence[float]) -> Profile:
        """What the rounds say.

        Raises:
            FlyweightError: there was none.
        """
        if not self._rounds:
            raise FlyweightError("the clock saw no calls")
        seconds, whole = typical(self._rounds, calls_s)
        timings = tuple(map(Timing, self._operations, seconds))
        return Profile(timings, whole, len(timings), self._all_calls)

    def close(self) -> None:
        """Nothing is left."""


def operations_of(plan: Plan, network: str, batch: int) -> tuple[Operation, ...]:
    """Reading the images, the steps of a plan, and putting out the results."""
    explained = explanation_of(plan, network, tuned=False, weights_bytes=0)
    steps = [
        _operation(step.node, said, batch)
        for step, said in zip(plan.steps, explained.steps, strict=True)
    ]
    read = batch * math.prod(input_dimensions(plan))
    size = 4 if plan.image.dtype == "float32" else 1
    shapes = [output_dimensions(output) for output in plan.outputs]
    written = batch * sum(math.prod(shape) for shape in shapes)
    return (
        Operation(
            "", "read images", IN_AND_OUT, (batch, *input_dimensions(plan)), 0, 2 * read,
            (size + 4) * read,
        ),
        *steps,
        Operation("", "put out", IN_AND_OUT, (batch, *shapes[0]), 0, 2 * written, 8 * written),
    )  # fmt: skip


def _operation(node: AnyNode, said: ExplainedStep, batch: int) -> Operation:
    depthwise = isinstance(node, Convolution) and node.depthwise
    copies = isinstance(node, Elementwise) and node.operation == "COPY" and node.finish.none
    words = [said.kind, *said.fused]
    return Operation(
        name=said.module,
        operation=", ".join(dict.fromkeys(words)),
        kind=kind_of_native(type(node).__name__, depthwise, copies),
        output=(batch, *said.output),
        madds=batch * said.madds,
        elements=batch * said.bytes // 4,
        bytes=batch * said.bytes,
    )
