"""The chains of a plan as tables of C."""

from flyweight.native.chaining import row_window
from flyweight.native.literals import braces
from flyweight.native.nodes import Convolution, Pool
from flyweight.native.plan import Chain, Step
from flyweight.native.rows import row_of
from flyweight.native.tables import Tables

_KINDS = {"convolve": "DENSE", "convolve_depthwise": "DEPTHWISE_ONE", "pool": "POOLED"}


def chained(tables: Tables, chain: Chain) -> int:
    """A chain; the number of its row."""
    steps = tables.plan.steps[chain.first : chain.last + 1]
    links = [_link(tables, step) for step in steps]
    first = tables.add("link", links)
    return tables.add("chain", [braces(f"links + {first}", len(links), chain.rows)])


def _link(tables: Tables, step: Step) -> str:
    assert isinstance(step.node, Convolution | Pool)
    function, row = row_of(tables, step)
    window, out = row_window(step.node), step.out
    between = (
        (out.offset, out.row, out.kept, out.border[1] * out.pixel, out.border[3] * out.pixel)
        if out.kept
        else (0, 0, 0, 0, 0)
    )
    return braces(
        _KINDS[function], row, out.height,
        window.stride, window.extent, window.padding, *between,
    )  # fmt: skip
