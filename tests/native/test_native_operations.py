"""Every operation of the native engine, against PyTorch: special values, odd shapes, any reader."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.nn import LocalResponseNorm
from flyweight.nn.blocks import SqueezeExcite
from tests.native.against import check, compiled, exact, needs_compiler

pytestmark = needs_compiler

Function = Callable[[Tensor], Tensor]


class Calls(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Each(nn.Module):
    """Layers side by side, with an output for each, all after a layer, or each after its own."""

    def __init__(
        self, functions: Sequence[Function], first: nn.Module | None = None, shared: bool = True
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(f if isinstance(f, nn.Module) else Calls(f) for f in functions)
        self.first = first or nn.Identity()
        self.shared = shared

    def forward(self, x: Tensor) -> list[Tensor]:
        if self.shared:
            x = self.first(x)
            return [layer(x) for layer in self.layers]
        return [layer(self.first(x)) for layer in self.layers]


def image(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def special(channels: int) -> Tensor:
    """A batch of two with everything that a float can be."""
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-38, 1, -1, 3, -3, 6, -6, 20, 88.7,
           -88.7, 100, -100, -104, 1e4, -1e4, 3e38, -3e38]  # fmt: skip
    values = torch.cat([torch.tensor(odd), torch.linspace(-7, 7, 100)])
    needed = -(-2 * channels * 35 // len(values))
    return values.repeat(needed)[: 2 * channels * 35].reshape(2, channels, 5, 7)


def same_as_exact(model: nn.Module, x: Tensor) -> None:
    """What double precision gives, rounded to single: not a number and infinity are the same."""
    model.eval()
    _, network = compiled(model, x)
    with np.errstate(over="ignore"):
        expected = [one.astype(np.float32) for one in exact(model, x)]
    for i, (mine, true) in enumerate(zip(network(x.numpy()), expected, strict=True)):
        np.testing.assert_allclose(mine, true, rtol=1e-5, atol=1e-15, err_msg=f"output {i}")


ACTIVATIONS: dict[str, Function] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 2.5),
    "clamp": lambda x: x.clamp(-0.25, 0.5),
    "clamp above": lambda x: x.clamp(max=1.5),
    "clamp_min": lambda x: torch.clamp_min(x, 0.125),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "tanh": torch.tanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "leaky_relu": F.leaky_relu,
    "leaky_relu 0.2": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "elu 0.5": lambda x: F.elu(x, 0.5),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 1.5),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus,
    "mish": F.mish,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "square": torch.square,
    "abs": torch.abs,
    "neg": torch.neg,
    "erf": torch.erf,
    "pow 2": lambda x: x**2,
    "pow 3": lambda x: x**3,
    "pow 0.75": lambda x: x**0.75,
    "pow 1.3": lambda x: x**1.3,
    "prelu": nn.PReLU(3, 0.3),
    "softsign": F.softsign,
}


def identity(channels: int, groups: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 1, groups=groups, bias=False)
    nn.init.ones_(conv.weight)
    return conv


@pytest.mark.parametrize("made_by", ["images", "dense", "depthwise", "pool"])
def test_activations(made_by: str) -> None:
    channels = 1 if made_by == "dense" else 3
    first = {
        "images": nn.Identity(), "dense": identity(1, 1), "depthwise": identity(3, 3),
        "pool": nn.MaxPool2d(1, 1),
    }[made_by]  # fmt: skip
    functions = [f if name != "prelu" else nn.PReLU(channels, 0.3)
                 for name, f in ACTIVATIONS.items()]  # fmt: skip

    same_as_exact(Each(functions, first, shared=False), special(channels))


POOLS: list[Function] = [
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.MaxPool2d((2, 3), (3, 1), (0, 1), (2, 1)),
    nn.MaxPool2d(2, 2, 1, ceil_mode=True),
    lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    nn.AvgPool2d(3, 2, 1),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.AvgPool2d((2, 3), 2, (1, 0), ceil_mode=True, count_include_pad=False),
    nn.AvgPool2d(2, 1, divisor_override=3),
    nn.AvgPool2d(1, 2),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((4, 2)),
    nn.AdaptiveAvgPool2d((None, 1)),
    nn.AdaptiveMaxPool2d((3, 2)),
    lambda x: x.mean((2, 3)),
    lambda x: x.mean([-1, -2], keepdim=True),
    lambda x: x.mean(3).mean(2),
    lambda x: x.mean(3, keepdim=True),
    lambda x: x.sum(2),
    lambda x: x.flatten(2).mean(-1),
    lambda x: x.flatten(2).max(-1)[0],
    lambda x: x.sum((2, 3)),
    lambda x: x.amax((2, 3)),
    lambda x: x.amin((3, 2)),
    lambda x: F.max_pool1d(x.mean(3), 3, 2, 1),
    lambda x: F.avg_pool1d(x.mean(2), 2, 2, 1),
    lambda x: F.adaptive_avg_pool1d(x.mean(3), 2),
]


@pytest.mark.parametrize("first", [None, nn.Conv2d(5, 5, 3, padding=1)])
def test_pools(first: nn.Module | None) -> None:
    torch.manual_seed(0)
    check(Each(POOLS, first), image(3, 5, 7, 9))


def test_pools_of_what_is_no_number() -> None:
    x = image(2, 3, 6, 8)
    x[0, 0, 2, 3], x[0, 1, 0, 0], x[1, 2, 5, 7] = torch.nan, torch.inf, -torch.inf
    x[1, 1] = -torch.inf
    same_as_exact(Each([*POOLS, F.relu, lambda x: F.max_pool2d(F.relu(x), 3, 1, 1)]), x)


def test_a_window_that_lies_all_in_the_padding() -> None:
    """Its two pixels are beside the only one there is."""
    same_as_exact(nn.MaxPool2d(2, 1, 1, 2), image(1, 3, 1, 1))


class Pairs(nn.Module):
    """Operations on two of: maps, single pixels, single channels, numbers, one for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 9, 3), nn.Conv2d(4, 9, 3, padding=1, stride=1)
        self.one = nn.Conv2d(4, 1, 3)
        self.register_buffer("each", torch.linspace(-1, 2, 9).reshape(9, 1, 1))
        self.register_buffer("single", torch.tensor([0.7]))

    def forward(self, x: Tensor) -> list[Tensor]:
        a, b, one = self.a(x), self.b(x)[:, :, 1:-1, 1:-1], self.one(x)
        pixel = a.mean((2, 3), keepdim=True)
        functions = (torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum)
        found = [function(a, b) for function in functions]
        found += [function(a, pixel) for function in functions]
        found += [function(a, one) for function in functions]
        found += [one * pixel, pixel + one, pixel * a, torch.max(a, b), torch.min(a, a.flip(1))]
        found += [a + 1.5, a - 2, 3 * a, a / 4, 1 - a, 2 / (a.square() + 1), -a * 0.5 + 1]
        found += [a + self.each, a - self.each, a * self.each, self.each - a, a / (2 + self.each)]
        found += [a * self.single, one * self.single + 1, one + self.each]
        return [*found, a + a, a.add(b, alpha=1), torch.cat((a, b), 1) + torch.cat((b, a), 1)]


def test_pairs() -> None:
    torch.manual_seed(0)
    check(Pairs(), image(2, 4, 6, 5))


def test_sums_with_activations_before_and_after() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(7, 7, 3, padding=1) for _ in range(8))
            self.alone = nn.ModuleList(nn.Conv2d(7, 7, 3, padding=1, groups=7) for _ in range(3))
            self.slopes = nn.PReLU(7)
            nn.init.uniform_(self.slopes.weight)

        def forward(self, x: Tensor) -> list[Tensor]:
            a, b, c, d, e, f, g, h = (layer(x) for layer in self.layers)
            i, j, k = (layer(x) for layer in self.alone)
            shuffled = F.channel_shuffle(torch.cat((f, f[:, :1]), 1), 2)[:, :7]
            return [
                F.relu(x + F.relu(a)), F.relu6(F.silu(b) + x), self.slopes(c + x), F.gelu(d + a),
                e * 2 + x, F.relu(shuffled + g), F.hardswish(i + x), self.slopes(j.flip(1) + x),
                F.relu(k) + 0.5, h + h.flip(1), F.relu(F.relu6(x - 1)),
            ]  # fmt: skip

    torch.manual_seed(0)
    check(Sums(), image(2, 7, 5, 6))


def test_squeezing_and_softmax() -> None:
    class Squeezes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 18, 3), nn.LocalResponseNorm(4, 0.5, 0.6, 2.0)
            self.se, self.own = SqueezeExcite(18, 5), LocalResponseNorm(5, 1.0)
            self.line = nn.LocalResponseNorm(3)
            self.linear, self.last = nn.Linear(18 * 4 * 5, 11), nn.Linear(11, 1)

        def forward(self, x: Tensor) -> list[Tensor]:
            x = self.first(x)
            scores = self.linear(x.flatten(1))
            return [
                self.se(x), x.softmax(1), F.log_softmax(x, -3), scores.softmax(-1),
                F.log_softmax(F.relu(scores), 1), self.last(scores), self.norm(x), self.own(x),
                self.own(F.relu(x)[:, 5:12]), self.line(x.mean(3)), x[:, 3:5].softmax(1),
                x * x.mean(1, keepdim=True), scores - scores.sum(1, keepdim=True),
            ]  # fmt: skip

    torch.manual_seed(0)
    check(Squeezes(), image(2, 3, 6, 7))


PADDED: list[Function] = [
    lambda x: F.pad(x, (1, 2, 0, 3)),
    lambda x: F.pad(x, (1, 0, 2, 1), value=-1.5),
    lambda x: F.pad(x, (-1, 2, 1, -2)),
    lambda x: F.pad(x, (1, 2, 2, 1), "reflect"),
    lambda x: F.pad(x, (1, 2, 2, 1), "replicate"),
    lambda x: F.pad(x, (1, 2, 2, 1), "circular"),
    lambda x: x[:, :, ::2, 1::3],
    lambda x: x[:, :, -3:, :4].flip((2, 3)),
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.interpolate(x, size=(11, 5)),
    lambda x: F.interpolate(x, scale_factor=(1.5, 0.5), mode="nearest-exact"),
    lambda x: F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:],
    lambda x: F.pad(F.pad(x, (1, 0)), (0, 0, 1, 1)),
    lambda x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:], 1, 2),
    lambda x: F.pad(F.relu(x), (0, 1, 0, 1), value=float("-inf"))[:, :, ::2],
]


def test_padding_slices_and_enlarging() -> None:
    check(Each(PADDED), image(2, 3, 7, 8))
    check(Each(PADDED, nn.Conv2d(3, 17, 1)), image(2, 3, 7, 8))


@pytest.mark.slow
def test_convolutions_and_pools_of_what_is_padded_or_cut() -> None:
    """The convolutions read where the pixels are; the pools read a copy."""

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 8, 3, padding=1)
            kinds = (
                nn.Conv2d(8, 9, 3, 2), nn.Conv2d(8, 9, 1), nn.Conv2d(8, 9, (1, 3), padding=1),
                nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3, 2, 1, groups=4),
                nn.Conv2d(8, 8, 2, padding="same"), nn.Conv2d(8, 8, 3, padding="same", groups=8),
                nn.MaxPool2d(3, 2), nn.AvgPool2d(2, 1, 1), nn.ReLU(),
            )  # fmt: skip
            self.layers = nn.ModuleList(kinds)

        def forward(self, x: Tensor) -> list[Tensor]:
            x = self.first(x)
            moved = [move(x) for i, move in enumerate(PADDED) if i != len(PADDED) - 1 and i != 1]
            found = [layer(one) for layer in self.layers for one in moved]
            both = torch.cat((F.pad(x, (0, 1, 0, 1)), F.pad(F.relu(x), (0, 1, 0, 1))), 1)
            mixed = torch.cat((F.pad(x, (1, 1, 1, 1)), F.interpolate(x, size=(9, 10))), 1)
            return [*found, *(self.layers[0](one[:, 4:12]) for one in (both, mixed))]

    torch.manual_seed(0)
    check(Reads(), image(2, 3, 7, 8))


def test_what_convolutions_pad_themselves_is_not_what_was_cut_off() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 8, 1)
            self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 2, groups=8)

        def forward(self, x: Tensor) -> list[Tensor]:
            x = self.first(x)
            cut = (x[:, :, 1:, 2:], x[:, :, :-1], x[:, :, ::2, ::2], F.pad(x, (2, 0, 0, -1)))
            return [layer(one) for layer in (self.a, self.b) for one in cut]

    torch.manual_seed(0)
    check(Cut(), image(2, 3, 7, 8))


class Lines(nn.Module):
    """One axis of positions, as a row and as a column, and none."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.grouped = nn.Conv1d(5, 12, 3, padding=1), nn.Conv1d(12, 8, 4, 2, groups=4)
        self.alone = nn.Conv1d(12, 12, 3, 1, 2, 2, groups=12)
        self.column, self.norm = nn.Conv2d(12, 6, (3, 1), padding=(1, 0)), nn.BatchNorm1d(12)
        self.linear = nn.Linear(12 * 9, 7)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu(self.norm(self.conv(x)))
        column = self.column(x.unsqueeze(-1))
        return [
            self.grouped(x), self.alone(x), column, column.squeeze(-1) + 2 * column[..., 0].relu(),
            self.linear(x.flatten(1)), F.max_pool1d(x, 3, 2), x.mean(-1), column.mean((2, 3)),
            torch.cat((column, x.unsqueeze(3)), 1), x[..., None] + x[..., None].relu(),
        ]  # fmt: skip


def test_lines() -> None:
    torch.manual_seed(0)
    check(Lines(), image(2, 5, 9))


def test_networks_of_linear_layers() -> None:
    torch.manual_seed(0)
    check(nn.Sequential(nn.Linear(10, 33), nn.ReLU(), nn.BatchNorm1d(33), nn.Linear(33, 3)),
          image(4, 10))  # fmt: skip


class Outputs(nn.Module):
    """The images, constants' neighbours, views, permutations, dictionaries, the same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3)

    def forward(self, x: Tensor) -> dict[str, object]:
        y = self.conv(x)
        boxes = y.view(y.shape[0], 3, 4, *y.shape[2:]).permute(0, 1, 3, 4, 2)
        both = torch.cat([boxes[..., :2].sigmoid(), boxes[..., 2:]], -1)
        return {
            "images": x, "some": x[:, 1:], "one": y[:, 3], "last": y.permute(0, 2, 3, 1),
            "boxes": (boxes, both.flatten(1, 3)), "flat": y.flatten(1), "rows": y.flatten(2),
            "turned": y.transpose(2, 3), "pooled": [y.mean((2, 3)), y.mean((2, 3))[:, 5]],
            "again": (y, y, x.mean((2, 3))[:, [2, 0, 0]]), "shuffled": F.channel_shuffle(y, 3),
        }  # fmt: skip


def test_outputs() -> None:
    torch.manual_seed(0)
    check(Outputs(), image(3, 3, 6, 7))


@pytest.mark.parametrize(
    "model", [nn.Identity(), nn.ReLU(), nn.Flatten(), nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1)]
)
def test_networks_of_next_to_nothing(model: nn.Module) -> None:
    check(model, image(3, 1, 3, 2))
    check(nn.Sequential(model, nn.Flatten()), image(1, 1, 1, 1))


def test_activations_of_parts_of_one_convolution() -> None:
    """Convolutions that read the same become one; it takes along what is the same for all."""

    class Siblings(nn.Module):
        def __init__(self, *acts: Function) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 5, 3)
            self.layers = nn.ModuleList(nn.Conv2d(5, 3 + i, 1) for i in range(len(acts)))
            self.last = nn.ModuleList(nn.Conv2d(3 + i, 4, 3) for i in range(len(acts)))
            self.acts = Each(acts).layers

        def forward(self, x: Tensor) -> list[Tensor]:
            x = self.first(x)
            parts = zip(self.layers, self.acts, self.last, strict=True)
            return [last(act(layer(x))) for layer, act, last in parts]

    torch.manual_seed(0)
    alike = check(Siblings(F.relu, F.relu, F.relu), image(2, 3, 7, 8))
    assert {type(step.node).__name__ for step in alike.steps} == {"Convolution"}
    check(Siblings(F.relu, F.relu6, F.silu, F.relu, nn.PReLU(7)), image(2, 3, 7, 8))
