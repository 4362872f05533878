"""SqueezeNet (Iandola et al., 2016): Tables 1, 2 and 3."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import nn

from flyweight.studies.compressed_networks import factored_network, pruned_network
from flyweight.studies.compressed_sizes import ALEXNET, compressed
from flyweight.studies.costs import case_cost
from flyweight.studies.structure import structure
from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.tables import Column, Table, Value
from flyweight.studies.zoo_cases import network
from flyweight.zoo import create_model

_NAME = "SqueezeNet (arXiv 1602.07360), Table {}"
_SIDE = 227

# Table 1: size put out, filters (squeeze, expand 1x1, expand 3x3), shares of their weights kept,
# parameters before and after pruning.

Layer = tuple[str, tuple[int, ...], tuple[float, ...], int, int]
_TABLE_1: dict[str, Layer | str] = {
    "conv1": ("111x111x96", (96,), (1.0,), 14208, 14208),
    "maxpool1": "55x55x96",
    "fire2": ("55x55x128", (16, 64, 64), (1.0, 1.0, 0.33), 11920, 5746),
    "fire3": ("55x55x128", (16, 64, 64), (1.0, 1.0, 0.33), 12432, 6258),
    "fire4": ("55x55x256", (32, 128, 128), (1.0, 1.0, 0.33), 45344, 20646),
    "maxpool4": "27x27x256",
    "fire5": ("27x27x256", (32, 128, 128), (1.0, 1.0, 0.33), 49440, 24742),
    "fire6": ("27x27x384", (48, 192, 192), (1.0, 0.5, 0.33), 104880, 44700),
    "fire7": ("27x27x384", (48, 192, 192), (0.5, 1.0, 0.33), 111024, 46236),
    "fire8": ("27x27x512", (64, 256, 256), (1.0, 0.5, 0.33), 188992, 77581),
    "maxpool8": "13x12x512",
    "fire9": ("13x13x512", (64, 256, 256), (0.5, 1.0, 0.30), 197184, 77581),
    "conv10": ("13x13x1000", (1000,), (0.2,), 513000, 103400),
}
_TOTAL = (1248424, 421098)
_NOTES = {
    "fire8": "30%, as in fire9, leaves the printed number; the printed 33% doesn't",
    "maxpool8": "a map of 13x13 is meant, which fire9 reads",
}


def pruned(convolutions: list[nn.Conv2d], kept: tuple[float, ...]) -> float:
    """Parameters after pruning: a share of each convolution's weights, and all biases."""
    left = 0.0
    for convolution, share in zip(convolutions, kept, strict=True):
        assert convolution.bias is not None
        left += share * convolution.weight.numel() + convolution.bias.numel()
    return left


def _modules() -> dict[str, tuple[nn.Module, str]]:
    """Each layer's module by Table 1's name, and the size that it puts out."""
    of = structure("squeezenet_1_0", _SIDE)
    found: dict[str, tuple[nn.Module, str]] = {}
    last = "conv1"
    for path in (*of.parts(), "classifier"):
        ours = path.rpartition(".")[2]
        known = {"stem": "conv1", "classifier": "conv10", "pool": f"maxpool{last[-1]}"}
        name = known.get(ours, ours)
        layer = of.layer(path)
        size = f"{layer.size}x{layer.size}x{layer.channels}"
        found[name] = (of.network.get_submodule(path), size)
        last = name
    return found


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _layers() -> tuple[Table, ...]:
    columns = (
        Column("", "label"),
        Column("size put out", "published"),
        Column("size put out, here", "computed"),
        Column("filters", "published"),
        Column("filters, here", "computed"),
        Column("params", "published", digits=0),
        Column("params, here", "computed", digits=0),
        Column("weights kept", "published"),
        Column("params after pruning", "published", digits=0),
        Column("by the weights kept", "computed", digits=0),
        Column("note", "note"),
    )
    modules = _modules()
    rows: list[tuple[Value, ...]] = []
    params, after = 0, 0.0
    for name, layer in _TABLE_1.items():
        module, size = modules[name]
        note = _NOTES.get(name, "")
        if isinstance(layer, str):
            rows.append((name, layer, size, *[None] * 7, note))
            continue
        printed_size, filters, kept, before, printed_after = layer
        convolutions = [one for one in module.modules() if isinstance(one, nn.Conv2d)]
        own, left = sum(p.numel() for p in module.parameters()), pruned(convolutions, kept)
        params, after = params + own, after + left
        rows.append(
            (
                name, printed_size, size, _listed(filters),
                _listed(one.out_channels for one in convolutions), before, own,
                ", ".join(f"{share:.0%}" for share in kept), printed_after, left, note,
            )
        )  # fmt: skip
    rows.append(("total", None, None, None, None, _TOTAL[0], params, None, _TOTAL[1], after, ""))
    return (Table("layers", columns, tuple(rows)),)


# Table 2: compression. Data type, MB of the weights before and after, reduction, accuracies.

_TABLE_2 = (
    ("AlexNet", "none", "32 bit", 240, None, 1, 57.2, 80.3),
    ("AlexNet", "SVD", "32 bit", 240, 48, 5, 56.0, 79.4),
    ("AlexNet", "Network Pruning", "32 bit", 240, 27, 9, 57.2, 80.3),
    ("AlexNet", "Deep Compression", "5-8 bit", 240, 6.9, 35, 57.2, 80.3),
    ("SqueezeNet", "none", "32 bit", 4.8, None, 50, 57.5, 80.3),
    ("SqueezeNet", "Deep Compression", "8 bit", 4.8, 0.66, 363, 57.5, 80.3),
    ("SqueezeNet", "Deep Compression", "6 bit", 4.8, 0.47, 510, 57.5, 80.3),
)  # fmt: skip
# What is computed for a row: bits of a convolution's and of another layer's code, or none.
_CODES: dict[tuple[str, str, str], tuple[int, int] | None] = {
    ("AlexNet", "Network Pruning", "32 bit"): None,
    ("AlexNet", "Deep Compression", "5-8 bit"): (8, 5),
    ("SqueezeNet", "Deep Compression", "8 bit"): (8, 8),
    ("SqueezeNet", "Deep Compression", "6 bit"): (6, 6),
}
_ACCURACY = (Published("top-1 accuracy", "%"), Published("top-5 accuracy", "%"))
_SIZE = Published("weights", "MB")
_ZOO = {"AlexNet": "alexnet", "SqueezeNet": "squeezenet_1_0"}
PUBLISHED_BYTES = 675_763
"""Of the file that SqueezeNet's authors published: the row of 8 bits."""


def _densities() -> tuple[float, ...]:
    """Of each of SqueezeNet's convolutions, from Table 1; fire8's by what is left of it."""
    found: list[float] = []
    for name, layer in _TABLE_1.items():
        if not isinstance(layer, str):
            found += (*layer[2][:-1], 0.30) if name == "fire8" else layer[2]
    return tuple(found)


DENSITIES = {"AlexNet": ALEXNET, "SqueezeNet": _densities()}


def _table_2_case(name: str, way: str, bits: str, *published: float | None) -> Case:
    """A row, with the network as it is decoded."""
    zoo, (before, after, _, top1, top5) = _ZOO[name], published
    if way == "none":
        return network(name, zoo, top1, top5, before, side=_SIDE)
    if (name, way, bits) in _CODES:
        build = partial(pruned_network, zoo, DENSITIES[name], _CODES[name, way, bits])
    else:
        assert before is not None
        assert after is not None
        build = partial(factored_network, zoo, after / before)
    label = f"{name}, {way if bits == '32 bit' else bits}"
    return Case(label, build, (3, _SIDE, _SIDE), (top1, top5, after))


_NETWORKS = Series("networks", (*_ACCURACY, _SIZE), tuple(_table_2_case(*row) for row in _TABLE_2))
_COMPLEX = (
    "the printed size isn't reached: these weights are 6.06 MiB; with a convolution around each of"
    " the eight modules they would be 7.94 MiB"
)
_BYPASSES = Series(
    "bypass",
    (*_ACCURACY, _SIZE),
    (
        network("Vanilla SqueezeNet", "squeezenet_1_0", 57.5, 80.3, 4.8, side=_SIDE),
        network("SqueezeNet + Simple Bypass", "squeezenet_1_0_simple_bypass", 60.4, 82.5, 4.8,
                side=_SIDE),
        network("SqueezeNet + Complex Bypass", "squeezenet_1_0_complex_bypass", 58.8, 82.0, 7.7,
                side=_SIDE, note=_COMPLEX),
    ),
)  # fmt: skip
_HERE = (
    Column("weights in 32 bits", "computed", "MB", digits=2),
    Column("weights in 32 bits", "computed", "MiB", digits=2),
)


def _sizes(params: int) -> tuple[float, float]:
    """Of so many parameters of 32 bits: in millions of bytes, and in 2^20 bytes."""
    return 4 * params / 1e6, 4 * params / 2**20


def _compressed(name: str, way: str, bits: str) -> float | None:
    """MB that a row's weights take at the printed densities; None where nothing is computed."""
    if (name, way, bits) not in _CODES:
        return None
    codes = _CODES[name, way, bits]
    with torch.device("meta"):
        sizes = compressed(create_model(_ZOO[name]), DENSITIES[name], *(codes or (8, 8)))
    return (sizes.pruned if codes is None else sizes.shared) / 1e6


def _real(name: str, way: str, bits: str) -> float | None:
    """MB of the file that was published of a row, where one was."""
    found = (name, way, bits) == ("SqueezeNet", "Deep Compression", "8 bit")
    return PUBLISHED_BYTES / 1e6 if found else None


def _compression() -> tuple[Table, ...]:
    params = {case.label: case_cost(case).params for case in _NETWORKS.cases if case.label in _ZOO}
    columns = (
        Column("", "label"), Column("compression", "published"), Column("data type", "published"),
        Column("weights", "published", "MB"), Column("compressed", "published", "MB"),
        Column("reduction", "published", "x"), Column("top-1 accuracy", "published", "%"),
        Column("top-5 accuracy", "published", "%"),
        Column("published file", "published", "MB", digits=2),
        Column("compressed, at the printed densities", "computed", "MB", digits=2), *_HERE,
        Column("AlexNet's weights over these", "computed", digits=1),
    )  # fmt: skip
    rows = tuple(
        (
            *row,
            _real(*row[:3]),
            _compressed(*row[:3]),
            *_sizes(params[row[0]]),
            params["AlexNet"] / params[row[0]],
        )
        for row in _TABLE_2
    )
    return (Table("compression", columns, rows),)


def _bypass_sizes() -> tuple[Table, ...]:
    columns = (Column("", "label"), Column("weights", "published", "MB"), *_HERE)
    rows = tuple(
        (case.label, case.published[2], *_sizes(case_cost(case).params)) for case in _BYPASSES.cases
    )
    return (Table("size of the weights", columns, rows),)


_SIZES = "maps of 111, 55, 27 and 13 pixels need images of 227, not the printed 224"

STUDIES = (
    Study(
        "squeezenet_table1", "layers, and parameters before and after pruning", _NAME.format(1),
        "SqueezeNet has 1,248,424 parameters, a third of which pruning leaves", computed=_layers,
        reading=f"{_SIZES}; 'weights kept' is what the table calls sparsity, and biases are all"
        " kept: that gives its numbers after pruning; weights of 6 bits are printed for all layers",
    ),
    Study(
        "squeezenet_table2", "against compressed AlexNets", _NAME.format(2),
        "SqueezeNet has AlexNet's accuracy with a 50th of its weights, compressed a 510th",
        (_NETWORKS,), computed=_compression,
        reading="compressed sizes are computed from densities that are published (AlexNet's: Deep"
        " Compression, Table 4; SqueezeNet's: Table 1), with gaps of 4 bits and the fillers that"
        " zeros at random need, before Huffman coding, which AlexNet's printed 6.9 MB include;"
        " what is timed are random weights, pruned to these densities, and decoded, as engines run"
        " them; of SVD only the size is published: here all linear layers keep the same share of"
        f" weights; docs/compress.md has SqueezeNet's real file; {_SIZES}; the table doesn't"
        " say what a MB is: SqueezeNet's 4.8 are of 2^20 bytes (MiB), AlexNet's 240 rather of 10^6",
    ),
    Study(
        "squeezenet_table3", "connections around Fire modules", _NAME.format(3),
        "simple bypass is the most accurate, and adds no weights", (_BYPASSES,),
        computed=_bypass_sizes,
        reading="complex bypass has 1x1 convolutions with bias around fire2, 4, 6 and 8, where the"
        f" channels differ, and wires around the others; {_SIZES}",
    ),
)  # fmt: skip
