"""From a module to a compiled network."""

from dataclasses import dataclass

import torch
from torch import nn

from flyweight.graph import capture, frozen_copy
from flyweight.graph.program import Program
from flyweight.graph.reading import read_program
from flyweight.lowering import rewrites
from flyweight.native.blocks import fixed_block
from flyweight.native.building import build, host_flags, host_isa
from flyweight.native.emitting import Emitted, emit
from flyweight.native.isa import Isa
from flyweight.native.ordering import reorder
from flyweight.native.plan import ImageFormat, Plan
from flyweight.native.planning import plan_of
from flyweight.native.rephrasing import rephrase
from flyweight.native.running import Network
from flyweight.native.tuning import tuner


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
    isa = isa or host_isa()
    blocks = tuner(isa) if tune else None
    with torch.no_grad():
        plan = plan_of(program_of(model, example), isa, image, blocks or fixed_block)
        emitted = emit(plan, network)
    if blocks is not None:
        blocks.save()
    files = {f"{emitted.name}.h": emitted.header, f"{emitted.name}.c": emitted.source}
    library = build(files, f"{emitted.name}.c", host_flags())
    return Compiled(plan, emitted, Network(library, emitted.name, emitted.weights, threads))
