"""From where on something counts as waste. Each number says which measurement it comes from.

They decide only what is looked at and tried: whether a piece of advice is kept, the user's own
machine decides.
"""

from flyweight.decomposing.roofline import OVERHEAD_FROM
from flyweight.measuring.environment import instruction_sets
from flyweight.studies.verdicts import MARGIN

LEAST_SHARE = 2 * MARGIN
"""Of the network's time that a finding must hold. Less than `MARGIN`, two per cent, is nobody's
reason to change a network (flyweight.studies.verdicts), and whoever halves less than this saves
less than that."""

OUT_OF_PROPORTION = OVERHEAD_FROM
"""Share of the time over share of the FLOPs. Beyond it, operations run at less than half the
network's own speed; flyweight.decomposing calls one overhead-bound from the same factor."""

SERIES_TIMED = {
    "widths": (1, 2, 4, 6, 12),
    "groups": (1, 2, 4, 8),
    "parallel": (1, 2, 3, 4),
    "serial": (1, 2, 3, 4),
    "channels": (64, 48, 56, 58, 60, 62),
}
"""What benchmarks/advice_thresholds.py times, the first of each series being the reference."""
ENGINES_TIMED = ("onnxruntime", "eager")
"""The engines that it asks: what one of them is slower with is worth looking at."""

# The next four are the first levels at which an engine takes longer than with the reference by more
# than `MARGIN`, with the whole interval, on a processor with AVX2 or on one with AVX-512
# (results/amd-epyc*/advice_thresholds.jsonl); a test reads them from there. The CPU columns
# of ShuffleNet V2's Tables 1 to 3 say the same of the first three.

OVER_BOUND = 1.06
"""Memory access over its bound: of 1x1 convolutions between widths 1:2."""
GROUPS = 2
"""Of a 1x1 convolution."""
FRAGMENTS = 2
"""Beside each other."""
SERIES = 2
"""Behind each other."""

BLOCK = 8
"""Channels that engines compute together on most machines: a vector of eight floats (AVX2), ONNX
Runtime's block. On AVX2, 62 channels take longer than 64, and 58 than 56."""
BLOCK_AVX512 = 16
"""The same where there is AVX-512: from 56 to 64 channels all take the same time, 48 half of it."""


def channel_block() -> int:
    """Of how many channels new widths are multiples on this machine.

    What is compared then isn't how well a width happens to fit.
    """
    return BLOCK_AVX512 if "avx512f" in instruction_sets() else BLOCK
