"""SqueezeNext (Gholami et al., 2018): the tables of accuracy, wider networks and hardware.

Times and energies of the last one are of the paper's simulated accelerator, and published alone.
"""

from flyweight.studies.costs import case_cost
from flyweight.studies.speedups import faster_than
from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.tables import Column, Table, Value
from flyweight.studies.zoo_cases import network

_NAME = "SqueezeNext (arXiv 1803.10615), table of {}"
_ACCURACY = (Published("top-1 accuracy", "%"), Published("top-5 accuracy", "%"))
_PARAMS = Published("params", "M")
_SIDE = 227
# Others' input sizes: those at which the counted FLOPs come nearest to the printed ones.
_OTHERS = {
    "AlexNet": ("alexnet", 227),
    "SqueezeNet": ("squeezenet_1_0", 227),
    "SqueezeNet v1.0": ("squeezenet_1_0", 227),
    "SqueezeNet v1.1": ("squeezenet_1_1", 224),
    "Tiny Darknet": ("tiny_darknet", 224),
    "MobileNet": ("mobilenet_v1_x1_0", 224),
    "VGG-19": ("vgg_19", 224),
}


def _row(label: str, *published: Value, note: str = "") -> Case:
    """A network of others, or e.g. "1.0-SqNxt-23v5"."""
    if label in _OTHERS:
        name, side = _OTHERS[label]
        return network(label, name, *published, side=side, note=note)
    width, *kind, version = label.split("-")
    grouped = "_g" if "G" in kind else ""
    aggregated = "_ida" if version == "IDA" else ""
    layers, *later = (kind[-1] if aggregated else version).split("v")
    parts = ["squeezenext", f"x{width.replace('.', '_')}", layers, *(f"v{v}" for v in later)]
    name = "_".join(parts) + grouped + aggregated
    return network(label, name, *published, side=_SIDE, note=note)


_IN_BRACKETS = "in brackets {} and {}: what they are of isn't said on the slide"

_CLASSIFICATION = Series(
    "AlexNet's accuracy",
    (*_ACCURACY, _PARAMS, Published("fewer than AlexNet's", "x")),
    (
        _row("AlexNet", 57.10, 80.30, 60.9, 1),
        _row("SqueezeNet", 57.50, 80.30, 1.2, 51),
        _row("1.0-SqNxt-23", 59.05, 82.60, 0.72, 84),
        _row("1.0-G-SqNxt-23", 57.16, 80.23, 0.54, 112),
        _row("1.0-SqNxt-23-IDA", 60.35, 83.56, 0.9, 68),
        _row("1.0-SqNxt-34", 61.39, 84.31, 1.0, 61),
        _row("1.0-SqNxt-34-IDA", 62.56, 84.93, 1.3, 47),
        _row("1.0-SqNxt-44", 62.64, 85.15, 1.2, 51),
        _row("1.0-SqNxt-44-IDA", 63.75, 85.97, 1.5, 41),
    ),
)
_WIDER = Series(
    "wider networks",
    (*_ACCURACY, _PARAMS),
    (
        _row("1.5-SqNxt-23", 63.52, 85.66, 1.4),
        _row("1.5-SqNxt-34", 66.00, 87.40, 2.1),
        _row("1.5-SqNxt-44", 67.28, 88.15, 2.6),
        _row("VGG-19", 68.50, 88.50, 138, note="138 M are VGG-16's; VGG-19 has 143.67 M"),
        _row("2.0-SqNxt-23", 67.18, 88.17, 2.4),
        _row("2.0-SqNxt-34", 68.46, 88.78, 3.8),
        _row("2.0-SqNxt-44", 69.59, 89.53, 4.4),
        _row("MobileNet", 67.50, 86.59, 4.2, note=_IN_BRACKETS.format(70.9, 89.9)),
        _row("2.0-SqNxt-23v5", 67.44, 88.20, 3.2, note=_IN_BRACKETS.format(69.8, 89.5)),
    ),
)
_HARDWARE = Series(
    "accelerator",
    (
        _PARAMS, Published("FLOPs", "M"), *_ACCURACY, Published("depth"),
        Published("time, 8x8 PEs and 32 KB", "x"), Published("energy, 8x8 PEs and 32 KB"),
        Published("time, 16x16 PEs and 128 KB", "x"), Published("energy, 16x16 PEs and 128 KB"),
    ),
    (
        _row("AlexNet", 60.9, 725, 57.10, 80.30, None, 5.46, 1.6e10, 8.26, 1.5e10),
        _row("SqueezeNet v1.0", 1.2, 837, 57.50, 80.30, None, 3.42, 6.7e9, 2.59, 4.5e9),
        _row("SqueezeNet v1.1", 1.2, 352, 57.10, 80.30, None, 1.60, 3.3e9, 1.31, 2.4e9),
        _row("Tiny Darknet", 1.0, 495, 58.70, 81.70, None, 1.92, 3.8e9, 1.50, 2.5e9),
        _row("1.0-SqNxt-23", 0.72, 282, 59.05, 82.60, "[6,6,8,1]", 1.17, 3.2e9, 1.22, 2.5e9),
        _row("1.0-SqNxt-23v2", 0.74, 228, 58.55, 82.09, "[6,6,8,1]", 1.00, 2.8e9, 1.13, 2.4e9),
        _row("1.0-SqNxt-23v3", 0.74, 228, 58.18, 81.96, "[4,8,8,1]", 1.00, 2.7e9, 1.08, 2.3e9),
        _row("1.0-SqNxt-23v4", 0.77, 228, 59.09, 82.41, "[2,10,8,1]", 1.00, 2.6e9, 1.02, 2.2e9),
        _row("1.0-SqNxt-23v5", 0.94, 228, 59.24, 82.41, "[2,4,14,1]", 1.00, 2.6e9, 1.00, 2.0e9),
        _row("MobileNet", 4.2, 574, 67.50, 86.59, None, 2.94, 9.1e9, 2.60, 5.8e9,
             note=_IN_BRACKETS.format(70.9, 89.9)),
        _row("2.0-SqNxt-23", 2.4, 749, 67.18, 88.17, "[6,6,8,1]", 3.24, 8.1e9, 2.72, 5.9e9),
        _row("2.0-SqNxt-23v4", 2.56, 708, 66.95, 87.89, "[2,10,8,1]", 3.17, 7.5e9, 2.55, 5.4e9),
        _row("2.0-SqNxt-23v5", 3.23, 708, 67.44, 88.20, "[2,4,14,1]", 3.17, 7.4e9, 2.55, 5.4e9),
    ),
)  # fmt: skip


def _compression() -> tuple[Table, ...]:
    """How many times fewer parameters each network has than AlexNet."""
    params = [case_cost(case).params for case in _CLASSIFICATION.cases]
    rows = tuple(
        (case.label, case.published[3], params[0] / own)
        for case, own in zip(_CLASSIFICATION.cases, params, strict=True)
    )
    columns = (
        Column("", "label"),
        Column("fewer than AlexNet's", "published", "x"),
        Column("here", "computed", "x", digits=1),
    )
    return (Table("parameters", columns, rows),)


_DEPTHS = (
    "the networks of 34 and 44 layers and IDA follow the printed parameters, as no depths and no"
    " code are published"
)
_TOOL = (
    "the paper's tool also counts pooling, batch norm and additions: printed FLOPs of its networks"
    " are 0.8 to 1.4% more"
)

STUDIES = (
    Study(
        "squeezenext_accuracy", "against AlexNet and SqueezeNet", _NAME.format("accuracy"),
        "SqueezeNext has AlexNet's accuracy with a 112th of its parameters", (_CLASSIFICATION,),
        computed=_compression, reading=_DEPTHS,
    ),
    Study(
        "squeezenext_wider", "wider and deeper networks", _NAME.format("wider networks"),
        "a SqueezeNext has VGG-19's accuracy with 4.4 M parameters", (_WIDER,), reading=_DEPTHS,
    ),
    Study(
        "squeezenext_versions", "versions made for an accelerator, timed here",
        _NAME.format("hardware performance"),
        "with fewer blocks in early stages and more in later ones, SqueezeNext is faster",
        (_HARDWARE,), judges=(faster_than("1.0-SqNxt-23v5", "1.0-SqNxt-23"),),
        reading="the paper claims it of its accelerator; here it is judged by this machine's times,"
        " version 5 against the first; printed times are relative to version 5's, of accelerators"
        f" with 8x8 or 16x16 processing elements; energies have no unit. {_TOOL}",
    ),
)  # fmt: skip
