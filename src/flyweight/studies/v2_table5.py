"""ShuffleNet V2, Table 5: the architecture at four widths, printed and as it is here."""

from torch import nn

from flyweight.studies.structure import SIDE, Structure, runs, side, structure, times
from flyweight.studies.study import Study
from flyweight.studies.tables import Column, Table, Value

WIDTHS = {
    "0.5x": "shufflenet_v2_x0_5",
    "1x": "shufflenet_v2_x1_0",
    "1.5x": "shufflenet_v2_x1_5",
    "2x": "shufflenet_v2_x2_0",
}

# Output size, kernel size, stride, repeat, and output channels at the four widths.
_PUBLISHED: dict[str, tuple[tuple[Value, ...], tuple[Value, ...]]] = {
    "Image": (("224x224", None, None, None), (3, 3, 3, 3)),
    "Conv1": (("112x112", "3x3", 2, 1), (24, 24, 24, 24)),
    "MaxPool": (("56x56", "3x3", 2, 1), (24, 24, 24, 24)),
    "Stage2, first": (("28x28", None, 2, 1), (48, 116, 176, 244)),
    "Stage2, others": (("28x28", None, 1, 3), (48, 116, 176, 244)),
    "Stage3, first": (("14x14", None, 2, 1), (96, 232, 352, 488)),
    "Stage3, others": (("14x14", None, 1, 7), (96, 232, 352, 488)),
    "Stage4, first": (("7x7", None, 2, 1), (192, 464, 704, 976)),
    "Stage4, others": (("7x7", None, 1, 3), (192, 464, 704, 976)),
    "Conv5": (("7x7", "1x1", 1, 1), (1024, 1024, 1024, 2048)),
    "GlobalPool": (("1x1", "7x7", None, None), (None,) * 4),
    "FC": ((None,) * 4, (1000, 1000, 1000, 1000)),
    "FLOPs (M)": ((None,) * 4, (41, 146, 299, 591)),
    "# of Weights (M)": ((None,) * 4, (1.4, 2.3, 3.5, 7.4)),
}

Row = tuple[tuple[Value, ...], Value]
"""Output size, kernel size, stride and repeat; output channels, or a total."""


def _layer(of: Structure, module: str) -> Row:
    """A convolution or pooling."""
    layer = of.layer(module)
    part = of.network.get_submodule(module)
    assert isinstance(part, nn.Conv2d | nn.MaxPool2d)
    return ((times(layer.size), times(side(part.kernel_size)), layer.stride, 1), layer.channels)


def computed_rows(name: str) -> dict[str, Row]:
    """Table 5's rows as a network of the zoo has them.

    Args:
        name: a ShuffleNet V2.
    """
    of = structure(name)
    rows: dict[str, Row] = {
        "Image": ((times(SIDE), None, None, None), of.cost.operations[0].input[1]),
        "Conv1": _layer(of, "stages.stem.0.conv"),
        "MaxPool": _layer(of, "stages.stem.1"),
    }
    for number in (2, 3, 4):
        for (layer, count), which in zip(
            runs(of.units(f"stage{number}")), ("first", "others"), strict=True
        ):
            about = (times(layer.size), None, layer.stride, count)
            rows[f"Stage{number}, {which}"] = (about, layer.channels)
    rows["Conv5"] = _layer(of, "stages.conv5.conv")
    pool = of.layer("pool")
    rows["GlobalPool"] = ((times(pool.size), times(pool.stride), None, None), None)
    rows["FC"] = ((None,) * 4, of.layer("classifier").channels)
    rows["FLOPs (M)"] = ((None,) * 4, round(of.cost.madds / 1e6, 2))
    rows["# of Weights (M)"] = ((None,) * 4, round(of.cost.params / 1e6, 3))
    return rows


def _table() -> tuple[Table, ...]:
    ours = [computed_rows(name) for name in WIDTHS.values()]
    names = ("output size", "KSize", "Stride", "Repeat", *WIDTHS)
    columns = [Column("Layer", "label")]
    for name in names:
        columns += [Column(name, "published"), Column(name, "computed")]
    rows = []
    for label, (about, channels) in _PUBLISHED.items():
        here = (*ours[0][label][0], *(network[label][1] for network in ours))
        row: list[Value] = [label]
        for printed, computed in zip((*about, *channels), here, strict=True):
            row += [printed, computed]
        rows.append(tuple(row))
    return (Table("architecture", tuple(columns), tuple(rows)),)


def table5() -> Study:
    """Table 5."""
    return Study(
        "table5",
        "the architecture of ShuffleNet V2",
        "ShuffleNet V2, Table 5",
        "",
        computed=_table,
        reading="the paper's FLOPs are rounded up; its weights are all parameters, those of batch"
        " norm included",
    )
