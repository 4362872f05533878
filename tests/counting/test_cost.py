"""Counting against formulas written out, and the promise to leave the caller's network alone."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import cost, create_model
from flyweight.errors import UsageError


class Functional(nn.Module):
    """Everything by functional calls; nothing that a hook on modules would see."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.depthwise = nn.Parameter(torch.randn(8, 1, 3, 3))
        self.plain = torch.randn(4, 8, 1, 1)  # neither a parameter nor a buffer

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.dense, stride=2, padding=1)
        x = F.relu(F.conv2d(x, self.depthwise, padding=1, groups=8))
        return F.conv2d(x, self.plain)


class Tied(nn.Module):
    """One weight used twice, one never."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16, bias=False)
        self.idle = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.linear(x))


class LooksAtData(nn.Module):
    """Its shapes depend on values: it can't be run without data."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum().item() > -1e9 else x


class Uncountable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).abs()


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


H = W = 12
# network, input, multiply-adds, memory access in elements, elementwise operations
CASES: list[tuple[nn.Module, tuple[int, ...], int, int, int]] = [
    # Eq. 1 of ShuffleNet V2: a 1x1 convolution reads and writes hw(c1 + c2) and c1 c2 weights.
    (nn.Conv2d(6, 10, 1, bias=False), (1, 6, H, W), H * W * 6 * 10, H * W * 16 + 60, 0),
    # Eq. 2: with g groups, c1 c2 / g weights and multiply-adds.
    (nn.Conv2d(6, 9, 1, groups=3, bias=False), (1, 6, H, W), H * W * 6 * 9 // 3,
     H * W * 15 + 6 * 9 // 3, 0),
    (nn.Conv2d(6, 10, 3, stride=2, padding=1), (2, 6, H, W), 2 * 36 * 6 * 10 * 9,
     2 * H * W * 6 + 2 * 36 * 10 + 6 * 10 * 9 + 10, 0),
    (nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), (1, 8, H, W), H * W * 8 * 9,
     2 * H * W * 8 + 72, 0),
    (nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False), (1, 4, H, W), H * W * 4 * 6 * 4,
     H * W * 4 + 4 * H * W * 6 + 4 * 6 * 4, 0),
    (nn.Conv1d(4, 6, 3, bias=False), (1, 4, H), 10 * 4 * 6 * 3, 4 * H + 6 * 10 + 72, 0),
    (nn.Linear(20, 30), (5, 20), 5 * 20 * 30, 5 * 20 + 5 * 30 + 20 * 30 + 30, 0),
    (nn.BatchNorm2d(4), (1, 4, H, W), 0, 2 * H * W * 4 + 4 * 4, 2 * H * W * 4),
    (nn.ReLU(), (1, 4, H, W), 0, 2 * H * W * 4, H * W * 4),
    (nn.MaxPool2d(3, 2, padding=1), (1, 4, H, W), 0, H * W * 4 + 36 * 4, 36 * 4 * 9),
    (nn.AvgPool2d(2), (1, 4, H, W), 0, H * W * 4 + 36 * 4, 36 * 4 * 4),
    (nn.AdaptiveAvgPool2d(1), (1, 4, H, W), 0, H * W * 4 + 4, H * W * 4),
    (nn.Flatten(), (1, 4, H, W), 0, 0, 0),
    (nn.ChannelShuffle(2), (1, 4, H, W), 0, 2 * H * W * 4, 0),
    (Functional(), (1, 3, H, W), 36 * (3 * 8 * 9 + 8 * 9 + 8 * 4),
     (H * W * 3 + 36 * 8 + 216) + (2 * 36 * 8 + 72) + 2 * 36 * 8 + (36 * 12 + 32), 36 * 8),
    (Attention(), (1, 2, 10, 16), 2 * 2 * 10 * 10 * 16, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "size", "madds", "memory_access", "elementwise"),
    CASES,
    ids=[type(case[0]).__name__ + str(index) for index, case in enumerate(CASES)],
)
def test_formulas(
    model: nn.Module, size: tuple[int, ...], madds: int, memory_access: int, elementwise: int
) -> None:
    counted = cost(model, size)
    assert counted.madds == madds
    assert counted.elementwise == elementwise
    assert counted.uncounted == {}
    if memory_access or not madds:
        assert counted.memory_access == memory_access
        assert counted.bytes == 4 * memory_access
        assert counted.intensity == pytest.approx(madds / (4 * memory_access or 1))


def test_views_add_up() -> None:
    counted = cost("shufflenet_v2_x0_5")
    for view in (counted.by_operator(), counted.by_module(), counted.by_module(2)):
        for figure in ("madds", "elementwise", "params", "memory_access", "bytes"):
            total = sum(getattr(part, figure) for part in view.values())
            assert total == getattr(counted, figure), figure
    assert counted.by_module()["stages.conv5.conv"].madds == 192 * 1024 * 7 * 7
    assert counted.by_operator()["linear"].madds == 1024 * 1000
    assert counted.uncounted == {}
    assert counted.unread == ()


def test_channel_moves_are_memory_access_not_nothing() -> None:
    """A shuffle and a concatenation per unit: what FLOPs hide."""
    moved = cost("shufflenet_v2_x1_0_halved").by_operator()["data movement"]
    assert moved.madds == 0
    units = [(116, 28, 4), (232, 14, 8), (464, 7, 4)]
    assert moved.memory_access == sum(4 * c * hw * hw * n for c, hw, n in units)


def test_batch_and_dtype() -> None:
    one, two = cost("mobilenet_v1_x0_25"), cost("mobilenet_v1_x0_25", (2, 3, 224, 224))
    assert two.madds == 2 * one.madds
    assert two.params == one.params
    half = cost(create_model("mobilenet_v1_x0_25").half())
    assert half.memory_access == one.memory_access
    assert half.bytes * 2 == one.bytes


def test_shared_and_idle_parameters() -> None:
    counted = cost(Tied(), (1, 16))
    assert counted.params == 16 * 16 + 5
    assert counted.madds == 2 * 16 * 16
    assert sum(op.params for op in counted.operations) == 16 * 16
    assert counted.unread == ("idle",)


def test_what_was_not_counted_is_listed() -> None:
    assert cost(Uncountable(), (1, 8)).uncounted == {"aten._fft_r2c": 1}


def test_a_network_that_looks_at_its_data() -> None:
    assert cost(LooksAtData(), (1, 8)).elementwise >= 8


def test_without_weights() -> None:
    with torch.device("meta"):
        model = create_model("mobilenet_v1_x0_25")
    assert cost(model).madds == cost("mobilenet_v1_x0_25").madds


def networks() -> list[Callable[[], nn.Module]]:
    return [lambda: create_model("mobilenet_v2_x0_35"), Functional, LooksAtData, Tied]


@pytest.mark.parametrize("build", networks())
def test_the_network_is_left_as_it_was(build: Callable[[], nn.Module]) -> None:
    model = build()
    size = (1, 16) if isinstance(model, Tied) else (1, 3, 32, 32)
    calls: list[str] = []
    model.register_forward_hook(lambda *_: calls.append("hook"))
    model.train()
    for index, module in enumerate(model.modules()):
        module.training = index % 2 == 0
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    before = copy.deepcopy(model.state_dict())
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    identities = {n: id(t) for n, t in [*model.named_parameters(), *model.named_buffers()]}
    flags = [module.training for module in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    attributes = [sorted(vars(module)) for module in model.modules()]
    random_state = torch.get_rng_state()

    cost(model, size)

    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert {n: id(t) for n, t in [*model.named_parameters(), *model.named_buffers()]} == identities
    assert all(torch.equal(p.grad, grads[n]) for n, p in model.named_parameters())
    assert [module.training for module in model.modules()] == flags
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == hooks
    assert [sorted(vars(module)) for module in model.modules()] == attributes
    assert torch.equal(torch.get_rng_state(), random_state)
    assert calls == []


def test_wrong_inputs() -> None:
    with pytest.raises(UsageError, match=r"expected input\[1, 4, 224, 224\] to have 3 channels"):
        cost("mobilenet_v2_x0_35", (1, 4, 224, 224))
    with pytest.raises(UsageError, match=r"doesn't run on an input of \(1, 3\)"):
        cost("mobilenet_v2_x0_35", (1, 3))
    with pytest.raises(UsageError, match="every number must be 1 or more"):
        cost("mobilenet_v2_x0_35", (1, 3, 0, 224))
