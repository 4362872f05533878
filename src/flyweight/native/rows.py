"""What does a step of a plan: a C function and a row of a table."""

from flyweight.native.convolving import convolution
from flyweight.native.nodes import (
    Convolution,
    Elementwise,
    Gather,
    Neighbours,
    Pick,
    Pool,
    Softmax,
    area,
)
from flyweight.native.plan import Step
from flyweight.native.tables import (
    Tables,
    depthwise,
    elementwise,
    gathering,
    nearby,
    picking,
    place,
    pooling,
    softmaxing,
)
from flyweight.native.winograd import winograd


def row_of(tables: Tables, step: Step) -> tuple[str, str]:
    """A step's row: the C function that does it, and the expression for its row."""
    node = step.node
    if isinstance(node, Convolution) and node.depthwise:
        return "convolve_depthwise", f"&depthwises[{depthwise(tables, step, node)}]"
    if isinstance(node, Convolution) and node.winograd:
        return "convolve_winograd", f"&winograds[{winograd(tables, step, node)}]"
    if isinstance(node, Convolution):
        return "convolve", f"&convolutions[{convolution(tables, step, node)}]"
    if isinstance(node, Pool):
        return "pool", f"&poolings[{pooling(tables, step, node)}]"
    if isinstance(node, Elementwise):
        return "work_elementwise", f"&elementwises[{elementwise(tables, step, node)}]"
    if isinstance(node, Softmax):
        return "softmax", f"&softmaxings[{softmaxing(tables, step, node)}]"
    if isinstance(node, Pick):
        return "pick", f"&pickings[{picking(tables, step, node)}]"
    if isinstance(node, Neighbours):
        return "add_neighbours", f"&nearbys[{nearby(tables, step, node)}]"
    assert isinstance(node, Gather)
    if node.by_runs:
        copy = Elementwise(node.x, node.out, node.where, operation="COPY")
        return "work_elementwise", f"&elementwises[{elementwise(tables, step, copy)}]"
    size = (step.out.height, step.out.width)
    turned = area(node.x.space) != size
    row = gathering(tables, place(step.out), node.x.ids, size, 1, turned)
    return "gather", f"&gatherings[{row}]"
