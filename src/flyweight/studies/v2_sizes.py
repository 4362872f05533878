"""ShuffleNet V2, Appendix Table 1 (a) and Table 7: whole networks at large input sizes."""

from flyweight.studies.study import Published, Series, Study
from flyweight.studies.verdicts import reference_beats_all
from flyweight.studies.zoo_cases import zoo_case

LEVELS = (40, 140, 300, 500)
"""Of complexity at 224x224, in M multiply-adds."""
NETWORKS = {
    "ShuffleNet v2": ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
                      "shufflenet_v2_x2_0"),
    "ShuffleNet v1": ("shufflenet_v1_x0_5_g3", "shufflenet_v1_x1_0_g3", "shufflenet_v1_x1_5_g3",
                      "shufflenet_v1_x2_0_g3"),
    "MobileNet v2": ("mobilenet_v2_x0_15", "mobilenet_v2_x0_6", "mobilenet_v2_x1_0",
                     "mobilenet_v2_x1_4"),
    "Xception": ("xception_light_x0_5", "xception_light_x1_0", "xception_light_x1_5",
                 "xception_light_x2_0"),
    "ShuffleNet v2*": ("shufflenet_v2_x0_5_star", "shufflenet_v2_x1_0_star",
                       "shufflenet_v2_x1_5_star", "shufflenet_v2_x2_0_star"),
}  # fmt: skip
_MOBILENET = (
    "MobileNet v2 is that of the level at 224x224: 0.15 and 0.6 of the width for 40M and 140M, not"
    " Table 8's other ones at 160x160 and 192x192; the paper doesn't say which"
)

# Appendix Table 1 (a), by size: height and width as run here; for each architecture the GPU's
# batches a second at the four levels, and the CPU's images a second.
_1A = {
    "320x320": ((320, 320), {
        "ShuffleNet v2": ((315, 525, 474, 422), (28.1, 12.5, 6.1, 3.4)),
        "ShuffleNet v1": ((236, 414, 344, 275), (27.2, 11.4, 5.1, 3.1)),
        "MobileNet v2": ((187, 460, 389, 335), (11.4, 6.4, 4.6, 2.7)),
        "Xception": ((279, 463, 408, 350), (31.1, 10.1, 5.6, 3.5)),
    }),
    "640x480": ((480, 640), {
        "ShuffleNet v2": ((424, 394, 297, 250), (9.3, 4.0, 1.9, 1.1)),
        "ShuffleNet v1": ((396, 269, 198, 156), (8.0, 3.7, 1.6, 1.0)),
        "MobileNet v2": ((338, 248, 208, 165), (3.8, 2.0, 1.4, 0.8)),
        "Xception": ((399, 326, 244, 209), (9.6, 3.2, 1.7, 1.1)),
    }),
    "1080x720": ((720, 1080), {
        "ShuffleNet v2": ((248, 197, 141, 115), (3.5, 1.5, 0.7, 0.4)),
        "ShuffleNet v1": ((203, 131, 96, 77), (2.9, 1.4, 0.4, 0.3)),
        "MobileNet v2": ((159, 117, 99, 78), (1.4, 0.7, 0.3, 0.3)),
        "Xception": ((232, 160, 124, 106), (3.6, 1.2, 0.5, 0.4)),
    }),
}  # fmt: skip
_CROWDED = "the GPU's figure is of batches of 8 here, of one image elsewhere"


def _remark(size: str, level: int, group: str, cpu: float, first: float) -> str:
    remarks = [_CROWDED] if (size, level) == ("320x320", 40) else []
    if group != "ShuffleNet v2" and cpu >= first:
        remarks.append("on the paper's CPU as fast as ShuffleNet v2, or faster")
    return "; ".join(remarks)


def table1a() -> Study:
    """Appendix Table 1 (a)."""
    columns = (
        Published("GPU speed", "batches/s", speed=True),
        Published("CPU speed", "images/s", speed=True),
    )
    series = []
    for size, (pixels, rows) in _1A.items():
        for index, level in enumerate(LEVELS):
            first = rows["ShuffleNet v2"][1][index]
            cases = tuple(
                zoo_case(
                    group, NETWORKS[group][index], (gpu[index], cpu[index]), pixels,
                    note=_remark(size, level, group, cpu[index], first),
                )
                for group, (gpu, cpu) in rows.items()
            )  # fmt: skip
            series.append(Series(f"{size} {level}M", columns, cases))
    return Study(
        "table1a",
        "whole networks at larger input sizes",
        "ShuffleNet V2, Appendix Table 1a",
        "ShuffleNet v2 is the fastest network at every level of FLOPs and every input size",
        tuple(series),
        judges=(reference_beats_all,),
        reading=f"sizes are width x height; {_MOBILENET}",
    )


# Table 7, in its order: mmAP on COCO at the four levels, and images a second on the GPU.
_7 = {
    "Xception": ((21.9, 29.0, 31.3, 32.9), (178, 131, 101, 83)),
    "ShuffleNet v1": ((20.9, 27.0, 29.9, 32.9), (152, 85, 76, 60)),
    "MobileNet v2": ((20.7, 24.4, 30.0, 30.6), (146, 111, 94, 72)),
    "ShuffleNet v2": ((22.5, 29.0, 31.8, 33.3), (188, 146, 109, 87)),
    "ShuffleNet v2*": ((23.7, 29.6, 32.2, 34.2), (183, 138, 105, 83)),
}


def table7() -> Study:
    """Table 7: backbones of a detector."""
    columns = (Published("mmAP", "%"), Published("GPU speed", "images/s", speed=True))
    groups = list(_7)
    series = tuple(
        Series(
            f"{level}M",
            columns,
            tuple(
                zoo_case(
                    group, NETWORKS[group][index], (mmap[index], speeds[index]), (800, 1200),
                    num_classes=0,
                )
                for group, (mmap, speeds) in _7.items()
            ),
            reference=groups.index("ShuffleNet v2"),
        )
        for index, level in enumerate(LEVELS)
    )  # fmt: skip
    return Study(
        "table7",
        "backbones of a detector at 800x1200",
        "ShuffleNet V2, Table 7",
        "ShuffleNet v2 is the fastest backbone, ShuffleNet v2* apart",
        series,
        judges=(reference_beats_all,),
        reading="the paper's speeds are of the whole detector, Light-Head R-CNN, on its GPU with"
        " batches of 4 (--batch 4); here the backbones alone are timed, up to the pooled features,"
        f" so their speeds differ more; {_MOBILENET}; ShuffleNet v2* has its additional convolution"
        " in units with stride 1",
    )
