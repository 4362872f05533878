"""MobileNets (Howard et al., 2017): Tables 2 to 9.

Table 1 is the network itself. Tables 10 and later (other tasks) aren't at hand, so they aren't
here; nor is Figure 4, whose points have no figures.
"""

from collections.abc import Sequence
from functools import partial

from torch import nn

from flyweight.studies.structure import structure
from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.tables import Column, Table
from flyweight.studies.zoo_cases import network

_NAME = "MobileNets (arXiv 1704.04861), Table {}"
_ACCURACY = Published("top-1 accuracy", "%")
_COST = (Published("FLOPs", "M"), Published("params", "M"))
_COLUMNS = (_ACCURACY, *_COST)

# Table 2: shares of FLOPs and weights by type of layer, in per cent.

_TABLE_2 = {
    "Conv 1x1": (94.86, 74.59, ""),
    "Conv DW 3x3": (3.06, 1.06, ""),
    "Conv 3x3": (1.19, 0.02, "its shape gives 1.91%, and with it the column adds up to 100%"),
    "Fully Connected": (0.18, 24.33, ""),
}


def _layer_type(layer: nn.Conv2d | nn.Linear) -> str:
    if isinstance(layer, nn.Linear):
        return "Fully Connected"
    if layer.groups > 1:
        return "Conv DW 3x3"
    return "Conv 1x1" if layer.kernel_size == (1, 1) else "Conv 3x3"


def _by_layer_type() -> tuple[Table, ...]:
    of = structure("mobilenet_v1_x1_0")
    madds, weights = dict.fromkeys(_TABLE_2, 0), dict.fromkeys(_TABLE_2, 0)
    for one in of.cost.operations:
        if one.madds:
            layer = of.network.get_submodule(one.module)
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            kind = _layer_type(layer)
            madds[kind] += one.madds
            weights[kind] += layer.weight.numel()
    columns = (
        Column("", "label"),
        Column("FLOPs", "published", "%", digits=2),
        Column("FLOPs, here", "computed", "%", digits=2),
        Column("params", "published", "%", digits=2),
        Column("params, here", "computed", "%", digits=2),
        Column("note", "note"),
    )
    rows = [
        (kind, printed[0], 100 * madds[kind] / sum(madds.values()),
         printed[1], 100 * weights[kind] / sum(weights.values()), printed[2])
        for kind, printed in _TABLE_2.items()
    ]  # fmt: skip
    return (Table("share of each type of layer", columns, tuple(rows)),)


# Table 3: what becomes of a layer of 512 channels on maps of 14x14.


def convolution(channels: int) -> nn.Module:
    """A 3x3 convolution, without what follows it."""
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


def separable(channels: int) -> nn.Module:
    """A depthwise and a pointwise convolution, without what follows them."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
    )


def _layers() -> Series:
    cases = (
        Case("Convolution", partial(convolution, 512), (512, 14, 14), (462, 2.36)),
        Case("Depthwise Separable Conv", partial(separable, 512), (512, 14, 14), (52.3, 0.27)),
        Case("alpha = 0.75", partial(separable, 384), (384, 14, 14), (29.6, 0.15)),
        Case("rho = 0.714", partial(separable, 384), (384, 10, 10), (15.1, 0.15)),
    )
    return Series("layer", _COST, cases)


# Tables 4 to 9.

Row = tuple[str, str, float, float, float, int, str]
"""Label, network of the zoo, accuracy, FLOPs, params, side of the input, note."""


def _series(name: str, *rows: Row) -> Series:
    return Series(
        name,
        _COLUMNS,
        tuple(
            network(label, of, *printed, side=side, note=note)
            for label, of, *printed, side, note in rows
        ),
    )


_ONE = ("mobilenet_v1_x1_0", 70.6, 569, 4.2, 224, "")
_THREE_QUARTERS = ("mobilenet_v1_x0_75", 68.4, 325, 2.6, 224, "")
_TWICE = "multiplications and additions are counted apart: twice the multiply-adds, about"

_FULL = _series(
    "full convolution",
    ("Conv MobileNet", "mobilenet_v1_conv", 71.7, 4866, 29.3, 224, ""),
    ("MobileNet", *_ONE),
)
_SHALLOW = _series(
    "shallow",
    ("0.75 MobileNet", *_THREE_QUARTERS),
    ("Shallow MobileNet", "mobilenet_v1_shallow", 65.3, 307, 2.9, 224, ""),
)
_WIDTH = _series(
    "width multiplier",
    ("1.0 MobileNet-224", *_ONE),
    ("0.75 MobileNet-224", *_THREE_QUARTERS),
    ("0.5 MobileNet-224", "mobilenet_v1_x0_5", 63.7, 149, 1.3, 224, ""),
    ("0.25 MobileNet-224", "mobilenet_v1_x0_25", 50.6, 41, 0.5, 224, ""),
)
_RESOLUTION = _series(
    "resolution",
    ("1.0 MobileNet-224", *_ONE),
    ("1.0 MobileNet-192", "mobilenet_v1_x1_0", 69.1, 418, 4.2, 192, ""),
    ("1.0 MobileNet-160", "mobilenet_v1_x1_0", 67.2, 290, 4.2, 160, ""),
    ("1.0 MobileNet-128", "mobilenet_v1_x1_0", 64.4, 186, 4.2, 128, ""),
)
_POPULAR = _series(
    "popular models",
    ("1.0 MobileNet-224", *_ONE),
    ("GoogleNet", "googlenet", 69.8, 1550, 6.8, 224,
     "its shapes give 1583 M; where the printed figures come from isn't said"),
    ("VGG 16", "vgg_16", 71.5, 15300, 138, 224, "printed FLOPs: its convolutions alone"),
)  # fmt: skip
_SMALLER = _series(
    "smaller models",
    ("0.50 MobileNet-160", "mobilenet_v1_x0_5", 60.2, 76, 1.32, 160, ""),
    ("SqueezeNet", "squeezenet_1_0", 57.5, 1700, 1.25, 227, _TWICE),
    ("AlexNet", "alexnet", 57.2, 720, 60, 227, ""),
)


def _study(table: int, title: str, claim: str, series: Sequence[Series], reading: str) -> Study:
    return Study(
        f"mobilenet_v1_table{table}", title, _NAME.format(table), claim, tuple(series),
        reading=reading,
    )  # fmt: skip


_STRIDE = "the last depthwise convolution has stride 1: Table 1 prints 2 and a map that needs 1"
_SIZES = "AlexNet and SqueezeNet read 227x227, which their maps need"

STUDIES = (
    Study(
        "mobilenet_v1_table2", "FLOPs and weights by type of layer", _NAME.format(2),
        "nearly all FLOPs are in 1x1 convolutions", computed=_by_layer_type,
        reading=f"{_STRIDE}; batch norm and biases are in no share",
    ),
    _study(
        3, "a layer, modified step by step",
        "each step takes about half of the remaining FLOPs away, or more", (_layers(),),
        "a layer is its convolutions alone; 0.714 of 14 are 10 pixels",
    ),
    _study(
        4, "separable or full convolutions",
        "full convolutions take 8.6 times the FLOPs for 1.1 points of accuracy", (_FULL,),
        f"in Conv MobileNet a 3x3 convolution stands for each pair; {_STRIDE}",
    ),
    _study(
        5, "narrow or shallow", "at similar FLOPs, narrow is more accurate than shallow",
        (_SHALLOW,), f"the shallow network lacks the five blocks of 14x14x512; {_STRIDE}",
    ),
    _study(
        6, "width multiplier", "narrower networks trade accuracy for FLOPs and weights", (_WIDTH,),
        _STRIDE,
    ),
    _study(
        7, "resolution", "smaller images trade accuracy for FLOPs, at the same weights",
        (_RESOLUTION,), _STRIDE,
    ),
    _study(
        8, "against popular networks",
        "MobileNet is nearly as accurate as VGG 16 with a 27th of its FLOPs", (_POPULAR,), _STRIDE,
    ),
    _study(
        9, "smaller MobileNet against popular networks",
        "MobileNet is more accurate than SqueezeNet and AlexNet with far fewer FLOPs", (_SMALLER,),
        f"{_SIZES}; {_STRIDE}",
    ),
)  # fmt: skip
