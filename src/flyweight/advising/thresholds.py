"""From where on something counts as waste. Each number says which measurement it comes from.

They decide only what is looked at and tried: whether a piece of advice is kept, the user's own
machine decides.
"""

from flyweight.decomposing.roofline import OVERHEAD_FROM
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
    "channels": (64, 56, 58, 60, 62),
}
"""What benchmarks/advice_thresholds.py times, the first of each series being the reference."""

# The next four are the first levels at which ONNX Runtime takes longer than the reference by more
# than `MARGIN`, with the whole interval (results/amd-epyc-2-cores/advice_thresholds.jsonl); a test
# reads them from there. The CPU columns of ShuffleNet V2's Tables 1 to 3 say the same of the first
# three.

OVER_BOUND = 1.06
"""Memory access over its bound: of 1x1 convolutions between widths 1:2."""
GROUPS = 2
"""Of a 1x1 convolution."""
FRAGMENTS = 2
"""Beside each other."""
SERIES = 2
"""Behind each other."""
