"""Blocks chosen by measuring on this machine, kept for the next time."""

import ctypes
import hashlib
import json
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path

from flyweight.errors import FlyweightError
from flyweight.files import replaced
from flyweight.native.blocks import Shape, candidates, fixed_block, refinements
from flyweight.native.building import build, cache_folder, host_flags, version
from flyweight.native.emitting import Tile, tile_functions
from flyweight.native.interface import read_source
from flyweight.native.isa import Isa
from flyweight.native.plan import Block

FIRST_LOOK = 0.0005
"""Seconds for each block that is tried; at least three runs."""

SECONDS = 0.003
"""For the best and the fixed one, each time that they are measured again; at least three runs."""

WORTH = 0.95
"""Of the fixed block's time: what isn't faster than that isn't worth to depend on a measurement."""

TURNS = 4
"""In which the best block and the fixed one are measured again, one after the other."""

_SOURCES = ("vectors.h", "tables.h", "finish.h", "convolution.h", "timing.c.in")
_STANDARD = ("math", "stdint", "stdlib", "string", "time")


class _Question(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            *("height", "width", "inputs", "outputs", "groups", "stride", "taps_y", "taps_x"),
            *("pixels", "vectors", "inputs_at_once", "tiles_outside"),
        )
    ]


@dataclass
class Tuner:
    """Chooses blocks by measuring, and remembers them.

    Attributes:
        isa: for which vectors.
        path: the file where choices are kept.
        known: choices by shape.
    """

    isa: Isa
    path: Path
    known: dict[str, Block] = field(default_factory=dict)
    _new: dict[str, Block] = field(default_factory=dict)
    _library: ctypes.CDLL | None = None

    def __call__(self, shape: Shape, isa: Isa) -> Block:
        """The block for a shape: the one known, or the fastest here."""
        key = " ".join(map(str, astuple(shape)))
        if key not in self.known:
            self.known[key] = self._new[key] = self._fastest(shape)
        return self.known[key]

    def _fastest(self, shape: Shape) -> Block:
        fixed = fixed_block(shape, self.isa)
        tried = self._looked_at(shape, candidates(shape, self.isa))
        for block in sorted(tried, key=tried.__getitem__)[:2]:
            tried |= self._looked_at(shape, refinements(shape, block, self.isa))
        best = min(tried, key=tried.__getitem__)
        if best == fixed or tried[best] >= WORTH * tried[fixed]:
            return fixed
        # The best of many is often one that was lucky: other programs were quiet meanwhile.
        turns = [
            (self._time(shape, best, SECONDS), self._time(shape, fixed, SECONDS))
            for _ in range(TURNS)
        ]
        ours, other = (min(times) for times in zip(*turns, strict=True))
        return best if ours < WORTH * other else fixed

    def _looked_at(self, shape: Shape, blocks: Iterable[Block]) -> dict[Block, float]:
        return {block: self._time(shape, block, FIRST_LOOK) for block in blocks}

    def _time(self, shape: Shape, block: Block, seconds: float) -> float:
        """Seconds of a convolution, measured for some; infinity where it has no memory."""
        if self._library is None:
            self._library = _library(self.isa)
        question = _Question(
            shape.height, shape.width, shape.inputs, shape.outputs, shape.groups, shape.stride,
            shape.taps_y, shape.taps_x, block.pixels, block.vectors, block.inputs,
            int(block.tiles_outside),
        )  # fmt: skip
        took = float(
            self._library.time_convolution(ctypes.byref(question), ctypes.c_double(seconds))
        )
        return took if took >= 0 else float("inf")

    def save(self) -> None:
        """Keep what was chosen, beside what others have kept meanwhile.

        Raises:
            FlyweightError: the file can't be written.
        """
        if not self._new:
            return
        choices = _kept(self.path, self.isa) | self._new
        content = {key: asdict(block) for key, block in sorted(choices.items())}
        try:
            with replaced(self.path) as file:
                file.write_text(json.dumps(content, indent=0), encoding="utf-8")
        except FlyweightError as error:
            raise FlyweightError(
                f"can't keep what was measured: {error}; set XDG_CACHE_HOME to a folder that can be"
                " written to, or leave tuning out (--no-tune)"
            ) from error
        self._new.clear()


def tuner(isa: Isa) -> Tuner:
    """A tuner with what was measured on this machine before.

    Choices are kept by processor, instruction set, compiler and the C source. A file that can't be
    read is made again.

    Raises:
        FlyweightError: nowhere to keep choices.
    """
    code = "".join(read_source(name) for name in _SOURCES)
    about = "\0".join((processor(), isa.name, version(), code))
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    path = cache_folder("tuning") / f"{isa.name}-{key}.json"
    return Tuner(isa, path, _kept(path, isa))


def _kept(path: Path, isa: Isa) -> dict[str, Block]:
    """The choices in a file: those that could have been made, since C code trusts them."""
    found: dict[str, Block] = {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, chosen in content.items() if isinstance(content, dict) else ():
            numbers = [int(number) for number in key.split(" ")]
            if len(numbers) == len(fields(Shape)) and min(numbers) > 0:
                choices = _choices(Shape(*numbers), isa)
                alike = [block for block in choices if asdict(block) == chosen]
                found |= {key: alike[0]} if alike else {}
    except (OSError, ValueError, RecursionError):
        pass  # no file yet, or one that something else has written into
    return found


def _choices(shape: Shape, isa: Isa) -> list[Block]:
    """All blocks that may be the fastest for a shape."""
    simple = candidates(shape, isa)
    return [*simple, *(other for block in simple for other in refinements(shape, block, isa))]


def processor() -> str:
    """What tells this kind of processor from others."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told = ("vendor_id", "cpu family", "model", "stepping", "cache size", "CPU part")
    found = [line for line in lines if line.split("\t")[0].strip(": ") in told]
    return "\n".join(dict.fromkeys(found)) or f"{platform.machine()} {platform.processor()}"


def _library(isa: Isa) -> ctypes.CDLL:
    """The library that times convolutions, with every tile of an instruction set."""
    tiles = sorted(
        {Tile(p, v, half) for pixels, vectors in isa.tiles for p in range(1, pixels + 1)
         for v in range(1, vectors + 1) for half in {False, isa.halves}}
    )  # fmt: skip
    includes = "\n".join(f"#include <{name}.h>" for name in _STANDARD)
    source = "\n".join(
        (
            "#define _POSIX_C_SOURCE 200809L", includes,
            f"#define LANES {isa.lanes}", f"#define HALVES {isa.halves:d}",
            "#define FLOATS ((size_t)1 << 31)",
            f"#define MOST_PIXELS {max(tile.pixels for tile in tiles)}",
            f"#define MOST_VECTORS {max(tile.vectors for tile in tiles)}",
            *(read_source(name) for name in _SOURCES[:-1]), tile_functions(tiles),
            read_source(_SOURCES[-1]),
        )
    )  # fmt: skip
    path = build({"timing.c": source}, "timing.c", host_flags())
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise FlyweightError(f"can't load {path}: {error}; delete it, and run again") from error
    library.time_convolution.restype = ctypes.c_double
    return library


FLOOR_MADDS = 10_000_000


def floor_call(isa: Isa) -> Callable[[], None]:
    """A function that does `FLOOR_MADDS` multiply-adds as fast as one core can, from registers.

    What takes no longer than that for its own multiply-adds is at the core's arithmetic floor.

    Raises:
        FlyweightError: no compiler, or one that fails.
    """
    library = _library(isa)
    library.multiply_and_add.restype = ctypes.c_float
    rounds = ctypes.c_int64(FLOOR_MADDS // (12 * isa.lanes))

    def call() -> None:
        library.multiply_and_add(rounds)

    return call
