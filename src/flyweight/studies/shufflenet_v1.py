"""ShuffleNet (Zhang et al., 2017): Tables 1, 2, 3, 5, 6 and 8.

The paper's first version (arXiv v1) and its second (v2, CVPR) print other errors for the same
networks, and Tables 5 and 6 have other rows; both are shown, each in its column. Table 4 (against
units of other networks) and Table 7 (detection) aren't at hand, so they aren't here.
"""

from flyweight.studies.speedups import faster, faster_than, images_per_s
from flyweight.studies.structure import structure
from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.tables import Column, Table, Value
from flyweight.studies.zoo_cases import network, zoo_case

_NAME = "ShuffleNet V1 (arXiv 1707.01083), Table {} of {}"
_V1, _V2 = (Published(f"top-1 error, arXiv {version}", "%") for version in ("v1", "v2"))
_MFLOPS = Published("FLOPs", "M")

GROUPS = (1, 2, 3, 4, 8)

# Table 1: architecture.

# Line, its module, size and channels put out.
_TABLE_1 = (
    ("Conv1", "stages.stem.0", 112, (24, 24, 24, 24, 24)),
    ("MaxPool", "stages.stem.1", 56, (24, 24, 24, 24, 24)),
    ("Stage2", "stages.stage2", 28, (144, 200, 240, 272, 384)),
    ("Stage3", "stages.stage3", 14, (288, 400, 480, 544, 768)),
    ("Stage4", "stages.stage4", 7, (576, 800, 960, 1088, 1536)),
)
_UNROUNDED = "its own channels give {} M, so what is printed was not rounded from them"


def _architecture() -> tuple[Table, ...]:
    """What each line of Table 1 puts out, printed and here."""
    networks = [structure(f"shufflenet_v1_x1_0_g{groups}") for groups in GROUPS]
    columns = [Column("", "label"), Column("size", "published"), Column("size, here", "computed")]
    for groups in GROUPS:
        name = f"channels, g = {groups}"
        columns += [Column(name, "published"), Column(f"{name}, here", "computed")]
    rows = []
    for line, module, size, channels in _TABLE_1:
        layers = [of.layer(module) for of in networks]
        row: list[Value] = [line, size, layers[0].size]
        for printed, layer in zip(channels, layers, strict=True):
            row += [printed, layer.channels]
        rows.append(tuple(row))
    return (Table("what each stage puts out", tuple(columns), tuple(rows)),)


def _complexity() -> Series:
    printed = (143, 140, 137, 133, 137)
    notes = {4: _UNROUNDED.format("134.3"), 8: _UNROUNDED.format("138.4")}
    cases = tuple(
        network(f"g = {g}", f"shufflenet_v1_x1_0_g{g}", mflops, note=notes.get(g, ""))
        for g, mflops in zip(GROUPS, printed, strict=True)
    )
    return Series("complexity", (_MFLOPS,), cases, timed=False)


# Table 2: errors by groups, of arXiv v1 and v2.

_TABLE_2 = {
    "0.25x": ("x0_25", 13, (56.7, 56.3, 55.6, 54.5, 53.7), (57.1, 56.8, 55.0, 54.2, 52.7)),
    "0.25x arch2": ("x0_25_arch2", 13, (56.5, 55.3, 55.5, 54.3, 53.3), ()),
    "0.5x": ("x0_5", 38, (46.1, 45.1, 44.4, 43.7, 43.8), (45.1, 44.4, 43.2, 41.6, 42.3)),
    "0.5x arch2": ("x0_5_arch2", 40, (45.7, 44.3, 43.8, 43.2, 42.7), ()),
    "1x": ("x1_0", 140, (35.1, 34.2, 34.1, 34.3, 34.7), (33.6, 32.7, 32.6, 32.8, 32.4)),
}
_OUR_WIDTHS = "width fitted: none is printed"
_NOTES = {
    "x0_25_g2": "bottlenecks of 12, 26 and 50: 2 groups don't divide 12.5 and 25",
    "x0_25_g4": "bottlenecks of 16, 36 and 68: 4 groups don't divide 17 and 34",
    "x0_25_g8": "a first layer of 8: 8 groups don't divide what 12 leave for the first unit",
    "x0_5_g2": "a bottleneck of 26 in stage 2: 2 groups don't divide 25",
    "x0_5_g4": "a bottleneck of 36 in stage 2: 4 groups don't divide 34",
    "x0_5_g8": "a first layer of 16, as in the authors' code: 8 groups don't divide the rest of 12",
}


def _by_groups() -> tuple[Series, ...]:
    found = []
    for label, (name, mflops, first, second) in _TABLE_2.items():
        cases = []
        for index, groups in enumerate(GROUPS):
            row = f"{name}_g{groups}"
            errors = (first[index], second[index] if second else None)
            note = _OUR_WIDTHS if "arch2" in name else _NOTES.get(row, "")
            cases.append(
                network(f"g = {groups}", f"shufflenet_v1_{row}", mflops, *errors, note=note)
            )
        found.append(Series(label, (_MFLOPS, _V1, _V2), tuple(cases)))
    return tuple(found)


# Table 3 (arXiv v1): errors without the shuffle, and with it.

_TABLE_3 = {
    "0.25x (g = 3)": ("x0_25_g3", 56.5, 55.6),
    "0.25x (arch2, g = 3)": ("x0_25_arch2_g3", 56.6, 55.5),
    "0.25x (arch2, g = 8)": ("x0_25_arch2_g8", 57.3, 53.3),
    "0.5x (g = 3)": ("x0_5_g3", 46.1, 44.4),
    "0.5x (arch2, g = 8)": ("x0_5_arch2_g8", 46.2, 42.7),
    "1x (g = 3)": ("x1_0_g3", 36.4, 34.1),
}


def _shuffles() -> tuple[Series, ...]:
    return tuple(
        Series(
            label, (_V1,),
            (network("no shuffle", f"shufflenet_v1_{name}_noshuffle", without),
             network("shuffle", f"shufflenet_v1_{name}", shuffled)),
        )
        for label, (name, without, shuffled) in _TABLE_3.items()
    )  # fmt: skip


# Tables 5 and 6: against MobileNet and others; rows of arXiv v1, of v2, or of both.


def _shufflenet(label: str, name: str, *published: Value, note: str = "") -> Case:
    note = note or _NOTES.get(name, "")
    return network(f"ShuffleNet {label}", f"shufflenet_v1_{name}", *published, note=note)


_HALF_G4 = ("0.5x (g = 4)", "x0_5_g4", 38, None, 41.6)
_ARCH2_G8 = ("0.5x (arch2, g = 8)", "x0_5_arch2_g8", 40, 42.7, None)
_ONE_G3 = ("1x (g = 3)", "x1_0_g3", 140, 34.1, None)
_ONE_G8 = ("1x (g = 8)", "x1_0_g8", 140, None, 32.4)


def _mobilenet(label: str, name: str, mflops: float, error: float) -> Case:
    return network(f"{label} MobileNet-224", f"mobilenet_v1_{name}", mflops, error, error)


_TABLE_5 = {
    "41 MFLOPs": (
        _mobilenet("0.25", "x0_25", 41, 49.4),
        _shufflenet(*_ARCH2_G8, note=_OUR_WIDTHS),
        _shufflenet(*_HALF_G4),
        _shufflenet(
            "0.5x (shallow, g = 3)", "x0_5_shallow_g3", 40, 45.2, 42.8, note=_OUR_WIDTHS
        ),
    ),
    "149 MFLOPs": (
        _mobilenet("0.5", "x0_5", 149, 36.3),
        _shufflenet(*_ONE_G3),
        _shufflenet(*_ONE_G8),
    ),
    "325 MFLOPs": (
        _mobilenet("0.75", "x0_75", 325, 31.6),
        _shufflenet("1.5x (g = 3)", "x1_5_g3", 292, 31.0, 28.5),
    ),
    "569 MFLOPs": (
        _mobilenet("1.0", "x1_0", 569, 29.4),
        _shufflenet("2x (g = 3)", "x2_0_g3", 524, 29.1, 26.3),
        _shufflenet(
            "2x (with SE, g = 3)", "x2_0_g3_se", 527, None, 24.7,
            note="reduction 16 on every unit's output, which gives the printed FLOPs",
        ),
    ),
}  # fmt: skip
_TABLE_6 = {
    "AlexNet and SqueezeNet": (
        network("AlexNet", "alexnet", 720, 42.8, 42.8, side=227),
        network("SqueezeNet", "squeezenet_1_0", 833, 42.5, 42.5, side=227),
        _shufflenet(*_ARCH2_G8, note=_OUR_WIDTHS),
        _shufflenet(*_HALF_G4),
    ),
    "PVANET and GoogLeNet": (
        network("PVANET", "pvanet", 557, 35.3, None,
                note="their own implementation, unpublished; here the authors', with its FC"),
        network("GoogLeNet", "googlenet", 1500, None, 31.3,
                note="its shapes give 1583 M; where the printed figure comes from isn't said"),
        _shufflenet(*_ONE_G3),
        _shufflenet(*_ONE_G8),
    ),
    "VGG-16": (
        network("VGG-16", "vgg_16", 15300, 28.5, 28.5, note="printed: its convolutions alone"),
        _shufflenet("2x (g = 3)", "x2_0_g3", 524, 29.1, 26.3),
    ),
}  # fmt: skip


def _groups(table: dict[str, tuple[Case, ...]]) -> tuple[Series, ...]:
    return tuple(Series(name, (_MFLOPS, _V1, _V2), cases) for name, cases in table.items())


# Table 8 (arXiv v1): times on an ARM processor.

_HALF, _ONE, _ALEXNET = "ShuffleNet 0.5x (arch2, g = 3)", "ShuffleNet 1x (g = 3)", "AlexNet"
_TABLE_8 = {
    (224, 224): (15.2, 37.8, 184.0),
    (480, 640): (87.4, 222.2, 1156.7),
    (720, 1280): (260.1, 684.5, 3633.9),
}


def _arm_times() -> tuple[Series, ...]:
    rows = (
        (_HALF, "shufflenet_v1_x0_5_arch2_g3", 40, 43.8, _OUR_WIDTHS),
        (_ONE, "shufflenet_v1_x1_0_g3", 140, 34.1, ""),
        (_ALEXNET, "alexnet", 720, 42.8, ""),
    )
    columns = (_MFLOPS, _V1, Published("time", "ms"), Published("speed", "images/s", speed=True))
    found = []
    for (height, width), times in _TABLE_8.items():
        cases = []
        for (label, name, mflops, error, note), ms in zip(rows, times, strict=True):
            # The table prints FLOPs once, those of 224x224.
            flops = mflops if height == 224 else None
            printed = (flops, error, ms, images_per_s(ms))
            cases.append(zoo_case(label, name, printed, (height, width), note=note))
        found.append(Series(f"{height}x{width}", columns, tuple(cases)))
    return tuple(found)


_ARCH2 = (
    "arch2 has two units fewer in stage 3 and wider maps; its widths aren't printed, so those here"
    " are fitted to the printed FLOPs"
)
_STEM = (
    "the first layer has 12 channels at 0.25x and 24 at 1.5x, which gives the printed FLOPs; scaled"
    " as the text says, it doesn't"
)


STUDIES = (
    Study(
        "shufflenet_v1_table1", "groups, at the same complexity", _NAME.format(1, "v1 and v2"),
        "more groups allow more channels at about the same FLOPs", (_complexity(),),
        computed=_architecture,
        reading="only the second pointwise convolution of stage 2's first unit is grouped, as the"
        " text says; the classifier has no bias, as in the authors' code",
    ),
    Study(
        "shufflenet_v1_table2", "groups, at five complexities", _NAME.format(2, "v1 and v2"),
        "at the same FLOPs, groups lower the error, most in small networks", _by_groups(),
        reading=f"{_ARCH2}; {_STEM}; only arXiv v1 has arch2. Of times the table says nothing:"
        " ShuffleNet V2's guideline 2 does.",
    ),
    Study(
        "shufflenet_v1_table3", "with and without channel shuffle", _NAME.format(3, "v1"),
        "with the shuffle the error is lower, and no FLOPs are added", _shuffles(),
        reading=f"{_ARCH2}; {_STEM}; the speeds say what the shuffle costs here, the table doesn't",
    ),
    Study(
        "shufflenet_v1_table5", "against MobileNet", _NAME.format(5, "v1 and v2"),
        "at every complexity ShuffleNet's error is lower than MobileNet's", _groups(_TABLE_5),
        reading=f"{_ARCH2}; the shallow network has half of the units, and a width fitted likewise;"
        f" {_STEM}",
    ),
    Study(
        "shufflenet_v1_table6", "against networks of similar error", _NAME.format(6, "v1 and v2"),
        "at a similar error ShuffleNet is much more efficient", _groups(_TABLE_6),
        judges=(faster("ShuffleNet"),),
        reading="the claim is of FLOPs; it is judged by time: whether the slowest ShuffleNet is"
        f" faster than the fastest other network of its group; {_ARCH2}",
    ),
    Study(
        "shufflenet_v1_table8", "times on an ARM processor", _NAME.format(8, "v1"),
        "ShuffleNet 0.5x, with an 18th of AlexNet's FLOPs, is about 13 times as fast", _arm_times(),
        judges=(faster_than(_HALF, _ALEXNET, as_printed=True),),
        reading="speeds are 1000 / the printed times; each size is judged by what they say there;"
        " what AlexNet's linear layers read of larger images isn't said: here the last map is"
        f" averaged to 6x6; {_ARCH2}",
    ),
)  # fmt: skip
