"""Each rewrite alone, on the smallest network that shows it."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.graph import capture
from flyweight.graph.program import Affine, Channelwise, Conv, Program
from flyweight.graph.reading import read_program
from flyweight.lowering import lower, rewrites
from flyweight.lowering.emit import emit
from flyweight.lowering.rules import Rules
from tests.lowering.agreement import check, difference, randomise, targets


class Net(nn.Module):
    """Layers by name and a function over them."""

    def __init__(self, forward: Callable[["Net", Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def program_of(model: nn.Module, size: int = 8) -> tuple[Program, Tensor, Tensor]:
    model = randomise(model).double()
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        return read_program(capture(model, x, dynamic_batch=True)), x, model(x)


def same(program: Program, x: Tensor, expected: Tensor) -> None:
    with torch.no_grad():
        assert difference(expected, emit(program, Rules())(x)) < 1e-12


def count(program: Program, kind: type) -> int:
    return sum(isinstance(step, kind) for step in program.steps)


def test_norm_after_a_convolution() -> None:
    net = Net(
        lambda s, x: s.norm(s.conv(x)), conv=nn.Conv2d(3, 6, 3, padding=1), norm=nn.BatchNorm2d(6)
    )
    program, x, y = program_of(net)
    assert rewrites.fold_norms_back(program) == ["norm"]
    assert count(program, Affine) == 0
    same(program, x, y)


def test_norm_after_a_shuffle_of_two_convolutions() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        y = F.channel_shuffle(torch.cat((s.a(x), s.b(x)), 1), 2)
        return s.norm(y)

    net = Net(forward, a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(3, 4, 3, groups=1), norm=nn.BatchNorm2d(8))
    program, x, y = program_of(net)
    assert len(rewrites.fold_norms_back(program)) == 1
    same(program, x, y)


def test_norm_of_what_others_read_too_stays() -> None:
    net = Net(
        lambda s, x: s.norm(s.conv(x)) + s.conv(x).relu(),
        conv=nn.Conv2d(3, 6, 1), norm=nn.BatchNorm2d(6),
    )  # fmt: skip
    program, x, y = program_of(net)
    rewrites.merge_equal(program)
    assert rewrites.fold_norms_back(program) == []
    same(program, x, y)


@pytest.mark.parametrize(
    ("padding", "folds"), [(0, True), (1, False)], ids=["without padding", "with padding"]
)
@pytest.mark.parametrize("groups", [1, 3])
def test_norm_before_a_convolution(padding: int, folds: bool, groups: int) -> None:
    """A shift folded through padding would be wrong at the border, where zeros aren't shifted."""
    net = Net(
        lambda s, x: s.conv(s.norm(F.avg_pool2d(x, 2))),
        norm=nn.BatchNorm2d(3), conv=nn.Conv2d(3, 6, 3, padding=padding, groups=groups),
    )  # fmt: skip
    program, x, y = program_of(net)
    assert bool(rewrites.fold_norms_ahead(program)) is folds
    same(program, x, y)


def test_a_norm_that_only_scales_folds_through_padding() -> None:
    scale = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    net = Net(
        lambda s, x: s.conv(F.max_pool2d(x, 2) * scale.view(3, 1, 1)),
        conv=nn.Conv2d(3, 6, 3, padding=1),
    )  # fmt: skip
    program, x, y = program_of(net)
    assert len(rewrites.fold_norms_ahead(program)) == 1
    same(program, x, y)


def test_norm_before_a_linear_layer() -> None:
    net = Net(
        lambda s, x: s.fc(torch.flatten(s.norm(F.relu(x)), 1)),
        norm=nn.BatchNorm2d(3), fc=nn.Linear(3 * 64, 5),
    )  # fmt: skip
    program, x, y = program_of(net)
    assert rewrites.fold_norms_ahead(program) == ["norm"]
    same(program, x, y)


def test_a_norm_before_a_relu_stays() -> None:
    """Pre-activation: nothing before it to fold into, and the ReLU is in the way after it."""
    net = Net(
        lambda s, x: s.conv(F.relu(s.norm(F.max_pool2d(x, 2)))),
        norm=nn.BatchNorm2d(3), conv=nn.Conv2d(3, 6, 1),
    )  # fmt: skip
    program, x, y = program_of(net)
    assert rewrites.fold_norms_ahead(program) == rewrites.fold_norms_back(program) == []
    same(program, x, y)


def test_equal_computations_are_done_once() -> None:
    net = Net(
        lambda s, x: s.a(F.relu(x)) + s.b(F.relu(x)) + s.a(F.relu(x)),
        a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 4, 1),
    )  # fmt: skip
    program, x, y = program_of(net)
    assert len(rewrites.merge_equal(program)) == 3
    assert count(program, Conv) == 2
    same(program, x, y)


def test_unread_results_are_dropped() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        s.b(x)
        return s.a(x)

    net = Net(forward, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 4, 1))
    program, x, y = program_of(net)
    rewrites.drop_unread(program)
    assert count(program, Conv) == 1
    same(program, x, y)


def test_siblings_become_one_convolution() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        x = s.first(x)
        a, b = s.a(F.channel_shuffle(x, 4)), s.b(x).relu()
        return torch.cat((s.c(b), a), 1)

    net = Net(
        forward,
        first=nn.Conv2d(3, 8, 3), a=nn.Conv2d(8, 4, 1, bias=False), b=nn.Conv2d(8, 6, 1),
        c=nn.Conv2d(6, 2, 3, padding=1),
    )  # fmt: skip
    program, x, y = program_of(net)
    assert len(rewrites.merge_siblings(program)) == 2
    rewrites.drop_unread(program)
    assert count(program, Conv) == 3
    same(program, x, y)


def test_siblings_are_merged_where_it_is_asked_for() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        x = s.first(x)
        return torch.cat((s.a(x).relu(), s.b(x).sigmoid()), 1)

    net = Net(forward, first=nn.Conv2d(3, 8, 3), a=nn.Conv2d(8, 4, 1), b=nn.Conv2d(8, 6, 1)).eval()
    x = torch.randn(2, 3, 8, 8)
    merged = lower(net, x, merge_siblings=True)
    convolutions = [t for t in targets(merged) if "conv" in t]
    assert len(convolutions) == 2
    assert len([t for t in targets(lower(net, x)) if "conv" in t]) == 3
    with torch.no_grad():
        torch.testing.assert_close(merged(x), net(x))


def test_dropout_identity_and_constants_leave_nothing() -> None:
    class Folds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))
            self.drop = nn.Dropout(0.5)
            self.keep = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.keep(self.drop(x)) * (self.scale.exp() + 1).to(x.dtype)

    assert targets(check(Folds(), 8)) == ["mul"]


@pytest.mark.parametrize(
    "spelling",
    [
        lambda x: x.view(x.shape[0], 4, 6, *x.shape[2:]).transpose(1, 2).reshape(x.shape),
        lambda x: F.channel_shuffle(x, 4),
        lambda x: x.reshape(-1, 4, 6, 8, 8).permute(0, 2, 1, 3, 4).contiguous().view(-1, 24, 8, 8),
        lambda x: torch.stack(x.chunk(4, 1), 2).flatten(1, 2),
        lambda x: torch.cat([x[:, k::6] for k in range(6)], 1),
        lambda x: x[:, torch.arange(24).reshape(4, 6).T.flatten()],
    ],
    ids=["view", "module", "permute", "stack", "steps", "index"],
)
def test_every_spelling_of_the_shuffle_dissolves_between_convolutions(
    spelling: Callable[[Tensor], Tensor],
) -> None:
    expected = F.channel_shuffle(torch.arange(24.0).view(1, 24, 1, 1).expand(1, 24, 8, 8), 4)
    assert torch.equal(spelling(torch.arange(24.0).view(1, 24, 1, 1).repeat(1, 1, 8, 8)), expected)
    net = Net(
        lambda s, x: s.b(s.norm(F.relu(spelling(s.a(x))))),
        a=nn.Conv2d(3, 24, 3, padding=1), norm=nn.BatchNorm2d(24), b=nn.Conv2d(24, 5, 1),
    )  # fmt: skip
    lowered = check(net, 8)
    # ReLU is in the way of folding the norm back, and nothing of folding it ahead.
    assert targets(lowered) == ["conv2d", "relu", "conv2d"]


def test_the_shuffle_moves_behind_the_depthwise_convolution() -> None:
    net = Net(
        lambda s, x: s.b(s.depthwise(F.channel_shuffle(F.relu(s.a(s.first(x))), 3))),
        first=nn.Conv2d(3, 12, 1), a=nn.Conv2d(12, 24, 1, groups=3),
        depthwise=nn.Conv2d(24, 24, 3, 2, 1, groups=24), b=nn.Conv2d(24, 12, 1, groups=3),
    )  # fmt: skip
    names = targets(check(net, 8))
    assert names[:4] == ["conv2d", "conv2d", "relu", "conv2d"]
    assert names.index("transpose") > 3


def test_the_shuffle_before_a_group_convolution_folds_into_a_dense_one() -> None:
    net = Net(
        lambda s, x: s.b(s.depthwise(F.channel_shuffle(F.relu(s.a(x)), 3))),
        a=nn.Conv2d(3, 24, 1), depthwise=nn.Conv2d(24, 24, 3, 2, 1, groups=24),
        b=nn.Conv2d(24, 12, 1, groups=3),
    )  # fmt: skip
    assert targets(check(net, 8)) == ["conv2d", "relu", "conv2d", "conv2d"]


def test_squeeze_and_excitation_is_kept_exact() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        y = F.channel_shuffle(s.a(x), 2)
        gate = s.expand(F.relu(s.reduce(F.adaptive_avg_pool2d(y, 1)))).sigmoid()
        kept, used = (y * gate).chunk(2, 1)
        return s.c(s.b(used) + kept)

    net = Net(
        forward,
        a=nn.Conv2d(3, 16, 3), reduce=nn.Conv2d(16, 4, 1), expand=nn.Conv2d(4, 16, 1),
        b=nn.Conv2d(8, 8, 1), c=nn.Conv2d(8, 3, 1),
    )  # fmt: skip
    names = targets(check(net, 8))
    assert "index_select" not in names
    assert "transpose" not in names


def test_channels_that_are_read_twice_are_read_once() -> None:
    net = Net(
        lambda s, x: s.b(torch.cat((s.a(x), s.a(x).flip(1)), 1)),
        a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(8, 5, 3),
    )  # fmt: skip
    lowered = check(net, 8)
    assert targets(lowered) == ["conv2d", "conv2d"]


def test_pieces_of_a_channelwise_step_are_in_the_reading_order() -> None:
    net = Net(
        lambda s, x: F.max_pool2d(torch.cat((s.a(x)[:, 1:3], x[:, :2]), 1), 2),
        a=nn.Conv2d(3, 4, 1),
    )
    program, x, y = program_of(net)
    assert count(program, Channelwise) == 1
    same(program, x, y)


def test_channels_picked_for_a_group_convolution_are_picked_once() -> None:
    """CondenseNet: an index, a norm, a ReLU, and a group convolution that can't choose."""
    net = Net(
        lambda s, x: s.b(F.relu(s.norm(torch.cat((s.a(x), x), 1)[:, [6, 0, 3, 2, 2, 9, 8, 1]]))),
        a=nn.Conv2d(3, 8, 1), norm=nn.BatchNorm2d(8), b=nn.Conv2d(8, 4, 1, groups=2),
    )  # fmt: skip
    names = targets(check(net, 8))
    assert names[-3:] == ["batch_norm", "relu", "conv2d"]


@pytest.mark.parametrize(
    "other",
    [
        lambda x: F.avg_pool2d(torch.ones_like(x[:1]), 3, 2, 1),  # how much of a window is inside
        lambda x: x.size(0),
    ],
    ids=["a tensor without a batch", "the number of images"],
)
def test_what_has_no_channels_is_read_as_it_is(other: Callable[[Tensor], Tensor | int]) -> None:
    net = Net(lambda s, x: s.conv(F.avg_pool2d(x, 3, 2, 1) / other(x)), conv=nn.Conv2d(3, 4, 1))
    program, x, y = program_of(net)
    same(program, x, y)
