"""A plan for people: what is done in which order, how it is cut up, and what it takes."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from flyweight.graph.program import Operand
from flyweight.native.building import host_isa
from flyweight.native.compiling import Told, plan_network
from flyweight.native.emitting import used_tiles
from flyweight.native.interface import input_dimensions
from flyweight.native.isa import Isa
from flyweight.native.nodes import (
    AnyNode,
    Convolution,
    Elementwise,
    Finish,
    Gather,
    Limits,
    Pool,
    Softmax,
    area,
)
from flyweight.native.plan import Block, Plan


@dataclass(frozen=True)
class ExplainedStep:
    """A step of a plan; shapes are channels, height, width.

    Attributes:
        kind: what is done, e.g. "conv 3x3 s2".
        module: the module that asked for it.
        inputs: shapes of what it reads.
        output: shape of what it puts out.
        madds: multiply-adds of convolutions and linear layers.
        share: of all multiply-adds: of the least time that arithmetic alone can take.
        bytes: of activations and weights that are read or written.
        block: how a convolution that isn't depthwise is cut up.
        fused: what happens to its results before they are stored, in this order.
        rows: of its output that are done at a time, in a chain of steps; 0 for all.
        inside: whether no more of its output is ever there, since the next step of the chain reads
            it at once.
        groups_abreast: how many narrow groups share each of its vectors; 0 where none do.
    """

    kind: str
    module: str
    inputs: tuple[tuple[int, int, int], ...]
    output: tuple[int, int, int]
    madds: int
    share: float
    bytes: int
    block: Block | None
    fused: tuple[str, ...]
    rows: int = 0
    inside: bool = False
    groups_abreast: int = 0


@dataclass(frozen=True)
class Explanation:
    """How a network is computed.

    Attributes:
        network: its name.
        cpu: the instruction set that it is planned for.
        image: dimensions of one image, as the caller has it.
        tuned: whether blocks were chosen by measuring.
        steps: in the order in which they are done.
        madds: multiply-adds of all steps.
        weights_bytes: of the packed weights and the tables of offsets.
        memory_bytes: of the activations of an instance.
        unshared_bytes: what they would take if no two shared memory.
        gathers: steps that only put channels side by side.
        tiles: pixels and vectors of the tiles that are compiled; the last vector can be a half.
    """

    network: str
    cpu: str
    image: tuple[int, ...]
    tuned: bool
    steps: tuple[ExplainedStep, ...]
    madds: int
    weights_bytes: int
    memory_bytes: int
    unshared_bytes: int
    gathers: int
    tiles: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def explain(
    model: nn.Module,
    example: torch.Tensor,
    network: str,
    isa: Isa | None = None,
    tune: bool = True,
    told: Told | None = None,
) -> Explanation:
    """Plan a network as the engine does, and say how.

    Args:
        model: any module of one input.
        example: images of the shape that it is to run on.
        network: what to call it.
        isa: for which vectors; None for this machine's.
        tune: choose blocks by measuring, where it is this machine that is planned for.
        told: called with how many convolutions are planned, and how many there are.

    Raises:
        CaptureError: a network that can't be captured, or an operation that the engine hasn't.
        FlyweightError: no compiler to measure with, or nowhere to keep what was measured.
    """
    tune = tune and isa is None
    isa = isa or host_isa()
    plan, emitted = plan_network(model, example, network, isa, tune=tune, told=told)
    return explanation_of(plan, network, tune, len(emitted.weights))


def explanation_of(plan: Plan, network: str, tuned: bool, weights_bytes: int) -> Explanation:
    """What there is to say of a plan."""
    madds = sum(step.madds for step in plan.steps)
    return Explanation(
        network=network,
        cpu=plan.isa.name,
        image=input_dimensions(plan),
        tuned=tuned,
        steps=tuple(_explained(plan, i, madds) for i in range(len(plan.steps))),
        madds=madds,
        weights_bytes=weights_bytes,
        memory_bytes=plan.memory_bytes(),
        unshared_bytes=4 * sum(buffer.whole for buffer in plan.buffers.values()),
        gathers=sum(isinstance(step.node, Gather) for step in plan.steps),
        tiles=tuple(
            map(str, sorted({tile for used in used_tiles(plan).values() for tile in used}))
        ),
    )


def _explained(plan: Plan, number: int, madds: int) -> ExplainedStep:
    step, chain = plan.steps[number], plan.chain_at(number)
    node, out = step.node, step.out
    read = [node.x]
    if isinstance(node, Elementwise) and node.other is not None:
        read.append(node.other)
    alone = isinstance(node, Elementwise) and node.operation == "COPY"
    finish = _finish(node.finish)
    return ExplainedStep(
        kind=", ".join(finish) or "copy" if alone else _kind(node),
        module=node.where,
        inputs=tuple(_shape(operand) for operand in read),
        output=(out.channels, out.height, out.width),
        madds=step.madds,
        share=step.madds / madds if madds else 0.0,
        bytes=step.bytes,
        block=step.block,
        fused=() if alone else finish,
        rows=out.kept or (chain.rows if chain else 0),
        inside=out.kept > 0,
        groups_abreast=node.abreast.groups if isinstance(node, Convolution) and node.abreast else 0,
    )


def _shape(operand: Operand) -> tuple[int, int, int]:
    height, width = area(operand.space)
    return len(operand.ids), height, width


def _kind(node: AnyNode) -> str:
    if isinstance(node, Convolution):
        return _convolution(node)
    if isinstance(node, Pool):
        return _pool(node)
    if isinstance(node, Elementwise):
        return {"FROM": "subtract from"}.get(node.operation, node.operation.lower())
    if isinstance(node, Softmax):
        return "log softmax" if node.logarithm else "softmax"
    return type(node).__name__.lower()


def _convolution(node: Convolution) -> str:
    if not node.out.space:
        return "linear"
    kind = "depthwise" if node.depthwise else "conv"
    groups = f" g{node.groups}" if node.groups > 1 and not node.depthwise else ""
    kernel = (node.weight.shape[2], node.weight.shape[3])
    way = " winograd" if node.winograd else ""
    return f"{kind} {_window(kernel, node.stride, node.dilation)}{groups}{way}"


_POOLS = {"LARGEST": "max", "SMALLEST": "min", "AVERAGE": "average", "TOTAL": "sum"}


def _pool(node: Pool) -> str:
    kind, whole = _POOLS[node.kind], node.adaptive or node.kernel == area(node.x.space)
    if whole and area(node.out.space) == (1, 1):
        return f"global {kind}"
    if node.adaptive:
        return f"adaptive {kind}"
    return f"{kind} pool {_window(node.kernel, node.stride, node.dilation)}"


def _window(kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> str:
    words = [f"{kernel[0]}x{kernel[1]}"]
    for letter, (down, right) in (("s", stride), ("d", dilation)):
        if (down, right) != (1, 1):
            words.append(f"{letter}{down}" if down == right else f"{letter}{down}x{right}")
    return " ".join(words)


def _finish(finish: Finish) -> tuple[str, ...]:
    """What is fused into a step, in words."""
    found = [_limits(finish.before)]
    found.append("add" if finish.residual is not None else "")
    found.append(_limits(finish.after))
    found.append(finish.curve.name.lower().replace("_", " ") if finish.curve else "")
    return tuple(word for word in found if word)


def _limits(limits: Limits) -> str:
    if limits.none:
        return ""
    if limits == Limits(0.0, math.inf):
        return "relu"
    return "relu6" if limits == Limits(0.0, 6.0) else f"clamp {limits.low:g}..{limits.high:g}"
