"""GoogLeNet and Inception V3: the papers' tables, and what others count."""

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.counting import count_model
from flyweight.errors import UsageError
from flyweight.nn import LocalResponseNorm
from flyweight.zoo.googlenet import Inception

# Table 1 of GoogLeNet: module, side of its map, output channels, multiply-adds in M. The table
# prints 54 M for 5a, where its own channels give 51.
TABLE_1 = (
    ("3a", 28, 256, 128),
    ("3b", 28, 480, 304),
    ("4a", 14, 512, 73),
    ("4b", 14, 512, 88),
    ("4c", 14, 512, 100),
    ("4d", 14, 528, 119),
    ("4e", 14, 832, 170),
    ("5a", 7, 832, 51),
    ("5b", 7, 1024, 71),
)


def outline(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


def modules(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, Inception)]


def test_modules_are_those_of_table_1() -> None:
    read = 192
    for module, (name, size, channels, madds) in zip(
        modules(outline("googlenet")), TABLE_1, strict=True
    ):
        example = torch.zeros(1, read, size, size, device="meta")
        assert module(example).shape == (1, channels, size, size), name
        assert count_model(module, example.shape).madds / 1e6 == pytest.approx(madds, abs=1), name
        read = channels


def test_googlenet_costs_what_its_shapes_cost() -> None:
    """By hand: kernel area x channels read x channels put out, times the pixels of each map."""
    rows = [(64, 49, 3, 112), (64, 1, 64, 56), (192, 9, 64, 56)]
    read = 192
    table = (
        (28, 64, 96, 128, 16, 32, 32),
        (28, 128, 128, 192, 32, 96, 64),
        (14, 192, 96, 208, 16, 48, 64),
        (14, 160, 112, 224, 24, 64, 64),
        (14, 128, 128, 256, 24, 64, 64),
        (14, 112, 144, 288, 32, 64, 64),
        (14, 256, 160, 320, 32, 128, 128),
        (7, 256, 160, 320, 32, 128, 128),
        (7, 384, 192, 384, 48, 128, 128),
    )
    for size, one, reduce3, three, reduce5, five, pool in table:
        rows += [(width, 1, read, size) for width in (one, reduce3, reduce5, pool)]
        rows += [(three, 9, reduce3, size), (five, 25, reduce5, size)]
        read = one + three + five + pool
    madds = sum(out * area * into * size**2 for out, area, into, size in rows) + 1024 * 1000
    params = sum(out * area * into + out for out, area, into, _ in rows) + 1025 * 1000
    cost = count_model(outline("googlenet"), (1, 3, 224, 224))
    assert (cost.madds, cost.params) == (madds, params) == (1_582_671_872, 6_998_552)


@pytest.mark.parametrize(
    ("name", "params"), [("googlenet_bn", 6_624_904), ("inception_v3", 23_834_568)]
)
def test_parameters_are_torchvisions(name: str, params: int) -> None:
    """Without the auxiliary classifiers."""
    assert sum(p.numel() for p in outline(name).parameters()) == params


def test_the_two_forms_of_googlenet() -> None:
    paper, normed = outline("googlenet"), outline("googlenet_bn")
    kernels = {
        model: {module.five[1].conv.kernel_size for module in modules(model)}
        for model in (paper, normed)
    }
    assert kernels == {paper: {(5, 5)}, normed: {(3, 3)}}

    def count(model: nn.Module, kind: type[nn.Module]) -> int:
        return sum(isinstance(module, kind) for module in model.modules())

    # 3 + 9 x 6 convolutions.
    assert (count(paper, LocalResponseNorm), count(paper, nn.BatchNorm2d)) == (2, 0)
    assert (count(normed, LocalResponseNorm), count(normed, nn.BatchNorm2d)) == (0, 57)
    assert paper.stages["stage5"][0].kernel_size == 3
    assert normed.stages["stage5"][0].kernel_size == 2
    with pytest.raises(UsageError, match="did you mean paper"):
        create_model("googlenet", form="papers")


def test_local_normalisation_is_where_the_paper_has_it() -> None:
    """After the first pooling and after the 3x3 convolution (Figure 3), as in Caffe's version."""
    names = [type(module).__name__ for module in outline("googlenet").stages["stage2"]]
    normalised, plain = "LocalResponseNorm", "ConvAct"
    assert names == ["MaxPool2d", normalised, plain, plain, normalised]


def test_sizes_of_inception_v3() -> None:
    """Table 1 of its paper, and the smallest input: one pixel less leaves nothing to convolve."""
    model = outline("inception_v3").eval()
    maps = model.features(torch.zeros(1, 3, 299, 299, device="meta"))
    assert [map_.shape[2] for map_ in maps] == [147, 71, 35, 17, 8]
    assert model.min_size == 75
    assert model(torch.zeros(1, 3, 75, 75, device="meta")).shape == (1, 1000)
    with pytest.raises(RuntimeError, match="size"):
        model(torch.zeros(1, 3, 74, 74, device="meta"))


def test_kernels_of_inception_v3() -> None:
    """How often each kernel occurs: 5x5 thrice, and 1x7 and 7x1 equally often."""
    found: dict[object, int] = {}
    for module in outline("inception_v3").modules():
        if isinstance(module, nn.Conv2d):
            found[module.kernel_size] = found.get(module.kernel_size, 0) + 1
    # 7x7 as 1x7 and 7x1: three times in each of four modules, and once in a reduction.
    assert found[1, 7] == found[7, 1] == 3 * 4 + 1
    # 1x3 beside 3x1: twice in each of two modules.
    assert found[1, 3] == found[3, 1] == 2 * 2
    assert found[5, 5] == 3
    assert sum(found.values()) == 94
