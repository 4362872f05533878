"""A plan as C source and a block of weights. The same plan gives the same bytes."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flyweight.native.blocks import parts, widths
from flyweight.native.convolving import tiles_name
from flyweight.native.interface import (
    SOURCES,
    constants,
    filled,
    identifier,
    in_comment,
    opening,
    read_source,
)
from flyweight.native.linking import chained
from flyweight.native.literals import braces
from flyweight.native.nodes import Abreast, Convolution
from flyweight.native.outputs import put_out
from flyweight.native.plan import Block, Chain, Plan, Step
from flyweight.native.rows import row_of
from flyweight.native.tables import KINDS, Tables, border, tell_next


@dataclass(frozen=True)
class Emitted:
    """A network as C.

    Attributes:
        name: what its functions' names begin with.
        header: its declarations.
        source: everything else.
        weights: its weights and tables, with a checksum.
    """

    name: str
    header: str
    source: str
    weights: bytes


def emit(plan: Plan, network: str) -> Emitted:
    """Write a plan as C.

    Args:
        plan: what is to be computed.
        network: what the network is called.
    """
    tables = Tables(plan)
    image = _image(tables)
    steps = _steps(tables)
    tell_next(tables, 0)
    fixed = "\n".join((_tile_sizes(plan), *(read_source(name) for name in SOURCES), _tiles(plan)))
    content = [*_rows(tables), image, _job(plan, steps)]
    known = "\n".join((str(plan.isa.lanes), fixed, *content))
    mark = int.from_bytes(hashlib.sha256(known.encode()).digest()[:7])
    name = identifier(network)
    numbers = constants(plan, tables, network, mark)
    functions = filled(read_source("network.c.in"), name, plan, network)
    source = "\n".join((opening(name, network), numbers, fixed, *content, functions))
    header = filled(read_source("network.h.in"), name, plan, network)
    return Emitted(name, header, source, tables.pack.blob(mark))


class Tile(NamedTuple):
    """A size of tiles.

    Attributes:
        pixels: of the output.
        vectors: of its channels.
        half: whether the last of them is half a vector.
    """

    pixels: int
    vectors: int
    half: bool = False

    def __str__(self) -> str:
        return f"{self.pixels}x{self.vectors - self.half / 2:g}"


def used_tiles(plan: Plan) -> dict[Abreast | None, list[Tile]]:
    """The tiles that the steps of a plan are cut into, by how groups share vectors."""
    found: dict[Abreast | None, set[Tile]] = {}
    for i, step in enumerate(plan.steps):
        if step.block is not None and isinstance(step.node, Convolution):
            pixels = _tile_pixels(step, step.block, plan.chain_at(i))
            abreast = step.node.abreast
            groups = step.node.groups // (abreast.groups if abreast else 1)
            used = widths(step.out.channels // groups, step.block, plan.isa)
            found.setdefault(abreast, set()).update(Tile(p, *v) for p in pixels for v in used)
    order = sorted(found, key=tiles_name)
    return {abreast: sorted(found[abreast]) for abreast in order}


def _tile_pixels(step: Step, block: Block, chain: Chain | None) -> set[int]:
    """Pixels of the tiles of a convolution; in a chain, whatever rows are done at once."""
    out = step.out
    if step.band is not None:  # its last ones, and a thread's share, are any number
        return {size for n in range(1, step.band.tiles + 1) for size in parts(n, block.pixels)}
    if chain is None:
        return set(parts(out.height * out.width, block.pixels))
    at_once = range(1, min(out.kept or chain.rows, out.height) + 1)
    return {size for rows in at_once for size in parts(rows * out.width, block.pixels)}


def _tile_sizes(plan: Plan) -> str:
    used = [tile for tiles in used_tiles(plan).values() for tile in tiles] or [Tile(1, 1)]
    return (
        f"#define MOST_PIXELS {max(tile.pixels for tile in used)}\n"
        f"#define MOST_VECTORS {max(tile.vectors for tile in used)}\n"
    )


def tile_functions(used: list[Tile], abreast: Abreast | None = None) -> str:
    """Functions for tiles of these sizes, and the table of them."""
    table, kind = tiles_name(abreast), (abreast.inputs, abreast.step) if abreast else (1, 0)
    name = table.replace("tiles", "tile")
    names = {tile: f"{name}_{tile}".replace(".5", "_half") for tile in used}
    made = "\n".join(
        f"TILE({names[tile]}, {tile.pixels}, {tile.vectors - tile.half}, {tile.half:d},"
        f" {kind[0]}, {kind[1]})"
        for tile in used
    )
    rows = ",\n".join(f"    [{t.pixels}][{t.vectors}][{t.half:d}] = {names[t]}" for t in used)
    return (
        f"{made}\n\nstatic tile_function *const {table}[MOST_PIXELS + 1][MOST_VECTORS + 1][2] ="
        f" {{\n{rows}\n}};\n"
    )


def _tiles(plan: Plan) -> str:
    made = (tile_functions(used, abreast) for abreast, used in used_tiles(plan).items())
    return "\n".join((*made, _depthwise_functions(plan)))


MOST_COLUMNS = 7
"""Of a depthwise kernel whose size is compiled in; the C source has the same number."""


def _depthwise_functions(plan: Plan) -> str:
    """Functions for the depthwise kernels of a plan, and what finds them."""
    used = set()
    for step in plan.steps:
        node = step.node
        if isinstance(node, Convolution) and node.depthwise:
            kernel_y, kernel_x = node.weight.shape[2:]
            stride = node.stride[1]
            if max(kernel_y, kernel_x) <= MOST_COLUMNS and node.dilation[1] == 1 and stride <= 2:
                used.add((kernel_y, kernel_x, stride))
    names = {k: f"depthwise_{k[0]}x{k[1]}_{k[2]}" for k in sorted(used)}
    made = [f"DEPTHWISE({name}, {k[0]}, {k[1]}, {k[2]})" for k, name in names.items()]
    tests = [
        f"    if (d->kernel_y == {k[0]} && d->kernel_x == {k[1]} && d->stride_x == {k[2]} &&"
        f" d->dilation_x == 1)\n        return {name};"
        for k, name in names.items()
    ]
    return "\n".join(
        (
            *made, "DEPTHWISE(depthwise_any, 0, 0, 1)", "",
            "static depthwise_function *depthwise_row(const depthwise *d) {",
            *tests, "    (void)d;", "    return depthwise_any;", "}", "",
        )
    )  # fmt: skip


def _rows(tables: Tables) -> list[str]:
    found = []
    for kind in KINDS:
        rows = tables.rows[kind]
        if rows:
            lines = ",\n".join(f"    {row}" for row in rows)
            found.append(f"static const {kind} {kind}s[] = {{\n{lines}\n}};\n")
    return found


def _image(tables: Tables) -> str:
    plan, one = tables.plan, tables.plan.input
    formats = {
        ("NCHW", "float32"): "FLOATS_PLANAR", ("NHWC", "float32"): "FLOATS_INTERLEAVED",
        ("NHWC", "uint8"): "BYTES_INTERLEAVED",
    }  # fmt: skip
    intake = plan.intake
    numbers = [tables.pack.put(np.array(values, np.float32))
               for values in (intake.scale, intake.shift, intake.around)]  # fmt: skip
    where = braces(one.at(0, 0), one.pixel, one.row)
    row = braces(
        where, one.channel, one.channels, one.height, one.width, *one.border,
        formats[plan.image.layout, plan.image.dtype], intake.middle, int(bool(intake.scale)),
        *numbers,
    )  # fmt: skip
    return f"static const images image = {row};\n"


def _steps(tables: Tables) -> list[str]:
    lines = []
    for i, step in enumerate(tables.plan.steps):
        shape = f"{step.out.channels} x {step.out.height} x {step.out.width}"
        kind = type(step.node).__name__.lower()
        lines.append(f"/* {kind} {in_comment(step.node.where or 'of the network')}: {shape} */")
        if any(step.out.border) and not step.out.kept:
            lines.append(f"draw_border(w, &borders[{border(tables, step.out)}]);")
        chain = tables.plan.chain_at(i)
        if chain is not None:
            if i == chain.last:
                lines += [f"run_chain(w, &chains[{chained(tables, chain)}]);", "meet(m);"]
            continue
        function, row = row_of(tables, step)
        target = ", w->memory" if function == "gather" else ""
        lines += [f"{function}(w, {row}{target});", "meet(m);"]
    for i, output in enumerate(tables.plan.outputs):
        rows, size = put_out(tables, output)
        lines.append(f"/* output {i} */")
        lines += [f"gather(w, &gatherings[{at}], j->outputs[{i}] + n * {size});" for at in rows]
    return lines


def _job(plan: Plan, steps: list[str]) -> str:
    body = "\n".join(f"        {line}" for line in steps)
    return f"""\
/* The network, for a thread: it does its share of each step, and waits for the others. */
static void do_job(member *m) {{
    const worker *w = &m->base;
    const job todo = *m->team->job, *j = &todo; /* the caller's is gone after the last meeting */
    for (int64_t n = 0; n < j->batch; n++) {{
        read_image(w, &image, (const unsigned char *)j->images + (size_t)n * IMAGE_BYTES);
        meet(m);
{body}
        meet(m);
    }}
}}
"""
