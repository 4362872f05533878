"""Instruction sets: how wide their vectors are, and which tiles their registers hold."""

from dataclasses import dataclass

from flyweight.errors import unknown


@dataclass(frozen=True)
class Isa:
    """An instruction set that a network can be planned for.

    Every plan compiles on every machine: the compiler splits vectors that are too long for it.

    Attributes:
        name: what the user calls it by.
        lanes: floats in a vector.
        tiles: (pixels, vectors of output channels) whose sums stay in registers.
        flags: what GCC and Clang need to be told to use it.
        macros: macros that a compiler defines for a machine that has it.
        halves: whether the last vector of a group's outputs may be half a vector: processors that
            have such long vectors often work on halves of them, so that half takes half as long.
    """

    name: str
    lanes: int
    tiles: tuple[tuple[int, int], ...]
    flags: tuple[str, ...]
    macros: tuple[str, ...]
    halves: bool = False

    def half(self, outputs: int) -> bool:
        """Whether the last vector of so many outputs is half a vector."""
        return self.halves and 0 < outputs % self.lanes <= self.lanes // 2


_OF_16_REGISTERS = ((6, 2), (4, 3), (12, 1), (8, 1), (1, 8))
_OF_32_REGISTERS = ((7, 4), (6, 4), (12, 2), (14, 2), (9, 3), (28, 1), (14, 1), (1, 12))

ISAS = {
    isa.name: isa
    for isa in (
        Isa(
            "avx512", 16, _OF_32_REGISTERS, ("-mavx512f", "-mavx512vl", "-mfma"),
            ("__AVX512F__", "__AVX512VL__"), halves=True,
        ),
        Isa("avx2", 8, _OF_16_REGISTERS, ("-mavx2", "-mfma"), ("__AVX2__", "__FMA__")),
        Isa("neon", 4, _OF_32_REGISTERS, (), ("__ARM_NEON", "__aarch64__")),
        Isa("portable", 4, _OF_16_REGISTERS, (), ()),
    )
}  # fmt: skip
"""Best first; the last one runs anywhere."""


def isa_named(name: str) -> Isa:
    """The instruction set of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in ISAS:
        raise unknown("instruction set", name, ISAS)
    return ISAS[name]


def isa_of(macros: set[str]) -> Isa:
    """The best instruction set of a machine whose compiler defines these macros."""
    return next(isa for isa in ISAS.values() if set(isa.macros) <= macros)
