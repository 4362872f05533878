"""ShuffleNet V2, Appendix Table 1 (b): ten units of four architectures, at equal FLOPs."""

from collections.abc import Callable
from functools import partial

from torch import nn

from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.verdicts import reference_beats_all
from flyweight.zoo import mobilenet_v2, shufflenet_v1, shufflenet_v2, xception_light

UNITS = 10
WIDTHS = (64, 128, 256)
"""Channels c of ShuffleNet V2's unit."""
GROUPS = 3
"""Of ShuffleNet V1's unit: as elsewhere in the paper."""


def _shufflenet_v2(channels: int) -> nn.Module:
    return shufflenet_v2.BasicUnit(channels, shufflenet_v2.Kind("paper", None, False, None))


def _shufflenet_v1(channels: int) -> nn.Module:
    return shufflenet_v1.Unit(channels, channels, GROUPS, 1, GROUPS)


def _mobilenet_v2(channels: int) -> nn.Module:
    return mobilenet_v2.InvertedResidual(channels, channels, 6, 1, "relu6", "symmetric", 1e-5)


def _xception(channels: int) -> nn.Module:
    return xception_light.Unit(channels, channels, 1, "pointwise")


# The unit, and the channels whose FLOPs are nearest to those of ShuffleNet V2's 64, 128 and 256.
# Multiply-adds a pixel, of which that follows: c^2 / 2 + 4.5 c; c^2 / 6 + 2.25 c, with c a multiple
# of 12 (3 groups of a bottleneck of c / 4); 12 c^2 + 54 c; 9/16 c^2 + 13.5 c, with c a multiple
# of 4.
_UNITS: dict[str, tuple[Callable[[int], nn.Module], tuple[int, int, int]]] = {
    "ShuffleNet v2": (_shufflenet_v2, WIDTHS),
    "ShuffleNet v1": (_shufflenet_v1, (108, 228, 444)),
    "MobileNet v2": (_mobilenet_v2, (12, 25, 51)),
    "Xception": (_xception, (52, 112, 232)),
}
# By height and width: the GPU's batches a second for c = 64, 128, 256, and the CPU's images.
_PUBLISHED = {
    56: {
        "ShuffleNet v2": ((216, 142, 81), (34.8, 12.3, 3.9)),
        "ShuffleNet v1": ((127, 73, 45), (24.3, 9.4, 3.0)),
        "MobileNet v2": ((89, 125, 69), (25.8, 10.0, 3.0)),
        "Xception": ((185, 52, 68), (27.0, 9.7, 3.1)),
    },
    28: {
        "ShuffleNet v2": ((407, 313, 237), (174.5, 53.4, 16.6)),
        "ShuffleNet v1": ((298, 222, 60), (139.7, 43.9, 13.2)),
        "MobileNet v2": ((381, 286, 189), (118.3, 46.2, 13.3)),
        "Xception": ((254, 238, 169), (117.0, 45.8, 14.0)),
    },
}


def stacked(unit: Callable[[int], nn.Module], channels: int) -> nn.Module:
    """Ten units."""
    return nn.Sequential(*(unit(channels) for _ in range(UNITS)))


def _note(channels: int, gpu: tuple[int, int, int]) -> str:
    note = f"{channels} channels"
    printed = ", ".join(map(str, gpu))
    if gpu[0] < gpu[1] or gpu[1] < gpu[2]:
        note += f"; the printed GPU speeds ({printed}) don't fall with c"
    elif gpu[1] > 3 * gpu[2]:
        note += f"; the printed GPU speeds ({printed}) fall by far more than the others'"
    return note


def units() -> Study:
    """Appendix Table 1 (b)."""
    columns = (
        Published("GPU speed", "batches/s", speed=True),
        Published("CPU speed", "images/s", speed=True),
    )
    series = []
    for side, published in _PUBLISHED.items():
        for index, width in enumerate(WIDTHS):
            cases = []
            for name, (unit, widths) in _UNITS.items():
                channels = widths[index]
                gpu, cpu = published[name]
                cases.append(
                    Case(
                        name, partial(stacked, unit, channels), (channels, side, side),
                        (gpu[index], cpu[index]), _note(channels, gpu),
                    )
                )  # fmt: skip
            series.append(Series(f"{side}x{side} c={width}", columns, tuple(cases)))
    return Study(
        "units",
        "ten units of four architectures, at equal FLOPs",
        "ShuffleNet V2, Appendix Table 1b",
        "ShuffleNet v2's unit is the fastest",
        tuple(series),
        judges=(reference_beats_all,),
        cost="bound",
        reading="the paper prints no channels but ShuffleNet v2's: the others' are those nearest in"
        " FLOPs; its batch is unknown, as the GPU's figures are too low for one image (--batch 8"
        " is likely)",
    )
