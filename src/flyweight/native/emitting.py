"""A plan as C source and a block of weights. The same plan gives the same bytes."""

import hashlib
import math
import re
from dataclasses import dataclass
from importlib import resources

import numpy as np

import flyweight
from flyweight.graph.program import Operand
from flyweight.native.blocks import sizes
from flyweight.native.nodes import Convolution
from flyweight.native.packing import HEADER, MAGIC
from flyweight.native.plan import Plan
from flyweight.native.tables import KINDS, Tables, border, braces, gathering, row_of

SOURCES = ("vectors.h", "tables.h", "finish.h", "convolution.h", "depthwise.h", "pooling.h",
           "elementwise.h", "images.h", "threads.h")  # fmt: skip
_STANDARD = ("math", "pthread", "sched", "stdatomic", "stdint", "stdio", "stdlib", "string")


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


def identifier(name: str) -> str:
    """A name that C takes."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII).lower().strip("_") or "network"
    return f"network_{found}" if found[0].isdigit() else found


def read_source(name: str) -> str:
    """One of the C files of this package."""
    return resources.files("flyweight.native").joinpath("c", name).read_text(encoding="utf-8")


def emit(plan: Plan, network: str) -> Emitted:
    """Write a plan as C.

    Args:
        plan: what is to be computed.
        network: what the network is called.
    """
    tables = Tables(plan)
    image = _image(tables)
    steps = _steps(tables)
    shapes = [_dimensions(output) for output in plan.outputs]
    fixed = "\n".join((_tile_sizes(plan), *(read_source(name) for name in SOURCES), _tiles(plan)))
    content = [*_rows(tables), image, _job(plan, steps, shapes)]
    mark = int.from_bytes(hashlib.sha256("\n".join((fixed, *content)).encode()).digest()[:7])
    name = identifier(network)
    constants = _constants(plan, tables, network, mark, shapes)
    template = _filled(read_source("network.c.in"), name, plan, network)
    source = "\n".join((_opening(name, network), constants, fixed, *content, template))
    header = _filled(read_source("network.h.in"), name, plan, network)
    return Emitted(name, header, source, tables.pack.blob(mark))


def _opening(name: str, network: str) -> str:
    includes = "\n".join(f"#include <{one}.h>" for one in _STANDARD)
    return (
        f"/* {network}, written by Flyweight {flyweight.__version__}: what is computed, as tables,"
        f" and the\n   functions that go through them. */\n#define _POSIX_C_SOURCE 200809L\n"
        f'#include "{name}.h"\n\n{includes}\n'
    )


def _filled(template: str, name: str, plan: Plan, network: str) -> str:
    layout = "floats" if plan.image.dtype == "float32" else "bytes"
    dims = " x ".join(map(str, _input_dimensions(plan)))
    order = "channels, height, width" if plan.image.planes else "height, width, channels"
    fields = {
        "NAME": name, "UPPER": name.upper(), "GUARD": name.upper(), "TITLE": network,
        "VERSION": flyweight.__version__, "INPUT_COMMENT": f"{dims} {layout} ({order})",
    }  # fmt: skip
    return re.sub(r"@(\w+)@", lambda match: fields[match[1]], template)


def _input_dimensions(plan: Plan) -> tuple[int, ...]:
    one = plan.input
    if plan.image.planes:
        return (one.channels, one.height, one.width)
    return (one.height, one.width, one.channels)


def _dimensions(output: object) -> tuple[int, ...]:
    sizes = output.sizes()  # type: ignore[attr-defined]
    return tuple(size.count for size in sizes[1:])


def _constants(
    plan: Plan, tables: Tables, network: str, mark: int, shapes: list[tuple[int, ...]]
) -> str:
    element = 4 if plan.image.dtype == "float32" else 1
    dims = _input_dimensions(plan)
    rank = max(len(shape) for shape in shapes)
    rows = ", ".join(braces(*shape) for shape in shapes)
    names = ["output"] if len(shapes) == 1 else [f"output_{i}" for i in range(len(shapes))]
    quoted = ", ".join(f'"{name}"' for name in names)
    text = network.replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
#define LANES {plan.isa.lanes}
#define MEMORY ((size_t){plan.memory})
#define FLOATS ((size_t){tables.pack.count})
#define NUMBERS ((size_t){tables.pack.number_count})
#define HEADER_BYTES {HEADER}
#define WEIGHTS_MAGIC "{MAGIC.decode().rstrip(chr(0))}"
#define NETWORK_MARK UINT64_C({mark})
#define NETWORK_NAME "{text}"
#define IMAGE_BYTES ((size_t){math.prod(dims) * element})
#define OUTPUTS {len(shapes)}
static const int64_t input_dimensions[] = {braces(*dims)};
static const int output_ranks[] = {braces(*(len(shape) for shape in shapes))};
static const int64_t output_dimensions[][{rank}] = {{{rows}}};
static const char *const output_names[] = {{{quoted}}};
"""


def used_tiles(plan: Plan) -> list[tuple[int, int]]:
    """The tiles that the steps of a plan are cut into."""
    found = set()
    for step in plan.steps:
        if step.block is not None and isinstance(step.node, Convolution):
            pixels = sizes(step.out.height * step.out.width, step.block.pixels)
            per_group = step.out.channels // step.node.groups
            vectors = sizes(-(-per_group // plan.isa.lanes), step.block.vectors)
            found |= {(p, v) for p in pixels for v in vectors}
    return sorted(found)


def _tile_sizes(plan: Plan) -> str:
    used = used_tiles(plan) or [(1, 1)]
    return (
        f"#define MOST_PIXELS {max(p for p, _ in used)}\n"
        f"#define MOST_VECTORS {max(v for _, v in used)}\n"
    )


def tile_functions(used: list[tuple[int, int]]) -> str:
    """Functions for tiles of these sizes, and the table of them."""
    made = "\n".join(f"TILE({p}, {v})" for p, v in used)
    rows = ",\n".join(f"    [{p}][{v}] = tile_{p}x{v}" for p, v in used)
    table = "static tile_function *const tiles[MOST_PIXELS + 1][MOST_VECTORS + 1]"
    return f"{made}\n\n{table} = {{\n{rows}\n}};\n" if used else f"{table};\n"


def _tiles(plan: Plan) -> str:
    return tile_functions(used_tiles(plan))


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
    scale = np.ones(one.channels, np.float32)
    zeros = np.zeros(one.channels, np.float32)
    where = braces(one.at(0, 0), one.pixel, one.row)
    row = braces(
        where, one.channel, one.channels, one.height, one.width, *one.border,
        formats[plan.image.layout, plan.image.dtype], tables.pack.put(scale),
        tables.pack.put(zeros), tables.pack.put(zeros),
    )  # fmt: skip
    return f"static const images image = {row};\n"


def _steps(tables: Tables) -> list[str]:
    lines = []
    for step in tables.plan.steps:
        function, row = row_of(tables, step)
        shape = f"{step.out.channels} x {step.out.height} x {step.out.width}"
        kind = type(step.node).__name__.lower()
        lines.append(f"/* {kind} {step.node.where or 'of the network'}: {shape} */")
        if any(step.out.border):
            lines.append(f"draw_border(w, &borders[{border(tables, step.out)}]);")
        target = ", w->memory" if function == "gather" else ""
        lines += [f"{function}(w, {row}{target});", "meet(m);"]
    for i, output in enumerate(tables.plan.outputs):
        ids = output.ids.ravel()
        space = tables.buffer(int(ids[0]))
        height, width = (space.height, space.width) if output.space else (1, 1)
        positions = height * width
        at = gathering(tables, braces(0, 1, width), Operand(ids, (height, width)), positions)
        size = len(ids) * positions
        lines += [
            f"/* output {i} */",
            f"gather(w, &gatherings[{at}], j->outputs[{i}] + n * {size});",
        ]
    return lines


def _job(plan: Plan, steps: list[str], shapes: list[tuple[int, ...]]) -> str:
    body = "\n".join(f"        {line}" for line in steps)
    return f"""\
/* The network, for a thread: it does its share of each step, and waits for the others. */
static void do_job(member *m) {{
    const worker *w = &m->base;
    const job *j = m->team->job;
    for (int64_t n = 0; n < j->batch; n++) {{
        read_image(w, &image, (const unsigned char *)j->images + (size_t)n * IMAGE_BYTES);
        meet(m);
{body}
        meet(m);
    }}
}}
"""
