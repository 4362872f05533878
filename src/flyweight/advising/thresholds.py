"""From where on something counts as waste. Each number says which measurement it comes from."""

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
"""What benchmarks/advice_thresholds.py times (results/*/advice_thresholds.jsonl), the first of each
series being the reference. The next four are the first levels at which ONNX Runtime takes longer
there by more than `MARGIN`, with the whole interval; a test reads them from the file."""

OVER_BOUND = 1.2
GROUPS = 2
FRAGMENTS = 3
SERIES = 3
