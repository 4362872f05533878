"""MobileNet V1 and V2: strides, dense convolutions, and channels as they round."""

import itertools
import math

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.nn import Network
from flyweight.zoo.mobilenet_v2 import widths


def outline(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return create_model(name, **options)


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def test_the_last_depthwise_convolution_of_v1_has_stride_1() -> None:
    """Table 1 prints 2; its own maps stay 7x7."""
    depthwise = [conv for conv in convolutions(outline("mobilenet_v1_x1_0")) if conv.groups > 1]
    assert [conv.stride[0] for conv in depthwise] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    assert [conv.groups for conv in depthwise] == [
        32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024,
    ]  # fmt: skip


def test_the_convolutions_of_conv_mobilenet_are_dense() -> None:
    convs = convolutions(outline("mobilenet_v1_conv"))
    assert [conv.groups for conv in convs] == [1] * 14
    assert {conv.kernel_size for conv in convs} == {(3, 3)}
    channels = [3, 32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    assert [(conv.in_channels, conv.out_channels) for conv in convs] == [
        *itertools.pairwise(channels)
    ]


def test_the_shallow_mobilenet_lacks_five_blocks() -> None:
    """Each of them is 512 channels at stride 1: 512 * (9 + 512) weights, and two batch norms."""
    full, shallow = (
        sum(parameter.numel() for parameter in outline(name).parameters())
        for name in ("mobilenet_v1_x1_0", "mobilenet_v1_shallow")
    )
    assert full - shallow == 5 * (512 * (9 + 512) + 2 * 2 * 512)


C = (16, 24, 32, 64, 96, 160, 320)


@pytest.mark.parametrize("width", [0.15, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0, 1.3, 1.4])
def test_channels_of_v2(width: float) -> None:
    """TensorFlow rounds to the nearest 8 but never loses a tenth; Megvii's are a guess."""

    def nearest(channels: float) -> int:
        candidates = range(8, 3000, 8)
        found = min(candidates, key=lambda c: (abs(c - channels), -c))
        return found if found >= 0.9 * channels else found + 8

    stem, rows, last = widths(width, "tensorflow")
    assert stem == nearest(32 * width)
    assert [*itertools.chain(*rows)] == [nearest(c * width) for c in C]
    assert last == (nearest(1280 * width) if width > 1 else 1280)

    def up(channels: int) -> int:
        percent = round(width * 100)
        return math.ceil(channels * percent / 400) * 4

    stem, rows, last = widths(width, "megvii")
    assert (stem, last) == (up(32), up(1280))
    assert [*itertools.chain(*rows)] == [16, *(up(c) for c in C[1:])]


def test_channels_of_v2_by_hand() -> None:
    assert widths(0.35, "tensorflow") == (16, [[8], [8], [16], [24, 32], [56, 112]], 1280)
    assert widths(0.15, "megvii") == (8, [[16], [4], [8], [12, 16], [24, 48]], 192)
    assert widths(0.6, "megvii") == (20, [[16], [16], [20], [40, 60], [96, 192]], 768)
    # 1280 * 1.1 is more than 1408 in floating point.
    assert widths(1.1, "megvii")[2] == 1408
    with pytest.raises(UsageError, match="did you mean megvii"):
        create_model("mobilenet_v2_x1_0", rounding="megvi")


def test_the_widths_are_those_of_the_network() -> None:
    model = outline("mobilenet_v2_x0_6")
    assert [info.channels for info in model.stage_info] == [20, 16, 16, 20, 60, 192, 768]
    first = model.stages["stage2"][0]
    assert first.expand.conv.out_channels == 6 * 16
    assert isinstance(model.stages["stage1"][0].expand, nn.Identity)
