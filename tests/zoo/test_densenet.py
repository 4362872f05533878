"""DenseNet: every layer reads all that came before it in its block."""

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.nn import Network


def outline(name: str) -> Network:
    with torch.device("meta"):
        return create_model(name)


def channels_read(model: Network) -> list[list[int]]:
    """Input channels of the 1x1 convolutions, by stage; transitions come first."""
    return [
        [module.reduce.conv.in_channels for module in stage if hasattr(module, "reduce")]
        for name, stage in model.stages.items()
        if name.startswith("stage")
    ]


def test_densenet_121_is_table_1() -> None:
    model = outline("densenet_121")
    assert channels_read(model) == [
        [64 + 32 * layer for layer in range(6)],
        [256, *(128 + 32 * layer for layer in range(12))],
        [512, *(256 + 32 * layer for layer in range(24))],
        [1024, *(512 + 32 * layer for layer in range(16))],
    ]
    weights = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 121
    grown = {(m.in_channels, m.out_channels) for m in weights[1:-1] if m.kernel_size == (3, 3)}
    assert grown == {(128, 32)}
    assert model.num_features == 1024


@pytest.mark.parametrize(("size", "k"), [("0_5", 10), ("1_0", 20), ("1_5", 30), ("2_0", 40)])
def test_densenet_light(size: str, k: int) -> None:
    """Stem 2k; 4, 8 and 4 layers; transitions halve: 6k to 3k, 11k to 5.5k; 9.5k in the end."""
    model = outline(f"densenet_light_x{size}")
    assert channels_read(model) == [
        [2 * k + k * layer for layer in range(4)],
        [6 * k, *(3 * k + k * layer for layer in range(8))],
        [11 * k, *(11 * k // 2 + k * layer for layer in range(4))],
    ]
    assert [(stage.name, stage.channels, stage.stride) for stage in model.stage_info] == [
        ("stem", 2 * k, 4), ("stage2", 6 * k, 8), ("stage3", 11 * k, 16),
        ("stage4", 19 * k // 2, 32), ("conv5", 1024, 32),
    ]  # fmt: skip


def test_a_layer_keeps_what_it_reads() -> None:
    torch.manual_seed(0)
    model = create_model("densenet_121", growth=4, layers=(2, 1), stem=8).eval()
    layer = model.stages["stage1"][1]
    x = torch.randn(2, 12, 5, 5)
    with torch.no_grad():
        y = layer(x)
    torch.testing.assert_close(y[:, :12], x)
    assert y.shape == (2, 16, 5, 5)


def test_dropout_follows_every_convolution_but_the_first() -> None:
    model = create_model("densenet_121", growth=4, layers=(1, 1), stem=8, dropout=0.2)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout) and m.p] == [0.2] * 3
    layer = model.stages["stage1"][0]
    layer.dropout.p = 1.0
    x = torch.randn(2, 8, 5, 5)
    assert not layer(x)[:, 8:].any()


def test_start() -> None:
    torch.manual_seed(0)
    model = create_model("densenet_121")
    conv = model.stages["stage4"][1].grow.conv.weight
    assert abs(conv.std().item() / (2 / (9 * 32)) ** 0.5 - 1) < 0.05
    assert not model.classifier.bias.any()
