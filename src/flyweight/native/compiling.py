"""From a module to a compiled network."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from flyweight.graph import capture, frozen_copy
from flyweight.graph.program import Conv, Linear, Program, Step
from flyweight.graph.reading import read_program
from flyweight.lowering import rewrites
from flyweight.native.blocks import Shape, fixed_block
from flyweight.native.building import build, host_flags, host_isa
from flyweight.native.emitting import Emitted, emit
from flyweight.native.isa import Isa
from flyweight.native.ordering import reorder
from flyweight.native.plan import Block, ImageFormat, Plan
from flyweight.native.planning import Choose, plan_of
from flyweight.native.rephrasing import rephrase
from flyweight.native.running import Network
from flyweight.native.tuning import tuner

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Compiled:
    """A network that can run, and the plan that it follows."""

    plan: Plan
    emitted: Emitted
    network: Network


def program_of(model: nn.Module, example: torch.Tensor) -> Program:
    """A network's program after all exact rewrites that cost the native engine nothing.

    Raises:
        CaptureError: the module can't be captured.
    """
    captured = capture(frozen_copy(model).cpu(), example, dynamic_batch=True)
    program = read_program(captured)
    rephrase(program)
    rewrites.drop_unread(program)
    rewrites.merge_equal(program)
    rewrites.fold_norms_back(program)
    rewrites.fold_norms_ahead(program)
    rewrites.merge_siblings(program)
    reorder(program)
    return program


def plan_network(
    model: nn.Module,
    example: torch.Tensor,
    network: str,
    isa: Isa,
    image: ImageFormat | None = None,
    tune: bool = False,
    told: Told | None = None,
) -> tuple[Plan, Emitted]:
    """Plan a network, and write it as C.

    Args:
        model: any module of one input.
        example: images of the shape that it is to run on.
        network: what to call it.
        isa: for which vectors.
        image: what the caller's images are.
        tune: measure how convolutions are best cut up, or take what was measured before; a fixed
            rule otherwise.
        told: called with how many convolutions are planned, and how many there are.

    Raises:
        CaptureError: a network that can't be captured, or an operation that the engine hasn't.
        FlyweightError: no compiler to measure with, or nowhere to keep what was measured.
    """
    blocks = tuner(isa) if tune else None
    with torch.no_grad():
        program = program_of(model, example)
        choose = _watched(blocks or fixed_block, program, told)
        plan = plan_of(program, isa, image, choose)
        emitted = emit(plan, network)
    if blocks is not None:
        blocks.save()
    return plan, emitted


def _watched(choose: Choose, program: Program, told: Told | None) -> Choose:
    """The same choice, which tells how many were made before each."""
    if told is None:
        return choose
    count, done = sum(map(_is_cut_up, program.steps)), itertools.count()

    def watched(shape: Shape, isa: Isa) -> Block:
        before = next(done)
        told(before, max(count, before + 1))
        return choose(shape, isa)

    return watched


def _is_cut_up(step: Step) -> bool:
    """Whether a step of a program will have a block."""
    if isinstance(step, Conv):
        return step.groups == 1 or step.groups < step.out.channels
    return isinstance(step, Linear)


def compile_network(
    model: nn.Module,
    example: torch.Tensor,
    network: str,
    threads: int = 1,
    image: ImageFormat | None = None,
    isa: Isa | None = None,
    tune: bool = False,
) -> Compiled:
    """Compile a network for this machine.

    Args:
        model: any module of one input.
        example: images of the shape that it is to run on.
        network: what to call it.
        threads: that an instance uses.
        image: what the caller's images are.
        isa: for which vectors; None for this machine's.
        tune: measure how convolutions are best cut up, or take what was measured before; a fixed
            rule otherwise.

    Raises:
        CaptureError: a network that can't be captured, or an operation that the engine hasn't.
        FlyweightError: no compiler, one that fails, or nowhere to keep what it makes.
    """
    plan, emitted = plan_network(model, example, network, isa or host_isa(), image, tune)
    files = {f"{emitted.name}.h": emitted.header, f"{emitted.name}.c": emitted.source}
    library = build(files, f"{emitted.name}.c", host_flags())
    return Compiled(plan, emitted, Network(library, emitted.name, emitted.weights, threads))
