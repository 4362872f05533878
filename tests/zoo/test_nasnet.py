"""NASNet-A and PNASNet-5: cells read as the papers' figures draw them, and what they cost."""

from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import create_model
from flyweight.nn.cells import Cell, Design, FactorizedReduction, SamePool
from flyweight.zoo.nasnet_a import NORMAL, REDUCTION
from flyweight.zoo.pnasnet_5 import CELL


def outline(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


# The cells, written out from the figures


def same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Padded as TensorFlow's "SAME" does: half of what is missing, the odd pixel at the end."""
    pads: list[int] = []
    for side in (x.shape[3], x.shape[2]):
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [missing // 2, missing - missing // 2]
    return F.pad(x, pads, value=value)


class Operations:
    """What the figures' boxes compute, with a cell's weights by name."""

    def __init__(self, weights: Mapping[str, Tensor], stride: int) -> None:
        self.weights = weights
        self.stride = stride

    def norm(self, x: Tensor, name: str) -> Tensor:
        w = self.weights
        mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        scale = w[f"{name}.weight"] / torch.sqrt(variance + 0.001)
        shape = (1, -1, 1, 1)
        return (x - mean.view(shape)) * scale.view(shape) + w[f"{name}.bias"].view(shape)

    def sep(self, x: Tensor, name: str, kernel: int, stride: int | None = None) -> Tensor:
        """Applied twice, as both papers say; the stride is in the first."""
        for first, step in ((0, self.stride if stride is None else stride), (4, 1)):
            x = same(x.relu(), kernel, step)
            depthwise = self.weights[f"{name}.{first + 1}.weight"]
            assert depthwise.shape[1:] == (1, kernel, kernel)
            x = F.conv2d(x, depthwise, stride=step, groups=x.shape[1])
            x = F.conv2d(x, self.weights[f"{name}.{first + 2}.weight"])
            x = self.norm(x, f"{name}.{first + 3}")
        return x

    def project(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        x = F.conv2d(x.relu(), self.weights[f"{name}.conv.weight"], stride=stride)
        return self.norm(x, f"{name}.norm")

    def maximum(self, x: Tensor) -> Tensor:
        return F.max_pool2d(same(x, 3, self.stride, -float("inf")), 3, self.stride)

    def average(self, x: Tensor, stride: int | None = None) -> Tensor:
        """Over the pixels that there are."""
        step = self.stride if stride is None else stride
        total = F.avg_pool2d(same(x, 3, step), 3, step)
        return total / F.avg_pool2d(same(torch.ones_like(x), 3, step), 3, step)


def normal(run: Operations, h: Tensor, p: Tensor) -> Tensor:
    first = run.sep(h, "left.0", 5) + run.sep(p, "right.0", 3)
    second = run.sep(p, "left.1", 5) + run.sep(p, "right.1", 3)
    third = run.average(h) + p
    fourth = run.average(p) + run.average(p)
    fifth = run.sep(h, "left.4", 3) + h
    return torch.cat((p, first, second, third, fourth, fifth), 1)


def reduction(run: Operations, h: Tensor, p: Tensor) -> Tensor:
    first = run.sep(h, "left.0", 5) + run.sep(p, "right.0", 7)
    second = run.maximum(h) + run.sep(p, "right.1", 7)
    third = run.average(h) + run.sep(p, "right.2", 5)
    fourth = second + run.average(first, stride=1)
    fifth = run.sep(first, "left.4", 3, stride=1) + run.maximum(h)
    return torch.cat((second, third, fourth, fifth), 1)


def progressive(run: Operations, h: Tensor, p: Tensor) -> Tensor:
    first = run.sep(p, "left.0", 5) + run.maximum(p)
    second = run.sep(h, "left.1", 7) + run.maximum(h)
    third = run.sep(h, "left.2", 5) + run.sep(h, "right.2", 3)
    fourth = run.sep(third, "left.3", 3, stride=1) + run.maximum(h)
    kept = h if run.stride == 1 else run.project(h, "right.4", stride=2)
    fifth = run.sep(p, "left.4", 3) + kept
    return torch.cat((first, second, third, fourth, fifth), 1)


@pytest.mark.parametrize("size", [(8, 6), (7, 9)])
@pytest.mark.parametrize(
    ("design", "stride", "reference"),
    [
        (NORMAL, 1, normal),
        (REDUCTION, 2, reduction),
        (CELL, 1, progressive),
        (CELL, 2, progressive),
    ],
)
def test_a_cell_is_its_figure(
    design: Design,
    stride: int,
    reference: Callable[[Operations, Tensor, Tensor], Tensor],
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    cell = Cell(design, 5, 7, 4, stride, "project").double().eval()
    for key, tensor in cell.state_dict().items():
        if "running" in key:
            tensor.uniform_(0.5, 2.0)
    previous, current = (torch.randn(2, c, *size, dtype=torch.float64) for c in (5, 7))
    with torch.no_grad():
        kept, out = cell((previous, current))
        run = Operations(cell.state_dict(), stride)
        h = run.project(current, "adjust_current")
        p = run.project(previous, "adjust_previous")
        torch.testing.assert_close(out, reference(run, h, p))
    assert kept is current


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_a_factorised_reduction_reads_every_pixel(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    reduce = FactorizedReduction(2, 5, 1e-3).eval()
    x = torch.rand(1, 2, *size, requires_grad=True)
    y = reduce(x)
    assert y.shape == (1, 5, -(-size[0] // 2), -(-size[1] // 2))
    assert (reduce.even.out_channels, reduce.odd.out_channels) == (2, 3)
    y.sum().backward()
    assert x.grad is not None
    # The diagonal ones: (even, even) and (odd, odd). The others are what the two paths leave out.
    read = x.grad[0, 0] != 0
    rows, columns = torch.meshgrid(*(torch.arange(n) % 2 for n in size), indexing="ij")
    assert torch.equal(read, rows == columns)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_pooling_pads_as_tensorflow_does(size: int, stride: int) -> None:
    x = torch.randn(1, 2, size, size + 1, dtype=torch.float64) - 3
    run = Operations({}, stride)
    torch.testing.assert_close(SamePool("max", stride)(x), run.maximum(x))
    torch.testing.assert_close(SamePool("average", stride)(x), run.average(x))


# Networks


def test_nasnet_has_the_parameters_of_keras() -> None:
    """Keras prints 5,326,716 for NASNetMobile, of which 36,738 are statistics of batch norm."""
    model = outline("nasnet_a_4_1056")
    assert sum(p.numel() for p in model.parameters()) == 5_326_716 - 36_738


@pytest.mark.parametrize(
    ("name", "channels", "cells"),
    [
        ("nasnet_a_4_1056", [32, 44, 88, 264, 528, 1056], [4, 5, 5]),
        ("pnasnet_5_mobile", [32, 65, 135, 270, 540, 1080], [3, 3, 3]),
    ],
)
def test_the_size_is_halved_where_the_papers_say(
    name: str, channels: list[int], cells: list[int]
) -> None:
    model = outline(name).eval()
    assert [stage.channels for stage in model.stage_info] == channels
    assert [stage.stride for stage in model.stage_info] == [2, 4, 8, 8, 16, 32]
    assert [len(model.stages[f"stage{i}"]) for i in (1, 2, 3)] == cells
    states = model.stages["stem"](torch.zeros(1, 3, 224, 224, device="meta"))
    sizes = []
    for stage in list(model.stages.values())[1:]:
        for cell in stage:
            states = cell(states)
            sizes.append(states[1].shape[2])
    # 111 pixels after the unpadded stem, then SAME; only the first cell of a stage halves.
    first, second, third = cells
    assert sizes == [56, 28, *[28] * first, *[14] * second, *[7] * third]


def test_penultimate_channels_are_24_f() -> None:
    assert outline("nasnet_a_4_1056").num_features == 24 * 44 == 1056


def sep(kernel: int, filters: int, size: int, border: int = 0, inputs: int = 0) -> int:
    """Multiply-adds of a separable convolution applied twice, on outputs of size^2 pixels."""
    inputs = inputs or filters
    area = kernel * kernel
    first = (inputs * area + inputs * filters) * (size + border) ** 2
    return first + (filters * area + filters * filters) * size**2


def nasnet_multiply_adds(border: int) -> int:
    """By hand, at 224 pixels; with `border` more rows and columns where pytorchcv crops them."""

    def reduction(f: int, size: int, border: int, previous: int = 0) -> int:
        kernels = sum(sep(k, f, size, border, previous) for k in (7, 7, 5))
        return sep(5, f, size, border) + kernels + sep(3, f, size, border)

    def normal(f: int, size: int) -> int:
        return 2 * sep(5, f, size) + 3 * sep(3, f, size)

    total = 27 * 32 * 111**2
    # Stem cells: the first reads the 32 channels as they are, the second halves 111 to 56 pixels.
    total += 32 * 11 * 111**2 + reduction(11, 56, 0, previous=32)
    total += 44 * 22 * 56**2 + 32 * 22 * 56**2 + reduction(22, 28, border)
    previous, current, size = 44, 88, 28
    for stage, f in enumerate((44, 88, 176)):
        if stage:
            total += (previous + current) * f * size**2
            size //= 2
            total += reduction(f, size, border)
            previous, current = current, 4 * f
        for _ in range(4):
            total += (previous + current) * f * size**2 + normal(f, size)
            previous, current = current, 6 * f
    return total + 1056 * 1000


def test_nasnet_costs_what_the_pairs_cost() -> None:
    """Both figures from one formula: the paper's 564 M, and what pytorchcv computes."""
    assert nasnet_multiply_adds(border=0) == 563_638_816
    assert round(nasnet_multiply_adds(border=1) / 1e6, 2) == 568.23
