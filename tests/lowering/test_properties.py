"""Random networks of convolutions, moves and everything between: lowering never changes them."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.lowering.agreement import check

KINDS = (
    "dense", "pointwise", "depthwise", "grouped", "norm", "relu", "pool", "shuffle", "split",
    "index", "gate", "residual", "double", "odd", "flip",
)  # fmt: skip


class Random(nn.Module):
    """Layers drawn from `KINDS`; branches that were split off come back at the end."""

    def __init__(self, kinds: Sequence[str], numbers: Sequence[int]) -> None:
        super().__init__()
        self.plan: list[tuple[str, int, int]] = []
        self.layers = nn.ModuleDict()
        channels = 8
        self.layers["first"] = nn.Conv2d(3, channels, 3, padding=1)
        for place, (kind, number) in enumerate(zip(kinds, numbers, strict=True)):
            if kind == "split" and channels < 4:
                kind = "relu"
            if kind == "double" and channels > 24:
                kind = "norm"
            layer, after = self._layer(kind, channels, number)
            if layer is not None:
                self.layers[str(place)] = layer
            self.plan.append((kind, place, number))
            channels = after

    def _layer(self, kind: str, channels: int, number: int) -> tuple[nn.Module | None, int]:
        groups = next(g for g in (2, 3, 4, 1) if channels % g == 0)
        if kind == "dense":
            return nn.Conv2d(channels, 4 + number, 3, padding=1, bias=number % 2 == 0), 4 + number
        if kind == "pointwise":
            return nn.Conv2d(channels, 6 + number, 1), 6 + number
        if kind == "depthwise":
            return nn.Conv2d(channels, channels, 3, padding=1, groups=channels), channels
        if kind == "grouped":
            return nn.Conv2d(channels, groups * 3, 1, groups=groups), groups * 3
        if kind == "norm":
            return nn.BatchNorm2d(channels), channels
        if kind in ("gate", "residual"):
            return nn.Conv2d(channels, channels, 1), channels
        if kind == "double":
            return None, 2 * channels
        if kind == "split":
            return None, channels - channels // 3
        if kind == "index":
            return None, 5
        if kind == "odd":
            return None, (channels + 1) // 2
        return None, channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.layers["first"](x)
        kept: list[Tensor] = []
        for kind, place, number in self.plan:
            channels = x.shape[1]
            name = str(place)
            layer = self.layers[name] if name in self.layers else nn.Identity()
            if kind == "gate":
                x = x * layer(F.adaptive_avg_pool2d(x, 1)).sigmoid()
            elif kind == "residual":
                x = F.relu(x + layer(x))
            elif name in self.layers:
                x = layer(x)
            elif kind == "relu":
                x = F.relu(x)
            elif kind == "pool":
                x = F.max_pool2d(x, 3, 1, 1)
            elif kind == "shuffle":
                groups = next(g for g in (3, 2, 1) if channels % g == 0)
                x = x.unflatten(1, (groups, channels // groups)).transpose(1, 2).flatten(1, 2)
            elif kind == "split":
                aside, x = x.split([channels // 3, channels - channels // 3], 1)
                kept.append(aside)
            elif kind == "index":
                x = x[:, torch.arange(number, number + 5) % channels]
            elif kind == "double":
                x = torch.cat((x.flip(1), x), 1)
            elif kind == "odd":
                x = x[:, ::2]
            elif kind == "flip":
                x = x.flip(1)
        return (torch.cat([x, *kept], 1), x.mean((2, 3)))


@pytest.mark.parametrize("length", [4, pytest.param(9, marks=pytest.mark.slow)])
def test_random_networks(length: int) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.sampled_from(KINDS), min_size=length, max_size=length),
        st.lists(st.integers(0, 6), min_size=length, max_size=length),
        st.integers(0, 1000),
    )
    def run(kinds: list[str], numbers: list[int], seed: int) -> None:
        torch.manual_seed(seed)
        check(Random(kinds, numbers), 6)

    run()
