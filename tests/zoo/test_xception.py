"""Xception and its light form: what makes them other networks than those that look like them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import create_model
from flyweight.zoo.xception import Block, SeparableConv
from flyweight.zoo.xception_light import Unit


def with_random_statistics(module: nn.Module) -> nn.Module:
    """In evaluation mode and double precision, with batch norms that do something."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return module.double().eval()


def normed(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    values = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, var, gain, shift = (value[:, None, None] for value in values if value is not None)
    return (x - mean) / (var + norm.eps).sqrt() * gain + shift


def separable(x: Tensor, layer: SeparableConv, stride: int = 1) -> Tensor:
    """Depthwise, pointwise, batch norm: nothing in between."""
    depthwise = F.conv2d(x, layer.depthwise.weight, None, stride, 1, groups=x.shape[1])
    return normed(F.conv2d(depthwise, layer.pointwise.weight), layer.norm)


def separables(module: nn.Module) -> list[SeparableConv]:
    return [layer for layer in module.modules() if isinstance(layer, SeparableConv)]


def test_a_block_is_figure_5() -> None:
    x = torch.randn(2, 6, 9, 9, dtype=torch.float64)
    down = with_random_statistics(Block(6, (8, 8), 2))
    first, second = separables(down)
    y = separable(x.relu(), first)
    y = F.max_pool2d(separable(y.relu(), second), 3, 2, 1)
    conv, norm = down.shortcut.conv, down.shortcut.norm
    expected = y + normed(F.conv2d(x, conv.weight, None, 2), norm)
    torch.testing.assert_close(down(x), expected)

    middle = with_random_statistics(Block(6, (6, 6, 6), 1))
    y = x
    for layer in separables(middle):
        y = separable(y.relu(), layer)
    torch.testing.assert_close(middle(x), x + y)


def test_the_first_block_has_no_leading_activation() -> None:
    model = create_model("xception")
    assert isinstance(model.stages["entry1"].main[0], SeparableConv)
    assert isinstance(model.stages["entry2"].main[0], nn.ReLU)


def test_36_convolutions_and_the_sizes_of_figure_5() -> None:
    with torch.device("meta"):
        model = create_model("xception").eval()
        maps = model.features(torch.zeros(1, 3, 299, 299))
    assert 2 + len(separables(model)) == 36
    assert [tuple(found.shape[1:3]) for found in maps] == [
        (64, 147), (128, 74), (256, 37), (728, 19), (728, 19), (2048, 10),
    ]  # fmt: skip


def test_light_widths() -> None:
    widths = {"0_5": 64, "1_0": 128, "1_5": 192, "2_0": 256}
    for size, width in widths.items():
        with torch.device("meta"):
            model = create_model(f"xception_light_x{size}")
        stem = 8 if size == "0_5" else 24
        assert [stage.channels for stage in model.stage_info] == [
            stem, width, 2 * width, 4 * width,
        ]  # fmt: skip
        inner = separables(model.stages["stage3"][5])
        assert [layer.pointwise.weight.shape[:2] for layer in inner] == [
            (width // 2, 2 * width), (width // 2, width // 2), (2 * width, width // 2),
        ]  # fmt: skip


def test_a_light_unit() -> None:
    """Three separable convolutions, ReLU after the first two and after the addition."""
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64)
    unit = with_random_statistics(Unit(8, 16, 2, "pointwise"))
    first, second, third = separables(unit)
    y = separable(separable(x, first, 2).relu(), second).relu()
    shortcut = normed(F.conv2d(x, unit.shortcut.conv.weight, None, 2), unit.shortcut.norm)
    torch.testing.assert_close(unit(x), F.relu(separable(y, third) + shortcut))


def test_a_light_unit_sees_7_by_7_pixels() -> None:
    unit = with_random_statistics(Unit(16, 16, 1, "pointwise"))
    x = torch.randn(1, 16, 15, 15, dtype=torch.float64, requires_grad=True)
    unit.main(x)[0, :, 7, 7].sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amin(0).tolist(), seen.amax(0).tolist()) == ([4, 4], [10, 10])
