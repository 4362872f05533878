"""MobileNetV2 (Sandler et al., 2018): operator counts, maximum memory, comparison.

Its tables of detection and segmentation aren't at hand, so they aren't here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flyweight.studies.speedups import faster, faster_than, images_per_s, printed_speedup
from flyweight.studies.structure import structure
from flyweight.studies.study import Judge, Published, Series, Study
from flyweight.studies.tables import Column, Table, Value
from flyweight.studies.zoo_cases import network

_NAME = "MobileNetV2 (arXiv 1801.04381), {}"


# Table 2, with the operations of each line.


@dataclass(frozen=True)
class Line:
    """A line of Table 2: the side and channels of the map it reads, its operator, t, c, n and s.

    What follows the last map has the path of its module in the network, in `head`.
    """

    side: int
    channels: int
    operator: str
    t: int | None
    c: int | None
    n: int
    s: int | None
    head: str = ""

    @property
    def label(self) -> str:
        """Input and operator, as the table has them."""
        return f"{self.side}^2 x {self.channels} {self.operator}"


_TABLE_2 = (
    Line(224, 3, "conv2d", None, 32, 1, 2),
    Line(112, 32, "bottleneck", 1, 16, 1, 1),
    Line(112, 16, "bottleneck", 6, 24, 2, 2),
    Line(56, 24, "bottleneck", 6, 32, 3, 2),
    Line(28, 32, "bottleneck", 6, 64, 4, 2),
    Line(14, 64, "bottleneck", 6, 96, 3, 1),
    Line(14, 96, "bottleneck", 6, 160, 3, 2),
    Line(7, 160, "bottleneck", 6, 320, 1, 1),
    Line(7, 320, "conv2d 1x1", None, 1280, 1, 1),
    Line(7, 1280, "avgpool 7x7", None, None, 1, None, "pool"),
    Line(1, 1280, "conv2d 1x1", None, None, 1, None, "classifier"),
)


def by_formula(read: Sequence[int], t: int, outputs: int) -> int:
    """Multiply-adds of a bottleneck as the text counts them: h w d' t (d' + k^2 + d'').

    Args:
        read: channels d', height h and width w of the map that it reads. With stride 2 it puts out
            a smaller one, so the count is too high.
        t: the expansion.
        outputs: channels d'' that it puts out.
    """
    inputs, height, width = read
    return height * width * inputs * t * (inputs + 9 + outputs)


def _operators() -> tuple[Table, ...]:
    """Multiply-adds and weights of each line of Table 2, counted and by the text's formula."""
    of = structure("mobilenet_v2_x1_0")
    parts = iter(of.parts())
    columns = (
        Column("", "label"),
        *(Column(name, "published") for name in ("t", "c", "n", "s")),
        Column("size put out", "computed"),
        Column("M madds", "computed", digits=2),
        Column("M madds by the formula", "computed", digits=2),
        Column("M params", "computed", digits=3),
        Column("note", "note"),
    )
    rows: list[tuple[Value, ...]] = []
    for line in _TABLE_2:
        paths = [line.head] if line.head else [next(parts) for _ in range(line.n)]
        blocks = [of.operations(path) for path in paths]
        formula = None
        if line.t:
            counts = [by_formula(b[0].input[1:], line.t, b[-1].output[1]) for b in blocks]
            formula = sum(counts) / 1e6
        rows.append(
            (
                line.label, line.t, line.c, line.n, line.s,
                " x ".join(map(str, blocks[-1][-1].output[1:])),
                sum(one.madds for block in blocks for one in block) / 1e6, formula,
                sum(one.params for block in blocks for one in block) / 1e6, _note(line),
            )
        )  # fmt: skip
    return (Table("operators", columns, tuple(rows)),)


def _note(line: Line) -> str:
    if line.t == 1:
        return "the formula has a first convolution, which t = 1 leaves out"
    if line.t and line.s == 2:
        return "the formula takes the first block's whole map, of which it puts out a quarter"
    return ""


# Table 3: channels and memory that must be held at each size, with 16 bits a value.

_MEMORY: dict[str, tuple[str, tuple[tuple[int, int | str], ...]]] = {
    "MobileNetV1": (
        "mobilenet_v1_x1_0",
        ((1, "O(1)"), (128, 800), (256, 400), (512, 200), (1024, 199), (1024, 2)),
    ),
    "MobileNetV2": (
        "mobilenet_v2_x1_0",
        ((1, "O(1)"), (32, 200), (64, 100), (160, 62), (320, 32), (1280, 2)),
    ),
    "ShuffleNet (2x, g=3)": (
        "shufflenet_v1_x2_0_g3",
        ((1, "O(1)"), (48, 300), (400, 600), (800, 310), (1600, 156), (1600, 3)),
    ),
}
_SIDES = (112, 56, 28, 14, 7, 1)
_PRINTED_MAX = {"MobileNetV1": 800, "MobileNetV2": 200, "ShuffleNet (2x, g=3)": 600}
_TRICK = "printed for a first layer that is computed piece by piece"
_LINE = "printed: what Table 2's line puts out that reads maps of this size, at half of it"
_MEMORY_NOTES = {
    ("MobileNetV1", 112): _TRICK,
    ("MobileNetV2", 112): _TRICK,
    ("ShuffleNet (2x, g=3)", 112): _TRICK,
    ("MobileNetV1", 7): "1024 channels of 7x7 are 100 kB; 199 are printed",
    ("MobileNetV2", 56): _LINE,
    ("MobileNetV2", 28): _LINE,
    ("MobileNetV2", 14): _LINE,
    ("ShuffleNet (2x, g=3)", 28): "printed: twice the channels of 2 groups, not of 3",
    ("ShuffleNet (2x, g=3)", 14): "likewise",
    ("ShuffleNet (2x, g=3)", 7): "likewise",
    ("ShuffleNet (2x, g=3)", 1): "likewise",
}


def kilobytes(channels: int, side: int) -> float:
    """Of a map with 16 bits a value, in thousands of bytes."""
    return channels * side * side * 2 / 1000


def _between_blocks(name: str) -> dict[int, int]:
    """The most channels at each size of what blocks hand on, the last convolution left out."""
    most: dict[int, int] = {}
    of = structure(name)
    for path in of.parts():
        if path != "stages.last":
            layer = of.layer(path)
            most[layer.size] = max(most.get(layer.size, 0), layer.channels)
    return most


def _of_operations(name: str) -> dict[int, int]:
    """The most channels at each size of what any operation puts out."""
    most: dict[int, int] = {}
    for one in structure(name).cost.operations:
        if len(one.output) == 4:
            _, channels, _, side = one.output
            most[side] = max(most.get(side, 0), channels)
    return most


def _memory_table(label: str) -> Table:
    name, printed = _MEMORY[label]
    between, every = _between_blocks(name), _of_operations(name)
    between.setdefault(1, every[1])  # what is pooled goes on to the classifier
    columns = (
        Column("", "label"),
        Column("channels", "published"),
        Column("memory", "published", "kB"),
        Column("channels between blocks", "computed"),
        Column("memory between blocks", "computed", "kB", digits=0),
        Column("most channels of any operation", "computed"),
        Column("their memory", "computed", "kB", digits=0),
        Column("note", "note"),
    )
    rows: list[tuple[Value, ...]] = [
        (
            f"{side}x{side}", *figures, between[side], kilobytes(between[side], side),
            every[side], kilobytes(every[side], side), _MEMORY_NOTES.get((label, side), ""),
        )
        for side, figures in zip(_SIDES, printed, strict=True)
    ]  # fmt: skip
    most = [max(kilobytes(found[side], side) for side in _SIDES[1:]) for found in (between, every)]
    rows.append(
        ("max", None, _PRINTED_MAX[label], None, most[0], None, most[1],
         "below 112x112, as printed")
    )  # fmt: skip
    return Table(label, columns, tuple(rows))


def _memory() -> tuple[Table, ...]:
    return tuple(map(_memory_table, _MEMORY))


# Table 4: comparison of networks.

_575 = "the MobileNet paper prints 569 M"
_SMALL = "TensorFlow's README prints 3.47 M parameters"
_BIG = "TensorFlow's README prints 582 M and 6.06 M, as counted"
_TABLE_4: Sequence[tuple[str, str, float, float, float, float | None, str]] = (
    ("MobileNetV1", "mobilenet_v1_x1_0", 70.6, 4.2, 575, 113, _575),
    ("ShuffleNet (1.5)", "shufflenet_v1_x1_5_g3", 71.5, 3.4, 292, None, ""),
    ("ShuffleNet (x2)", "shufflenet_v1_x2_0_g3", 73.7, 5.4, 524, None, ""),
    ("NasNet-A", "nasnet_a_4_1056", 74.0, 5.3, 564, 183, ""),
    ("MobileNetV2", "mobilenet_v2_x1_0", 72.0, 3.4, 300, 75, _SMALL),
    ("MobileNetV2 (1.4)", "mobilenet_v2_x1_4", 74.7, 6.9, 585, 143, _BIG),
)


def _comparison() -> Series:
    columns = (
        Published("top-1 accuracy", "%"), Published("params", "M"), Published("FLOPs", "M"),
        Published("time", "ms"), Published("speed", "images/s", speed=True),
    )  # fmt: skip
    cases = tuple(
        network(label, name, top1, params, mflops, ms, images_per_s(ms) if ms else None, note=note)
        for label, name, top1, params, mflops, ms, note in _TABLE_4
    )
    return Series("ImageNet", columns, cases)


def _than(other: str, width: str) -> Judge:
    """Judges whether MobileNetV2 is faster than a network of less accuracy, or about as much."""
    mine = f"MobileNetV2{width}"
    printed = printed_speedup(_comparison(), mine, other)
    claim = f"{mine} is faster than {other} (paper: {printed:.2f} times as fast)"
    return faster_than(mine, other, claim=claim)


def _phones() -> Series:
    columns = (
        Published("FLOPs", "M"), Published("params", "M"),
        *(Published(of, speed=True) for of in ("iPhone 7", "iPhone X", "iPad Pro 10.5")),
        Published("top-1 accuracy", "%"), Published("top-5 accuracy", "%"),
    )  # fmt: skip
    return Series(
        "phones",
        columns,
        (
            network("MobileNet V1", "mobilenet_v1_x1_0", 569, 4.24, 118, 162, 204, 70.9, 89.9),
            network("MobileNet V2", "mobilenet_v2_x1_0", 300, 3.47, 145, 233, 220, 71.8, 91.0),
        ),
    )


_SLIDES = "slides on small networks (Modern CNNs II), "

STUDIES = (
    Study(
        "mobilenet_v2_table2", "multiply-adds of each operator",
        _NAME.format("Table 2 and the text on the number of operations"),
        "a bottleneck costs h w d' t (d' + k^2 + d'') multiply-adds", computed=_operators,
        reading="the text counts 19 bottlenecks, the table 17; params are those of all layers of a"
        " line, batch norm's too",
    ),
    Study(
        "mobilenet_v2_table3", "channels and memory to be held at each size",
        _NAME.format("Table 3"), "MobileNetV2 needs the least memory", computed=_memory,
        reading="the printed figures suppose that what is inside a block, and the last convolution,"
        " are computed piece by piece, and values of 16 bits: so does 'between blocks'; engines"
        " hold each operation's whole output: that is 'of any operation'",
    ),
    Study(
        "mobilenet_v2_table4", "comparison of networks", _NAME.format("Table 4"),
        "MobileNetV2 is faster than the networks of its accuracy on one core of a Pixel 1",
        (_comparison(),), judges=(_than("MobileNetV1", ""), _than("NasNet-A", " (1.4)")),
        reading="speeds are 1000 / the printed times; ShuffleNet's groups are 3, as its FLOPs say",
    ),
    Study(
        "mobilenet_v2_phones", "against MobileNet V1", _SLIDES + "vs MobileNetV1",
        "MobileNet V2 is faster than V1", (_phones(),), judges=(faster("MobileNet V2"),),
        reading="no unit is printed for the phones: more is read as faster (images a second), as V2"
        " has half of the FLOPs",
    ),
)  # fmt: skip
