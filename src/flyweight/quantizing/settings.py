"""What is chosen when a network is quantised, each choice with its reason."""

from dataclasses import dataclass
from typing import Literal, get_args

from flyweight.errors import UsageError, unknown

SpareBit = Literal["first", "all", "none"]
"""Layers whose weights keep one of their eight bits free.

CPUs without a dot product of bytes (AVX2 without VNNI) multiply bytes in pairs and add each pair in
16 bits, where two large products don't fit: the sum is cut off, and the result is wrong. Weights of
7 bits can't overflow, and are twice as coarse. ONNX Runtime's guide recommends 7 bits in all layers
for these CPUs (`reduce_range`), NNCF's in the first layer (`OverflowFix.FIRST_LAYER`), whose
inputs, pixels, fill their whole range. "first" is the default, on every CPU since files travel;
what each choice costs on real images is in docs/int8.md.
"""

SPARE_BITS = get_args(SpareBit)


@dataclass(frozen=True)
class Settings:
    """How a network is quantised. Weights are per output channel and symmetric in any case.

    Attributes:
        images: photographs to calibrate on, at most; evenly spread over those that there are. 300
            is NNCF's own number.
        spare_bit: see `SpareBit`.
        keep: layers that stay in float32, by the names that `layers_of` gives.
    """

    images: int = 300
    spare_bit: SpareBit = "first"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images < 1:
            raise UsageError(f"calibration takes 1 image or more, not {self.images}")
        if self.spare_bit not in SPARE_BITS:
            raise unknown("spare bit", self.spare_bit, SPARE_BITS)
