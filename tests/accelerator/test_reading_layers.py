"""Networks read as layers: shapes by hand, and nothing lost or changed."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import cost, create_model
from flyweight.accelerator import Layer, LeftOut, read_network
from flyweight.errors import UsageError


class Everything(nn.Module):
    """One of each kind, by modules and by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (7, 5), stride=(2, 1), padding=(3, 2))
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4, bias=False)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2, bias=False)
        self.filters = nn.Parameter(torch.zeros(6, 1, 3, 3))
        self.line = nn.Conv1d(6, 5, 3, stride=2, padding=1)
        self.head = nn.Linear(5, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.max_pool2d(self.grouped(x), 2)
        x = F.conv2d(self.up(x), self.filters, groups=6)
        x = self.line(x.mean(2))
        return self.head(torch.fft.fft(x, dim=-1).real.mean(-1))


def test_shapes() -> None:
    """12 x 10 pixels: 6 x 10, pooled 3 x 5, doubled 6 x 10, then 4 x 8, and a row of 8."""
    work = read_network(Everything(), (2, 3, 12, 10))
    assert work.layers == (
        Layer("stem", 3, 8, (12, 10), (6, 10), (7, 5), (2, 1), (3, 2), images=2),
        Layer("grouped", 8, 12, (6, 10), (6, 10), (3, 3), (1, 1), (2, 2), (2, 2), 4, 2),
        Layer("", 6, 6, (6, 10), (4, 8), (3, 3), groups=6, images=2),
        Layer("line", 6, 5, (1, 8), (1, 4), (1, 3), (1, 2), (0, 1), images=2),
        Layer("head", 5, 10, (1, 1), (1, 1), images=2, linear=True),
    )
    kinds = [layer.kind for layer in work.layers]
    assert kinds == ["7x5/2", "3x3, 4 groups", "depthwise 3x3", "1x3/2", "linear"]
    # 2 images, 12 inputs of 3 x 5 pixels, each to 6 outputs of 2 x 2.
    assert work.left_out["convolution"] == LeftOut(1, 2 * 12 * 15 * 6 * 4)
    assert {"normalisation", "elementwise", "pooling"} <= set(work.left_out)
    uncounted = [name for name, one in work.left_out.items() if one.madds is None]
    assert uncounted  # the Fourier transform, for which there is no rule
    assert work.input_size == (2, 3, 12, 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("alexnet", 227),
        ("squeezenet_1_1", 224),
        ("squeezenext_x1_0_23_g", 227),
        ("mobilenet_v2_x1_0", 224),
        ("shufflenet_v1_x1_0_g3", 224),
        ("shufflenet_v2_x1_0", 224),
        ("shufflenet_v2_x2_0_se", 224),
        ("densenet_121", 224),
        ("googlenet", 224),
        ("nasnet_a_4_1056", 224),
        ("resnext_50_32x4d", 224),
        ("senet_154", 224),
    ],
)
def test_all_madds_are_there(name: str, side: int) -> None:
    """As `cost` counts them: none twice, none lost."""
    with torch.device("meta"):
        work = read_network(create_model(name), (1, 3, side, side))
    left_out = sum(one.madds or 0 for one in work.left_out.values())
    assert work.madds + left_out == cost(name, (1, 3, side, side)).madds
    assert left_out == 0


def test_the_network_stays_as_it_is() -> None:
    model = Everything()
    model.train()
    before = copy.deepcopy(model.state_dict())
    read_network(model, (1, 3, 12, 10))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_nothing_to_simulate() -> None:
    with pytest.raises(UsageError, match="no convolution or linear layer"):
        read_network(nn.ReLU(), (1, 3, 4, 4))
    with pytest.raises(UsageError, match="must be 1 or more"):
        read_network(nn.Conv2d(3, 3, 1), (1, 3, 0, 4))
    with pytest.raises(UsageError, match="doesn't run"):
        read_network(nn.Conv2d(3, 3, 1), (1, 4, 8, 8))
