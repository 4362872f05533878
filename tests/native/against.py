"""A network compiled to C, against the same network in double precision."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from flyweight.graph.program import Program
from flyweight.native.blocks import Shape, fixed_block
from flyweight.native.building import compile_shared, has_compiler, host_flags, host_isa
from flyweight.native.compiling import program_of
from flyweight.native.emitting import emit
from flyweight.native.isa import Isa
from flyweight.native.plan import Block, Plan
from flyweight.native.planning import plan_of
from flyweight.native.running import Network

Choose = Callable[[Shape, Isa], Block]

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler")

TOLERANCE = 1e-5
"""Of an output's largest value."""


def built(
    program: Program, isa: Isa | None = None, choose: Choose = fixed_block, threads: int = 1
) -> tuple[Plan, Network]:
    """A program compiled, which uses it up; without much optimisation, to save time.

    Code for longer vectors than the machine has is cut up by the compiler; to optimise it then
    takes far longer.
    """
    with torch.no_grad():
        plan = plan_of(program, isa or host_isa(), None, choose)
        emitted = emit(plan, "tested")
    level = "-O1" if plan.isa.lanes <= host_isa().lanes else "-O0"
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / f"{emitted.name}.c"
        source.write_text(emitted.source, encoding="utf-8")
        source.with_suffix(".h").write_text(emitted.header, encoding="utf-8")
        library = source.with_suffix(".so")
        compile_shared(source, library, (*host_flags(), level))
        return plan, Network(library, emitted.name, emitted.weights, threads)


def compiled(model: nn.Module, x: Tensor, threads: int = 1) -> tuple[Plan, Network]:
    """A module compiled for this machine."""
    return built(program_of(model, x[:1]), threads=threads)


def leaves(outputs: object) -> list[NDArray[np.float64]]:
    """What a module returned, as arrays."""
    return [leaf.detach().double().numpy() for leaf in tree_leaves(outputs)]


@torch.no_grad()
def exact(model: nn.Module, x: Tensor) -> list[NDArray[np.float64]]:
    """What a module computes in double precision."""
    return leaves(copy.deepcopy(model).double().eval()(x.double()))


def error(found: NDArray[np.generic], expected: NDArray[np.float64]) -> float:
    """The largest difference, relative to the largest value; what isn't finite is the same."""
    assert found.shape == expected.shape
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    difference = np.abs(found[finite] - expected[finite]).max(initial=0)
    return float(difference / np.abs(expected[finite]).max(initial=1e-30))


def check(model: nn.Module, x: Tensor, tolerance: float = TOLERANCE) -> Plan:
    """Compile a module and compare all its outputs; the plan.

    Where rounding takes single precision itself further from double (deep networks whose values
    cancel: IGCV, SqueezeNext), the engine may be as far as twice what PyTorch is.
    """
    model.eval()
    plan, network = compiled(model, x)
    with torch.no_grad():
        eager = leaves(model(x))
    expected, found = exact(model, x), network(x.numpy())
    assert len(found) == len(expected)
    for mine, its, true in zip(found, eager, expected, strict=True):
        assert mine.dtype == np.float32
        assert error(mine, true) <= max(tolerance, 2 * error(its, true))
    return plan
