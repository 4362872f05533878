"""IGCV2 and IGCV3: which channels reach which, and by how many paths."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.zoo import igcv2, igcv3


def paths(block: nn.Module, channels: int) -> Tensor:
    """From every input channel (row) to every output channel: the number of paths.

    All pointwise weights are 1, depthwise ones too (a single pixel sees only their centre), and
    batch norm does nothing.
    """
    block.double().eval()
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.running_var, 1 - module.eps)
    # Small enough for what ReLU6 cuts off.
    one_hot = torch.eye(channels, dtype=torch.float64)[:, :, None, None] / 2**20
    with torch.no_grad():
        found: Tensor = block(one_hot).flatten(1) * 2**20
    torch.testing.assert_close(found, found.round())
    return found.round()


def permutation(channels: int, groups: int) -> list[int]:
    return np.arange(channels).reshape(groups, channels // groups).T.flatten().tolist()


def test_igcv2_meets_the_complementary_condition_with_64_channels() -> None:
    """Group sizes 8 and 8 multiply to 64: one path from every input to every output."""
    assert torch.equal(paths(igcv2.Block(64, 128, 1, 8), 64), torch.ones(64, 128).double())


@pytest.mark.parametrize(("channels", "groups"), [(16, 4), (9, 3), (256, 16)])
def test_igcv2_meets_the_complementary_condition(channels: int, groups: int) -> None:
    found = paths(igcv2.Block(channels, channels, 1, groups), channels)
    assert torch.equal(found, torch.ones(channels, channels).double())


def test_igcv2_blocks() -> None:
    """C / 64 paths everywhere from 64 channels on; below, (C / 8)^2 inputs by one path each."""
    model = create_model("igcv2_x0_25")
    blocks = [module for module in model.modules() if isinstance(module, igcv2.Block)]
    widths = [block.depthwise.conv.in_channels for block in blocks]
    assert widths == [16, 32, 64, 64, 128, 128, *[256] * 6, 512]
    for block, channels in zip(blocks, widths, strict=True):
        found = paths(block, channels)
        if channels >= 64:
            assert bool((found == channels // 64).all())
        else:
            assert set(found.flatten().tolist()) == {0, 1}
            assert set(found.sum(0).tolist()) == {(channels // 8) ** 2}


def test_igcv2_permutes_between_the_group_convolutions() -> None:
    block = igcv2.Block(32, 32, 1, 8)
    block.depthwise = block.first = block.second = nn.Identity()
    x = torch.randn(2, 32, 3, 3)
    assert torch.equal(block(x), x[:, permutation(32, 8)])


def test_igcv3_meets_the_loose_complementary_condition() -> None:
    """As many paths from every input to every output: a quarter of the channels between them."""
    found = paths(igcv3.Block(16, 24, 96, 2, 2, residual=False), 16)
    assert torch.equal(found, torch.full((16, 24), 24.0).double())


def test_igcv3_permutes_what_is_expanded() -> None:
    block = igcv3.Block(24, 24, 144, 1, 2, residual=False)
    block.expand = block.depthwise = block.project = nn.Identity()
    x = torch.randn(2, 24, 3, 3)
    assert torch.equal(block(x), x[:, permutation(24, 2)])


def test_igcv3_only_the_depthwise_convolution_is_activated() -> None:
    block = igcv3.Block(24, 24, 144, 1, 2, residual=True)
    assert [type(m) for m in block.modules() if "ReLU" in type(m).__name__] == [nn.ReLU6]
    assert isinstance(block.depthwise[-1], nn.ReLU6)


def test_igcv3_d_has_32_blocks() -> None:
    with torch.device("meta"):
        model = create_model("igcv3_d_x1_0")
    blocks = [module for module in model.modules() if isinstance(module, igcv3.Block)]
    assert len(blocks) == 1 + 4 + 6 + 8 + 6 + 6 + 1
    assert sum(block.residual for block in blocks) == len(blocks) - 7


def test_igcv3_1_4_has_the_channels_of_the_authors_code() -> None:
    """By hand, for the first block of each row: 1.4 c to even numbers; 1.4 times that, expanded.

    1.4 x 22 is 31, an odd number, for which the code takes 22 + 1.
    """
    with torch.device("meta"):
        model = create_model("igcv3_d_x1_4")
    blocks = [m for m in model.modules() if isinstance(m, igcv3.Block) and not m.residual]
    assert [block.project.conv.out_channels for block in blocks] == [
        22, 34, 46, 90, 134, 224, 448,
    ]  # fmt: skip
    assert [block.expand.conv.out_channels for block in blocks] == [
        46, 6 * 23, 6 * 48, 6 * 64, 6 * 126, 6 * 188, 6 * 314,
    ]  # fmt: skip
    assert model.num_features == 1792


def test_igcv3_repeats() -> None:
    """Plain IGCV3 has as many blocks as MobileNetV2."""
    model = create_model("igcv3_d_x1_0", width=0.3, repeats=(1, 2, 3, 4, 3, 3, 1))
    assert sum(isinstance(module, igcv3.Block) for module in model.modules()) == 17
    with pytest.raises(UsageError, match="repeats must be 7 numbers, not 3"):
        create_model("igcv3_d_x1_0", repeats=(1, 2, 3))


def test_igcv3_start() -> None:
    """Fan in: 144 / 2 = 72 inputs a group."""
    torch.manual_seed(0)
    model = create_model("igcv3_d_x1_0")
    weight = model.stages["stage2"][1].project.conv.weight
    assert abs(weight.std().item() / (2 / 72) ** 0.5 - 1) < 0.05
    assert not model.classifier.bias.any()
