"""PVANET: C.ReLU as the paper defines it, and the multiply-adds that its authors print."""

import numpy as np
import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.counting import count_model
from flyweight.zoo.pvanet import CReLU, Residual

# From the head of the authors' network file (imagenet/original.pt), at 640x640 pixels:
# multiply-adds in M, side of the output, its channels.
PRINTED = {
    "conv1_1": (240.84, 320, 32),
    "conv2_1": (283.44, 160, 64),
    "conv2_2": (250.68, 160, 64),
    "conv2_3": (250.68, 160, 64),
    "conv3_1": (283.44, 80, 128),
    "conv3_2": (250.68, 80, 128),
    "conv3_3": (250.68, 80, 128),
    "conv3_4": (250.68, 80, 128),
    "conv4_1": (395.47, 40, 256),
    "conv4_2": (328.29, 40, 256),
    "conv4_3": (328.29, 40, 256),
    "conv4_4": (328.29, 40, 256),
    "conv5_1": (229.38, 20, 384),
    "conv5_2": (167.12, 20, 384),
    "conv5_3": (167.12, 20, 384),
    "conv5_4": (167.12, 20, 384),
}


def outline() -> nn.Module:
    with torch.device("meta"):
        return create_model("pvanet")


def test_blocks_cost_what_their_authors_print() -> None:
    blocks = [m for m in outline().modules() if isinstance(m, Residual)]
    first, *others = PRINTED.values()
    stem = outline().stages["stem"]
    assert count_model(stem, (1, 3, 640, 640)).madds / 1e6 == pytest.approx(first[0], abs=0.01)
    # The stem is followed by pooling.
    size, channels = 160, 32
    for block, (madds, out_size, out_channels) in zip(blocks, others, strict=True):
        example = torch.zeros(1, channels, size, size, device="meta")
        assert block.eval()(example).shape == (1, out_channels, out_size, out_size)
        assert count_model(block, example.shape).madds / 1e6 == pytest.approx(madds, abs=0.01)
        size, channels = out_size, out_channels


def test_crelu_doubles_by_negation_then_scales_and_shifts_each_half() -> None:
    torch.manual_seed(0)
    layer = CReLU(3, 4, 3).double().eval()
    generator = np.random.default_rng(0)
    scale, shift = generator.uniform(0.5, 2, (2, 8))
    mean, variance = generator.normal(size=4), generator.uniform(0.5, 2, 4)
    with torch.no_grad():
        layer.norm.weight.copy_(torch.from_numpy(scale))
        layer.norm.bias.copy_(torch.from_numpy(shift))
        layer.norm.running_mean.copy_(torch.from_numpy(np.concatenate((mean, -mean))))
        layer.norm.running_var.copy_(torch.from_numpy(np.tile(variance, 2)))
        x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
        y = layer.conv(x).numpy()
        found = layer(x).numpy()

    def per_channel(values: np.ndarray) -> np.ndarray:
        return values[None, :, None, None]

    # Normalised first, as its authors do; then negated, scaled and shifted.
    normalised = (y - per_channel(mean)) / np.sqrt(per_channel(variance) + 1e-5)
    both = np.concatenate((normalised, -normalised), 1)
    expected = np.maximum(both * per_channel(scale) + per_channel(shift), 0)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_training_keeps_the_halves_opposite() -> None:
    """What batch norm learns of the negated half is the negative of what it learns of the other."""
    torch.manual_seed(0)
    layer = CReLU(3, 4, 3)
    for _ in range(3):
        layer(torch.randn(8, 3, 6, 6))
    mean, variance = layer.norm.running_mean, layer.norm.running_var
    torch.testing.assert_close(mean[:4], -mean[4:])
    torch.testing.assert_close(variance[:4], variance[4:])


def test_sums_are_not_rectified() -> None:
    torch.manual_seed(0)
    model = create_model("pvanet", num_classes=2, hidden=(8, 8), pooled=1).eval()
    with torch.no_grad():
        maps = model.features(torch.randn(1, 3, 64, 64))
    assert float(maps[0].min()) >= 0
    assert all(float(map_.min()) < 0 for map_ in maps[1:])
