"""torchvision's DenseNet-121, by the names of its code and by the older ones of its files.

The network is written out from the layout's description, with torchvision's names.
"""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights import load_pretrained
from tests.zoo.reference_layouts import Names, linear, weights_and_logits


def norm(p: Names, x: Tensor, name: str) -> Tensor:
    """Batch norm and ReLU."""
    shape = (x.shape[1],)
    p.setdefault(f"{name}.num_batches_tracked", torch.tensor(1234))
    x = F.batch_norm(
        x,
        p.uniform(f"{name}.running_mean", shape, -0.3, 0.3),
        p.uniform(f"{name}.running_var", shape, 0.5, 2.0),
        p.uniform(f"{name}.weight", shape, 0.5, 1.2),
        p.uniform(f"{name}.bias", shape, -0.3, 0.3),
        eps=1e-5,
    )
    return F.relu(x)


def conv(p: Names, x: Tensor, name: str, out: int, kernel: int = 1, stride: int = 1) -> Tensor:
    fan = x.shape[1] * kernel * kernel
    weight = p.kernel(f"{name}.weight", (out, x.shape[1], kernel, kernel), fan)
    return F.conv2d(x, weight, stride=stride, padding=kernel // 2)


def densenet121(p: Names, x: Tensor) -> Tensor:
    x = norm(p, conv(p, x, "features.conv0", 64, 7, 2), "features.norm0")
    x = F.max_pool2d(x, 3, 2, 1)
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            y = conv(p, norm(p, x, f"{name}.norm1"), f"{name}.conv1", 128)
            y = conv(p, norm(p, y, f"{name}.norm2"), f"{name}.conv2", 32, 3)
            x = torch.cat((x, y), 1)
        if block < 4:
            name = f"features.transition{block}"
            x = conv(p, norm(p, x, f"{name}.norm"), f"{name}.conv", x.shape[1] // 2)
            x = F.avg_pool2d(x, 2)
    return linear(p, norm(p, x, "features.norm5").mean((2, 3)), "classifier")


@pytest.fixture(scope="module")
def reference() -> tuple[Names, Tensor, Tensor]:
    return weights_and_logits(densenet121, size=32)


@pytest.mark.parametrize("older", [False, True])
def test_the_layouts_own_logits(
    older: bool, reference: tuple[Names, Tensor, Tensor], tmp_path: Path
) -> None:
    tensors, x, expected = reference
    weights = dict(tensors)
    if older:
        weights = {
            re.sub(r"(denselayer\d+\.\w+)([12])\.", r"\1.\2.", key): value
            for key, value in tensors.items()
            if not key.endswith("num_batches_tracked")
        }
        assert "features.denseblock4.denselayer16.norm.2.running_var" in weights
    save_file(weights, tmp_path / "densenet121.safetensors")
    assert expected.std() > 0.01

    pretrained = load_pretrained("densenet_121", tmp_path / "densenet121.safetensors")

    assert pretrained.loaded.layout == "torchvision DenseNet"
    assert pretrained.loaded.fresh == pretrained.loaded.unused == ()
    assert pretrained.loaded.preprocessing == IMAGENET
    with torch.inference_mode():
        logits = pretrained.model(x)
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()
