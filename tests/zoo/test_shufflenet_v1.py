"""ShuffleNet V1: the unit written out in numpy, and what the shuffle does to the flow."""

import numpy as np
import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.zoo.shufflenet_v1 import Unit

Array = np.ndarray


def randomised(module: nn.Module) -> nn.Module:
    """In double precision, with statistics of batch norm that matter."""
    module.double().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.3, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
    return module


class Written:
    """The unit of Figure 2 on one image (channels, height, width), in numpy."""

    def __init__(self, unit: Unit) -> None:
        self.state = {key: value.numpy() for key, value in unit.state_dict().items()}

    def pointwise(self, name: str, x: Array, groups: int) -> Array:
        kernel = self.state[f"{name}.conv.weight"][:, :, 0, 0]
        out = len(kernel) // groups
        parts = [
            np.tensordot(kernel[g * out : (g + 1) * out], part, 1)
            for g, part in enumerate(np.split(x, groups))
        ]
        return self.norm(name, np.concatenate(parts))

    def depthwise(self, x: Array, stride: int) -> Array:
        kernel = self.state["depthwise.conv.weight"][:, 0]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        height, width = x.shape[1:]
        full = sum(
            kernel[:, i, j, None, None] * padded[:, i : i + height, j : j + width]
            for i in range(3)
            for j in range(3)
        )
        return self.norm("depthwise", full[:, ::stride, ::stride])

    def norm(self, name: str, x: Array) -> Array:
        mean, var, weight, bias = (
            self.state[f"{name}.norm.{leaf}"][:, None, None]
            for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

    def pooled(self, x: Array) -> Array:
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        height, width = x.shape[1:]
        windows = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        return np.mean(windows, axis=0)[:, ::2, ::2]

    def excited(self, x: Array) -> Array:
        s = self.state
        hidden = s["excite.reduce.weight"][:, :, 0, 0] @ x.mean((1, 2)) + s["excite.reduce.bias"]
        scale = s["excite.expand.weight"][:, :, 0, 0] @ np.maximum(hidden, 0)
        return x / (1 + np.exp(-scale - s["excite.expand.bias"]))[:, None, None]

    def __call__(
        self, x: Array, groups: int, stride: int, first_groups: int, shuffle: bool, excite: bool
    ) -> Array:
        y = np.maximum(self.pointwise("squeeze", x, first_groups), 0)
        if shuffle:
            # The paper: "reshape the output channel dimension into (g, n), transposing and then
            # flattening it back".
            channels, height, width = y.shape
            matrix = y.reshape(groups, channels // groups, height, width)
            y = matrix.transpose(1, 0, 2, 3).reshape(channels, height, width)
        y = self.pointwise("expand", self.depthwise(y, stride), groups)
        if stride == 1:
            y = np.maximum(x + y, 0)
        else:
            y = np.concatenate([self.pooled(x), np.maximum(y, 0)])
        return self.excited(y) if excite else y


@pytest.mark.parametrize("excite", [False, True])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("read", "out", "groups", "stride", "first_groups"),
    [(48, 48, 3, 1, 3), (48, 96, 4, 2, 4), (12, 48, 3, 2, 1), (32, 64, 8, 2, 8), (16, 16, 1, 1, 1)],
)
def test_the_unit_is_figure_2(
    read: int, out: int, groups: int, stride: int, first_groups: int, shuffle: bool, excite: bool
) -> None:
    torch.manual_seed(0)
    reduction = 16 if excite else None
    unit = Unit(read, out, groups, stride, first_groups, shuffle=shuffle, se_reduction=reduction)
    randomised(unit)
    x = torch.randn(1, read, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        ours = unit(x)[0].numpy()
    written = Written(unit)(x[0].numpy(), groups, stride, first_groups, shuffle, excite)
    np.testing.assert_allclose(ours, written, rtol=1e-10, atol=1e-10)


def reached(unit: Unit, channels: int) -> torch.Tensor:
    """(out, in): whether an input channel reaches an output channel."""
    with torch.no_grad():
        for part in unit.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.abs_()
    unit.eval()
    x = torch.rand(1, channels, 3, 3).requires_grad_()
    rows = [
        torch.autograd.grad(out.sum(), x, retain_graph=True)[0].sum((0, 2, 3)) for out in unit(x)[0]
    ]
    return torch.stack(rows) > 0


@pytest.mark.parametrize("groups", [2, 3])
def test_figure_1_the_shuffle_lets_every_group_reach_every_output(groups: int) -> None:
    """(a) Two stacked group convolutions keep to their groups; (b), (c) shuffled they don't."""
    channels = 36
    alone = torch.ones(channels // groups, channels // groups)
    own_group = torch.block_diag(*[alone] * groups) > 0
    without = Unit(channels, channels, groups, 1, groups, mid_ratio=0.5, shuffle=False)
    with_it = Unit(channels, channels, groups, 1, groups, mid_ratio=0.5)
    assert torch.equal(reached(without, channels), own_group)
    assert bool(reached(with_it, channels).all())


def test_rows_without_shuffle_have_the_same_weights_and_another_function() -> None:
    name = "shufflenet_v1_x0_25_arch2_g8"
    shuffled, not_shuffled = create_model(name), create_model(f"{name}_noshuffle")
    not_shuffled.load_state_dict(randomised(shuffled).state_dict())
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        a, b = (model.double().eval().features(x, [1])[0] for model in (shuffled, not_shuffled))
    assert not torch.allclose(a, b)


@pytest.mark.parametrize(
    ("name", "bottlenecks"),
    [
        ("shufflenet_v1_x1_0_g3", [60, 120, 240]),
        ("shufflenet_v1_x0_5_g2", [26, 50, 100]),
        ("shufflenet_v1_x0_5_g4", [36, 68, 136]),
        ("shufflenet_v1_x0_25_g2", [12, 26, 50]),
        ("shufflenet_v1_x0_25_g4", [16, 36, 68]),
        ("shufflenet_v1_50_g3", [90, 180, 360, 720]),
        ("shufflenet_v1_50_g3_half", [180, 360, 720, 1440]),
    ],
)
def test_bottlenecks_are_multiples_of_the_groups(name: str, bottlenecks: list[int]) -> None:
    with torch.device("meta"):
        stages = create_model(name).stages
    for stage, width in zip(list(stages.values())[1:], bottlenecks, strict=True):
        assert {len(unit.depthwise.conv.weight) for unit in stage} == {width}


def test_the_network_of_50_layers() -> None:
    """First layer, three in each of 16 units, classifier; conv2_x keeps the pooled map's size."""
    with torch.device("meta"):
        model = create_model("shufflenet_v1_50_g3")
    assert sum(isinstance(part, nn.Conv2d | nn.Linear) for part in model.modules()) == 50
    assert [info.stride for info in model.stage_info] == [4, 4, 8, 16, 32]
    unit = create_model("shufflenet_v1_50_g3", repeats=(1,)).stages["stage2"][0].eval()
    x = torch.randn(1, 63, 5, 5)
    with torch.no_grad():
        assert torch.equal(unit(x)[:, :63], x)


def test_groups_that_do_not_divide_the_width() -> None:
    with pytest.raises(UsageError, match="7 groups must divide width 240"):
        create_model("shufflenet_v1_x1_0_g3", groups=7)
