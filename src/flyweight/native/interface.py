"""What a network's C code looks like from outside: its names, shapes and functions."""

import functools
import math
import re
from collections.abc import Mapping
from importlib import resources

import flyweight
from flyweight.graph.maps import ChannelMap
from flyweight.native.literals import braces
from flyweight.native.packing import HEADER, MAGIC
from flyweight.native.plan import Plan
from flyweight.native.tables import Tables

SOURCES = ("vectors.h", "tables.h", "finish.h", "convolution.h", "winograd.h",
           "depthwise.h", "pooling.h", "elementwise.h", "picking.h", "chain.h", "images.h",
           "threads.h")  # fmt: skip
_TEMPLATES = ("network.c.in", "network.h.in")
_STANDARD = ("math", "pthread", "sched", "signal", "stdatomic", "stdint", "stdio", "stdlib",
             "string")  # fmt: skip
# Words of C and C++ that the sources here don't have, and names of the standard headers.
_TAKEN = """
alignas alignof and and_eq asm auto bitand bitor bool catch char8_t char16_t char32_t class compl
complex concept consteval constexpr constinit const_cast co_await co_return co_yield decltype
delete do double dynamic_cast explicit export extern false friend goto imaginary inline long
mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public
register reinterpret_cast requires restrict short signed static_assert static_cast template this
thread_local throw true try typeid typename union unsigned using virtual volatile wchar_t while
xor xor_eq linux unix main abs acos asin atan atof atoi cbrt ceil clone cos cosh div erf errno exp
fabs fdim floor fma fmax fmin fmod frexp gamma getenv hypot index isnan isinf j0 j1 jn kill labs
ldexp log logb lrand48 modf nan perror pow printf pthread puts qsort raise rand random read remove
rename rindex round scanf select setenv signal sin sinh sqrt stderr stdin stdout strlen system tan
tanh tgamma time trunc write y0 y1 yn alloca bcmp bcopy bzero drem ffs finite initstate madvise
mincore mlock mmap mprotect msync munlock munmap scalb setstate significand srandom stpcpy strsep
valloc
"""


def read_source(name: str) -> str:
    """One of the C files of this package."""
    return resources.files("flyweight.native").joinpath("c", name).read_text(encoding="utf-8")


@functools.cache
def _taken() -> frozenset[str]:
    """Names that mean something else in a network's source, or where its header is included."""
    sources = "\n".join(read_source(name) for name in (*SOURCES, *_TEMPLATES))
    code = re.sub(r'/\*.*?\*/|"[^"]*"', " ", sources, flags=re.DOTALL)
    return frozenset(re.findall(r"\w+", code)) | frozenset(_TAKEN.split())


def identifier(name: str) -> str:
    """A name that C and C++ take, and that nothing else has, made of any name."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII).lower().strip("_") or "network"
    if found[0].isdigit():
        found = f"network_{found}"
    return f"{found}_network" if found in _taken() else found


def in_comment(text: str) -> str:
    """Any text so that it can stand in a comment of one line."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??", "? ?")


def in_string(text: str) -> str:
    """Any text so that it can stand between quotation marks."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("\\", "\\\\").replace('"', '\\"').replace("??", '?""?')


def opening(name: str, network: str) -> str:
    """How the source begins."""
    includes = "\n".join(f"#include <{one}.h>" for one in _STANDARD)
    return f"""\
/* {in_comment(network)}: what is computed, as tables, and the functions that go through them.

   Written by Flyweight {flyweight.__version__}. SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* madvise */
#include "{name}.h"

{includes}
#ifdef __linux__
#include <sys/mman.h>
#endif

#if !defined(__GNUC__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this needs GCC or Clang, and a little-endian machine: so the weights are written"
#endif
"""


def filled(
    template: str, name: str, plan: Plan, network: str, more: Mapping[str, str] | None = None
) -> str:
    """A template with a network's name and shapes.

    Args:
        template: with gaps such as "@NAME@".
        name: what the functions' names begin with.
        plan: of the network.
        network: what it is called.
        more: what is to be put into further gaps.
    """
    fields = {
        "NAME": name, "UPPER": name.upper(), "TITLE": in_comment(network),
        "VERSION": flyweight.__version__, "INPUT_COMMENT": image_text(plan),
        **(more or {}),
    }  # fmt: skip
    return re.sub(r"@(\w+)@", lambda match: fields[match[1]], template)


def input_dimensions(plan: Plan) -> tuple[int, ...]:
    """Of an image as the caller has it."""
    one = plan.input
    if plan.image.planes:
        return (one.channels, one.height, one.width)
    return (one.height, one.width, one.channels)


def image_text(plan: Plan) -> str:
    """What an image is, in words."""
    kind = "floats" if plan.image.dtype == "float32" else "bytes"
    order = "channels, height, width" if plan.image.planes else "height, width, channels"
    return f"{' x '.join(map(str, input_dimensions(plan)))} {kind} ({order})"


def output_dimensions(output: ChannelMap) -> tuple[int, ...]:
    """Of an output for one image."""
    return tuple(size.count for size in output.sizes()[1:])


def constants(plan: Plan, tables: Tables, network: str, mark: int) -> str:
    """Numbers that the functions of a network need.

    Args:
        plan: of the network.
        tables: complete.
        network: what it is called.
        mark: what its weights are known by.
    """
    element = 4 if plan.image.dtype == "float32" else 1
    dims = input_dimensions(plan)
    shapes = [output_dimensions(output) for output in plan.outputs]
    rank = max(1, *(len(shape) for shape in shapes))
    rows = ", ".join(braces(*(shape or (0,))) for shape in shapes)
    names = ["output"] if len(shapes) == 1 else [f"output_{i}" for i in range(len(shapes))]
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"""\
#define LANES {plan.isa.lanes}
#define HALVES {plan.isa.halves:d}
#define MEMORY ((size_t){plan.memory})
#define OWN {plan.own}
#define MOST_LINKS {max((len(chain.kept) + 1 for chain in plan.chains), default=2)}
#define FLOATS ((size_t){tables.pack.count})
#define NUMBERS ((size_t){tables.pack.number_count})
#define HEADER_BYTES {HEADER}
#define WEIGHTS_MAGIC "{MAGIC.decode().rstrip(chr(0))}"
#define NETWORK_MARK UINT64_C({mark})
#define NETWORK_NAME "{in_string(network)}"
#define INPUT_FORMAT "{plan.image.dtype} {plan.image.layout}"
#define IMAGE_BYTES ((size_t){math.prod(dims) * element})
#define OUTPUTS {len(shapes)}
static const int64_t input_dimensions[] = {braces(*dims)};
static const int output_ranks[] = {braces(*(len(shape) for shape in shapes))};
static const int64_t output_dimensions[][{rank}] = {{{rows}}};
static const char *const output_names[] = {{{quoted}}};
"""
