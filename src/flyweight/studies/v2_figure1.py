"""ShuffleNet V2, Figure 1: error, speed and FLOPs of four architectures at four levels."""

from dataclasses import replace

from flyweight.studies.study import Study
from flyweight.studies.tables import Chart
from flyweight.studies.v2_table8 import table8
from flyweight.studies.verdicts import reference_beats_all

ARCHITECTURES = ("ShuffleNet v2", "MobileNet v2", "ShuffleNet v1", "Xception")
_ERROR = "top-1 error (paper, %)"
_MADDS = "M madds"
_SPEEDS = {
    "the paper's GPU": "GPU speed (paper, batches/s)",
    "the paper's ARM": "ARM speed (paper, images/s)",
    "here": "here (images/s)",
}


def _charts() -> tuple[Chart, ...]:
    """(a, b) error over speed, (c, d) speed over FLOPs: on both platforms, and here."""
    errors = [
        Chart("scatter", f"error and speed, {where}", "", speed, _ERROR, "group")
        for where, speed in _SPEEDS.items()
    ]
    speeds = [
        Chart("scatter", f"speed and FLOPs, {where}", "", _MADDS, speed, "group", log=True)
        for where, speed in _SPEEDS.items()
    ]
    return (*errors, *speeds)


def figure1() -> Study:
    """Figure 1: part of Table 8, drawn. It shows Table 8's timings."""
    timings = table8()
    series = tuple(
        replace(one, cases=tuple(case for case in one.cases if case.group in ARCHITECTURES))
        for one in timings.series
    )
    return Study(
        "figure1",
        "error, speed and FLOPs of four architectures",
        "ShuffleNet V2, Figure 1",
        "of these architectures ShuffleNet v2 is the fastest at every level of FLOPs",
        series,
        judges=(reference_beats_all,),
        charts=_charts(),
        reading="drawn from Table 8, with errors instead of accuracies",
        timings=timings,
    )
