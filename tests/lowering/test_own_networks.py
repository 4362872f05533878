"""Networks that aren't the zoo's go through, or fail with an error that helps."""

import pytest
import torch
from torch import nn

from flyweight.errors import CaptureError
from flyweight.lowering import lower
from tests.lowering.agreement import check, randomise, targets
from tests.lowering.own_networks import Decides, Functional, OddChannels, UNet, YoloLike

SHUFFLES = ("channel_shuffle", "transpose", "chunk", "permute")


@pytest.mark.slow
def test_yolo_like() -> None:
    lowered = check(YoloLike(), 64)
    assert "channel_shuffle" not in targets(lowered)
    assert "chunk" not in targets(lowered)
    assert "batch_norm" not in targets(lowered)
    # Only the heads' order of dimensions is left, one for each.
    assert targets(lowered).count("permute") == 3


def test_unet() -> None:
    lowered = check(UNet(), 32)
    assert targets(lowered).count("cat") == 2
    assert "batch_norm" not in targets(lowered)


def test_odd_channels() -> None:
    lowered = check(OddChannels(), 16)
    assert "flip" not in targets(lowered)
    assert "batch_norm" not in targets(lowered)


def test_functional_style() -> None:
    lowered = check(Functional(), 16)
    names = targets(lowered)
    # The norm of the images stays: the convolution after it pads. The one by hand is folded.
    assert names.count("batch_norm") == 1
    assert names.index("batch_norm") < names.index("conv2d")
    assert "mul" not in names[: names.index("hardtanh")]


def test_control_flow_gives_a_clear_error() -> None:
    with pytest.raises(CaptureError, match=r"Decides.*own_networks\.py:\d+") as caught:
        lower(Decides(), torch.randn(1, 3, 16, 16))
    assert "\n" not in str(caught.value)


def test_a_network_that_changes_itself_is_refused() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls.add_(1)
            return x.relu()

    with pytest.raises(CaptureError, match="changes its buffer 'calls'"):
        lower(Counts(), torch.randn(1, 3, 8, 8))


@pytest.mark.slow
def test_lowered_networks_can_be_captured_again() -> None:
    model = randomise(YoloLike())
    x = torch.randn(2, 3, 64, 64)
    lowered = lower(model, x)
    again = torch.export.export(lowered, (x,)).module()
    traced = torch.jit.trace(lowered, x, strict=False)
    twice = lower(lowered, x)
    for name, expected in lowered(x).items():
        assert torch.equal(again(x)[name], expected)
        assert torch.equal(traced(x)[name], expected)
        torch.testing.assert_close(twice(x)[name], expected)
