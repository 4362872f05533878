"""Random networks of everything that there is: channels from anywhere, to any reader."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.native.against import check, needs_compiler

pytestmark = needs_compiler

KINDS = (
    "dense", "pointwise", "depthwise", "grouped", "multiplied", "norm", "relu", "curve", "pool",
    "average", "shuffle", "split", "index", "gate", "residual", "sum", "double", "odd", "flip",
    "pad", "cut", "softmax", "attention", "near",
)  # fmt: skip


class Composed(nn.Module):
    """Layers drawn from `KINDS`; branches that were split off come back at the end."""

    def __init__(self, kinds: Sequence[str], numbers: Sequence[int]) -> None:
        super().__init__()
        channels = 8
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.plan: list[tuple[str, int]] = []
        layers = []
        for kind, number in zip(kinds, numbers, strict=True):
            if (kind == "split" and channels < 4) or (kind == "double" and channels > 24):
                kind = "relu"
            layer, channels = _layer(kind, channels, number)
            layers.append(layer)
            self.plan.append((kind, number))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.first(x)
        aside: list[Tensor] = []
        for (kind, number), layer in zip(self.plan, self.layers, strict=True):
            if kind == "split":
                kept, x = x.split([x.shape[1] // 3, x.shape[1] - x.shape[1] // 3], 1)
                aside.append(kept)
            elif isinstance(layer, nn.Identity):
                x = moved(kind, number, x)
            elif kind in ("gate", "attention"):
                pooled = F.adaptive_avg_pool2d(x, 1) if kind == "gate" else x
                x = x * layer(pooled).sigmoid()
            elif kind in ("residual", "sum"):
                x = F.relu(x + layer(x)) if kind == "residual" else layer(x).flip(1) + x
            else:
                x = layer(x)
        pixels = [F.adaptive_avg_pool2d(one, 1).flatten(1) for one in (x, *aside)]
        return (x, *aside, torch.cat(pixels, 1))


def _layer(kind: str, channels: int, number: int) -> tuple[nn.Module, int]:
    groups = next(g for g in (2, 3, 4, 1) if channels % g == 0)
    out = 4 + number
    layers = {
        "dense": (nn.Conv2d, (channels, out, 3, 1, 1), out),
        "pointwise": (nn.Conv2d, (channels, 2 * out, 1), 2 * out),
        "depthwise": (nn.Conv2d, (channels, channels, 3, 1, 1, 1, channels), channels),
        "grouped": (nn.Conv2d, (channels, groups * out, 1, 1, 0, 1, groups), groups * out),
        "multiplied": (nn.Conv2d, (channels, 2 * channels, 3, 1, 1, 1, channels), 2 * channels),
        "norm": (nn.BatchNorm2d, (channels,), channels),
        "gate": (nn.Conv2d, (channels, channels, 1), channels),
        "attention": (nn.Conv2d, (channels, 1, 3, 1, 1), channels),
        "residual": (nn.Conv2d, (channels, channels, 1), channels),
        "sum": (nn.Conv2d, (channels, channels, 3, 1, 1, 1, channels), channels),
        "near": (nn.LocalResponseNorm, (3, 0.1), channels),
    }
    if kind in layers:
        make, arguments, after = layers[kind]
        return make(*arguments), after
    after = {"split": channels - channels // 3, "index": 5, "double": 2 * channels,
             "odd": (channels + 1) // 2}.get(kind, channels)  # fmt: skip
    return nn.Identity(), after


def moved(kind: str, number: int, x: Tensor) -> Tensor:
    """What is done without weights."""
    channels = x.shape[1]
    groups = next(g for g in (3, 2, 1) if channels % g == 0)
    if kind == "shuffle":
        return F.channel_shuffle(x, groups)
    if kind == "index":
        return x[:, torch.arange(number, number + 5) % channels]
    if kind == "double":
        return torch.cat((x.flip(1), x), 1)
    functions = {
        "relu": F.relu,
        "curve": F.silu if number % 2 else F.hardswish,
        "pool": lambda x: F.max_pool2d(x, 3, 1, 1),
        "average": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=bool(number % 2)),
        "odd": lambda x: x[:, ::2],
        "flip": lambda x: x.flip(1),
        "pad": lambda x: F.pad(x, (1, 0, 0, 1)),
        "cut": lambda x: x[:, :, 1:] if x.shape[2] > 2 else x,
        "softmax": lambda x: x.softmax(1),
    }
    return functions[kind](x)


# Shrinking would compile hundreds of networks.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.mark.parametrize(
    ("length", "examples"), [(7, 4), pytest.param(12, 40, marks=pytest.mark.slow)]
)
def test_compositions(length: int, examples: int) -> None:
    @settings(max_examples=examples, phases=PHASES, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.sampled_from(KINDS), min_size=length, max_size=length),
        st.lists(st.integers(0, 16), min_size=length, max_size=length),
        st.integers(0, 1000),
    )
    def run(kinds: list[str], numbers: list[int], seed: int) -> None:
        torch.manual_seed(seed)
        check(Composed(kinds, numbers), torch.randn(2, 3, 5, 6))

    run()
