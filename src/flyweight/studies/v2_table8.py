"""ShuffleNet V2, Table 8: errors and speeds of many networks at four levels of complexity."""

from collections.abc import Mapping

import numpy as np

from flyweight.records import Record
from flyweight.studies.ranking import kendall, order_by_flops, spread_at_equal_flops
from flyweight.studies.study import Case, Judge, Published, Series, Study, Timed
from flyweight.studies.tables import Column, Table, Value
from flyweight.studies.verdicts import Verdict, all_slower_than, times_over
from flyweight.studies.zoo_cases import printed, zoo_case

COLUMNS = (
    Published("FLOPs", "M"),
    Published("top-1 error", "%"),
    Published("GPU speed", "batches/s", speed=True),
    Published("ARM speed", "images/s", speed=True),
)
_FLOPS, _ERROR, _GPU, _ARM = range(len(COLUMNS))

_SAME = "the network of the row above, trained by ShuffleNet V2's authors; timed there"
_SAME_14 = f"{_SAME} (their rounding of channels, and so their FLOPs, are unknown)"
_UNTIMED = "no speed is published, for lack of an efficient implementation"

# Label, architecture, network of the zoo. The rows of the zoo have the printed figures.
_ROWS: dict[int, tuple[tuple[str, str, str], ...]] = {
    40: (
        ("ShuffleNet v2 0.5x", "ShuffleNet v2", "shufflenet_v2_x0_5"),
        ("0.25 MobileNet v1", "MobileNet v1", "mobilenet_v1_x0_25"),
        ("0.4 MobileNet v2 (160x160)", "MobileNet v2", "mobilenet_v2_x0_4"),
        ("0.15 MobileNet v2", "MobileNet v2", "mobilenet_v2_x0_15"),
        ("ShuffleNet v1 0.5x (g=3)", "ShuffleNet v1", "shufflenet_v1_x0_5_g3"),
        ("DenseNet 0.5x", "DenseNet", "densenet_light_x0_5"),
        ("Xception 0.5x", "Xception", "xception_light_x0_5"),
        ("IGCV2-0.25", "IGCV", "igcv2_x0_25"),
    ),
    140: (
        ("ShuffleNet v2 1x", "ShuffleNet v2", "shufflenet_v2_x1_0"),
        ("0.5 MobileNet v1", "MobileNet v1", "mobilenet_v1_x0_5"),
        ("0.75 MobileNet v2 (192x192)", "MobileNet v2", "mobilenet_v2_x0_75_megvii"),
        ("0.6 MobileNet v2", "MobileNet v2", "mobilenet_v2_x0_6"),
        ("ShuffleNet v1 1x (g=3)", "ShuffleNet v1", "shufflenet_v1_x1_0_g3"),
        ("DenseNet 1x", "DenseNet", "densenet_light_x1_0"),
        ("Xception 1x", "Xception", "xception_light_x1_0"),
        ("IGCV2-0.5", "IGCV", "igcv2_x0_5"),
        ("IGCV3-D (0.7)", "IGCV", "igcv3_d_x0_7"),
    ),
    300: (
        ("ShuffleNet v2 1.5x", "ShuffleNet v2", "shufflenet_v2_x1_5"),
        ("0.75 MobileNet v1", "MobileNet v1", "mobilenet_v1_x0_75"),
        ("1.0 MobileNet v2", "MobileNet v2", "mobilenet_v2_x1_0"),
        ("1.0 MobileNet v2 (our impl.)", "MobileNet v2", ""),
        ("ShuffleNet v1 1.5x (g=3)", "ShuffleNet v1", "shufflenet_v1_x1_5_g3"),
        ("DenseNet 1.5x", "DenseNet", "densenet_light_x1_5"),
        ("CondenseNet (G=C=8)", "CondenseNet", "condensenet_74_g8"),
        ("Xception 1.5x", "Xception", "xception_light_x1_5"),
        ("IGCV3-D", "IGCV", "igcv3_d_x1_0"),
    ),
    500: (
        ("ShuffleNet v2 2x", "ShuffleNet v2", "shufflenet_v2_x2_0"),
        ("1.0 MobileNet v1", "MobileNet v1", "mobilenet_v1_x1_0"),
        ("1.4 MobileNet v2", "MobileNet v2", "mobilenet_v2_x1_4"),
        ("1.4 MobileNet v2 (our impl.)", "MobileNet v2", ""),
        ("ShuffleNet v1 2x (g=3)", "ShuffleNet v1", "shufflenet_v1_x2_0_g3"),
        ("DenseNet 2x", "DenseNet", "densenet_light_x2_0"),
        ("CondenseNet (G=C=4)", "CondenseNet", "condensenet_74_g4"),
        ("Xception 2x", "Xception", "xception_light_x2_0"),
        ("IGCV2-1.0", "IGCV", "igcv2_x1_0"),
        ("IGCV3-D (1.4)", "IGCV", "igcv3_d_x1_4"),
        ("ShuffleNet v2 2x (SE)", "ShuffleNet v2 with SE", "shufflenet_v2_x2_0_se"),
        ("NASNet-A (4 @ 1056)", "searched", "nasnet_a_4_1056"),
        ("PNASNet-5", "searched", "pnasnet_5_mobile"),
    ),
}  # fmt: skip
# Rows of a network that another row is too, by level: what is printed for them.
_OWN_TRAINING: dict[int, tuple[tuple[Value, ...], str]] = {
    300: ((301, 28.3, 180, 8.9), _SAME),
    500: ((587, 26.7, 137, 5.4), _SAME_14),
}
_MISSING = {
    "nasnet_a_4_1056": "its FLOPs are missing in one copy of the table",
    "condensenet_74_g8": _UNTIMED,
    "condensenet_74_g4": _UNTIMED,
}


def _case(level: int, label: str, group: str, name: str) -> Case:
    if not name:
        published, note = _OWN_TRAINING[level]
        return Case(label, None, (3, 224, 224), published, note, group)
    row = printed(name, "Table 8", level)
    figures = (row.mflops, row.top1_error, row.gpu_batches_per_s, row.arm_images_per_s)
    note = "; ".join(text for text in (_MISSING.get(name, ""), row.note) if text)
    return zoo_case(label, name, figures, (row.resolution, row.resolution), group, note)


def table8_series() -> tuple[Series, ...]:
    """A series for each level of complexity; ShuffleNet v2 is each one's first case."""
    return tuple(
        Series(f"{level}M", COLUMNS, tuple(_case(level, *row) for row in rows))
        for level, rows in _ROWS.items()
    )


_FASTER = "ShuffleNet v2 is faster than {} (paper: {:.2f} times as fast on its GPU, {:.2f} on ARM)"
# Architectures that the text says are slower than ShuffleNet v2, and in which words.
_SLOWER = {
    "MobileNet v2": _FASTER,
    "ShuffleNet v1": _FASTER,
    "Xception": _FASTER,
    "IGCV": "IGCV2 and IGCV3, with their many groups, are slower than ShuffleNet v2",
    "searched": "searched networks, with their many fragments, are slower than ShuffleNet v2",
}
_FASTEST = "MobileNet v1 is faster than all others, as on the paper's GPU"
_ORDER = "is the order by FLOPs the order by time"
_SPREAD = "do networks of nearly equal FLOPs take nearly equally long"


def _of(series: Series, group: str) -> list[Case]:
    return [case for case in series.cases if case.group == group]


def _printed_ratio(series: Series, group: str, platform: int) -> float:
    """How often as fast as the group's fastest case ShuffleNet v2 is by the printed speeds."""
    own = _number(series.cases[0].published[platform])
    return own / max(_number(case.published[platform]) for case in _of(series, group))


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def slower(group: str, claim: str) -> Judge:
    """Judges whether an architecture's cases are all slower than ShuffleNet v2.

    Args:
        group: the architecture.
        claim: with places for its name, and for how often as fast ShuffleNet v2 is on the paper's
            platforms.
    """

    def judge(series: Series, timed: Timed) -> Verdict | None:
        labels = [case.label for case in _of(series, group)]
        ratios = times_over(series.cases[0].label, labels, timed)
        if not ratios:
            return None
        printed_ratios = [_printed_ratio(series, group, of) for of in (_GPU, _ARM)]
        return all_slower_than(ratios, claim.format(group, *printed_ratios))

    return judge


def mobilenet_v1_fastest(series: Series, timed: Timed) -> Verdict | None:
    """Judges whether MobileNet v1 is faster than all others."""
    (own,) = _of(series, "MobileNet v1")
    ratios = times_over(own.label, [case.label for case in series.cases], timed)
    return all_slower_than(ratios, _FASTEST) if ratios else None


def _run(series: Series, timed: Timed) -> list[Record]:
    return [timed[case.label] for case in series.cases if case.label in timed]


def same_order(series: Series, timed: Timed) -> Verdict | None:
    """Judges whether FLOPs order the networks of a level as time does."""
    return order_by_flops([_run(series, timed)], _ORDER)


def same_times(series: Series, timed: Timed) -> Verdict | None:
    """Judges whether networks of a level whose FLOPs are nearly equal take equally long."""
    return spread_at_equal_flops(_run(series, timed), _SPREAD)


def _conclude(timed: Mapping[str, Timed]) -> Verdict | None:
    """The order over all levels that were timed, if there are several."""
    if len(timed) < 2:
        return None
    runs = [list(run.values()) for run in timed.values()]
    return order_by_flops(runs, f"over {', '.join(timed)}: {_ORDER}")


def _printed_order() -> tuple[Table, ...]:
    """The same rank correlation by the paper's own figures, which have no interval."""
    series = table8_series()
    groups = [*((one.name, one.cases) for one in series),
              ("all", tuple(case for one in series for case in one.cases))]  # fmt: skip
    columns = (
        Column("level", "label"),
        *(Column(f"Kendall's tau of FLOPs and time on {of}", "published", digits=2)
          for of in ("GPU", "ARM")),
    )  # fmt: skip
    rows = [(name, _printed_tau(cases, _GPU), _printed_tau(cases, _ARM)) for name, cases in groups]
    return (Table("order by FLOPs, by the paper's own figures", columns, tuple(rows)),)


def _printed_tau(cases: tuple[Case, ...], platform: int) -> float:
    # Rows that print a network a second time would count it twice.
    figures = [
        (_number(case.published[_FLOPS]), _number(case.published[platform]))
        for case in cases
        if case.build is not None and case.published[platform] is not None
    ]
    flops, speeds = (np.array(column) for column in zip(*figures, strict=True))
    return float(kendall(flops, 1 / speeds))


def table8() -> Study:
    """Table 8: every level is timed together; the levels one after another."""
    return Study(
        "table8",
        "errors and speeds at four levels of complexity",
        "ShuffleNet V2, Table 8",
        "networks of the same FLOPs differ in speed, and ShuffleNet v2 is faster than MobileNet v2,"
        " ShuffleNet v1 and Xception",
        table8_series(),
        judges=(
            *(slower(*claim) for claim in _SLOWER.items()),
            mobilenet_v1_fastest,
            same_order,
            same_times,
        ),
        conclude=_conclude,
        computed=_printed_order,
        reading="the paper's GPU ran batches of 8 (--batch 8), its ARM one image at a time; the"
        " comparison by rank correlation is ours",
    )
