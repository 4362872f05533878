"""ShuffleNet V2, Table 6 and Appendix Table 2: networks for large models."""

from torch import nn

from flyweight.nn import SqueezeExcite
from flyweight.studies.structure import Structure, side, structure, times
from flyweight.studies.study import Published, Series, Study
from flyweight.studies.tables import Column, Table, Value
from flyweight.studies.zoo_cases import printed, zoo_case

_TABLE_6 = {
    "ShuffleNet v2-50": "shufflenet_v2_50",
    "ShuffleNet v1-50": "shufflenet_v1_50_g3",
    "ResNet-50": "resnet_50",
    "SE-ShuffleNet v2-164": "shufflenet_v2_164_se",
    "SENet": "senet_154",
}


def table6() -> Study:
    """Table 6."""
    cases = []
    for label, name in _TABLE_6.items():
        row = printed(name, "Table 6")
        giga = None if row.mflops is None else row.mflops / 1e3
        cases.append(zoo_case(label, name, (giga, row.top1_error), (224, 224), note=row.note))
    columns = (Published("FLOPs", "G"), Published("top-1 error", "%"))
    return Study(
        "table6",
        "large models",
        "ShuffleNet V2, Table 6",
        "",
        (Series("large models", columns, tuple(cases), timed=False),),
    )


_APPENDIX_2 = {
    "ShuffleNet v1-50 (group=3)": "shufflenet_v1_50_g3",
    "ShuffleNet v2-50": "shufflenet_v2_50",
    "Resnet-50": "resnet_50",
    "SE-ShuffleNet v2-164": "shufflenet_v2_164_se",
}
_STEM = "3x3, 64, stride 2"


def _units(
    repeats: tuple[int, int, int, int], widths: tuple[tuple[int, int, int], ...]
) -> list[str]:
    """The brackets of conv2_x to conv5_x: channels of the three convolutions, blocks stacked."""
    return [
        f"[1x1, {first} | 3x3, {middle} | 1x1, {last}] x {count}"
        for count, (first, middle, last) in zip(repeats, widths, strict=True)
    ]


def _alike(*widths: int) -> tuple[tuple[int, int, int], ...]:
    return tuple((width, width, width) for width in widths)


# By row, in the order of the networks above; the first figure is the output size.
_POOL = ["3x3 max pool, stride 2"] * 4
_STEMS = [_STEM, _STEM, "7x7, 64, stride 2", f"{_STEM} | 3x3, 64 | 3x3, 128"]
_BLOCKS = (
    _units((3, 4, 6, 3), _alike(360, 720, 1440, 2880)),
    _units((3, 4, 6, 3), _alike(244, 488, 976, 1952)),
    _units((3, 4, 6, 3), ((64, 64, 256), (128, 128, 512), (256, 256, 1024), (512, 512, 2048))),
    _units((10, 10, 23, 10), _alike(340, 680, 1360, 2720)),
)
_SIZES = {"conv2_x": "56x56", "conv3_x": "28x28", "conv4_x": "14x14", "conv5_x": "7x7"}
_PUBLISHED: dict[str, tuple[str | None, list[Value]]] = {
    "conv1_x": ("112x112", [*_STEMS]),
    "max pool": ("56x56", [*_POOL]),
    **{
        row: (size, [blocks[index] for blocks in _BLOCKS])
        for index, (row, size) in enumerate(_SIZES.items())
    },
    "conv6": ("7x7", ["-", "1x1, 2048", "-", "1x1, 2048"]),
    "FLOPs (G)": (None, [2.3, 2.3, 3.8, 12.7]),
}


def _convolution(kernel: int, channels: int, stride: int) -> str:
    return f"{times(kernel)}, {channels}" + (f", stride {stride}" if stride > 1 else "")


def _stage(of: Structure, stage: str) -> tuple[str, str]:
    """Output size of a stage, and its last unit's convolutions with the number of units."""
    units = of.units(stage)
    last = f"stages.{stage}.{len(units) - 1}"
    shapes = [
        _convolution(kernel, layer.channels, layer.stride)
        for kernel, layer in of.convolutions(last)
    ]
    parts = of.network.get_submodule(last).modules()
    excited = ", SE" if any(isinstance(part, SqueezeExcite) for part in parts) else ""
    text = f"[{' | '.join(shapes)}{excited}] x {len(units)} -> {units[-1].channels}"
    return times(units[-1].size), text


def computed_rows(name: str) -> dict[str, tuple[str | None, Value]]:
    """Appendix Table 2's rows as a network of the zoo has them: output size, and what is there.

    A unit's brackets hold its convolutions as they are here; behind "->" are the channels that it
    puts out, which is what the paper's brackets print of the ShuffleNets.

    Args:
        name: one of the table's networks.
    """
    of = structure(name)
    stem = of.convolutions("stages.stem")
    pooled = of.layer("stages.stem")
    (pool,) = (
        part for part in of.network.stages["stem"].modules() if isinstance(part, nn.MaxPool2d)
    )
    rows: dict[str, tuple[str | None, Value]] = {
        "conv1_x": (
            times(stem[-1][1].size),
            " | ".join(_convolution(k, layer.channels, layer.stride) for k, layer in stem),
        ),
        "max pool": (
            times(pooled.size),
            f"{times(side(pool.kernel_size))} max pool, stride {pool.stride}",
        ),
    }
    for number in range(2, 6):
        rows[f"conv{number}_x"] = _stage(of, f"stage{number}")
    if "conv6" in of.network.stages:
        ((kernel, last),) = of.convolutions("stages.conv6")
        rows["conv6"] = (times(last.size), _convolution(kernel, last.channels, 1))
    else:
        rows["conv6"] = (None, "-")
    rows["FLOPs (G)"] = (None, round(of.cost.madds / 1e9, 3))
    return rows


def _tables() -> tuple[Table, ...]:
    """A table for each network."""
    columns = (
        Column("layer", "label"),
        Column("output size", "published"),
        Column("output size", "computed"),
        Column("layers", "published"),
        Column("layers", "computed"),
    )
    tables = []
    for index, (label, name) in enumerate(_APPENDIX_2.items()):
        here = computed_rows(name)
        rows = [
            (row, size, here[row][0], cells[index], here[row][1])
            for row, (size, cells) in _PUBLISHED.items()
        ]
        tables.append(Table(label, columns, tuple(rows)))
    return tuple(tables)


def appendix2() -> Study:
    """Appendix Table 2."""
    return Study(
        "appendix2",
        "architectures for large models",
        "ShuffleNet V2, Appendix Table 2",
        "",
        computed=_tables,
        reading="the ShuffleNets' brackets print what a unit puts out, in all three places; here a"
        " bracket has each convolution's own channels, and what the unit puts out behind ->."
        " ShuffleNet v1-50 has the stated ratio of 1:4, which is half of the printed FLOPs, and 63"
        " channels in its first layer, so that 3 groups divide what its first unit adds",
    )
