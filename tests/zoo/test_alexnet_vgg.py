"""AlexNet and VGG: what a network that differs would get wrong."""

import numpy as np
import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.counting import count_model
from flyweight.nn import LocalResponseNorm, Network


def outline(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return create_model(name, **options)


# torchvision's documentation; Caffe's AlexNet by its network file.
PARAMETERS = {
    "alexnet": 60_965_224,
    "alexnet_one_tower": 61_100_840,
    "vgg_16": 138_357_544,
    "vgg_19": 143_667_240,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_published(name: str) -> None:
    model = outline(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "size", "maps"),
    [
        ("alexnet", 227, (27, 13, 13, 13, 6)),
        ("alexnet_one_tower", 224, (27, 13, 13, 13, 6)),
        ("vgg_16", 224, (112, 56, 28, 14, 7)),
        ("vgg_19", 224, (112, 56, 28, 14, 7)),
    ],
)
def test_maps_have_the_papers_sizes(name: str, size: int, maps: tuple[int, ...]) -> None:
    """The linear layers read the last map as it is: pooling to 6 or 7 pixels changes nothing."""
    model = outline(name)
    found = model.features(torch.zeros(1, 3, size, size, device="meta"))
    assert tuple(m.shape[2] for m in found) == maps
    assert model.pool.output_size == maps[-1]


@pytest.mark.parametrize("name", ["vgg_16", "vgg_19"])
def test_the_depth_of_vgg_counts_its_layers_with_weights(name: str) -> None:
    layers = [m for m in outline(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == int(name.partition("_")[2])
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert all(c.kernel_size == (3, 3) and c.stride == (1, 1) for c in convolutions)


def test_the_multiply_adds_that_papers_print_for_vgg_16_are_its_convolutions() -> None:
    bare = outline("vgg_16", num_classes=0, hidden=())
    assert count_model(bare, (1, 3, 224, 224)).madds / 1e6 == pytest.approx(15346.6, abs=0.05)


def reads(layer: nn.Module, channels: int, outputs: slice) -> list[int]:
    """The input channels that some outputs depend on."""
    x = torch.randn(1, channels, 8, 8, dtype=torch.float64, requires_grad=True)
    layer.double()(x)[:, outputs].sum().backward()
    assert x.grad is not None
    return x.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist()


def test_the_halves_of_alexnet_meet_in_its_third_convolution_alone() -> None:
    """Figure 2 of the paper."""
    torch.manual_seed(0)
    model = create_model("alexnet", widths=(8, 8, 8, 8, 8), hidden=(4,))
    for stage in ("stage2", "stage3", "stage4", "stage5"):
        conv = model.stages[stage][0].conv
        first, second = (reads(conv, 8, half) for half in (slice(0, 4), slice(4, 8)))
        if stage == "stage3":
            assert first == second == list(range(8))
        else:
            assert (first, second) == ([0, 1, 2, 3], [4, 5, 6, 7])
    tower = create_model("alexnet_one_tower", widths=(8, 8, 8, 8, 8), hidden=(4,))
    assert reads(tower.stages["stage2"][0].conv, 8, slice(0, 4)) == list(range(8))


def test_local_response_normalisation_by_its_formula() -> None:
    x = np.random.default_rng(0).normal(0, 30, (2, 7, 3, 4))
    expected = np.empty_like(x)
    for channel in range(7):
        neighbours = x[:, max(0, channel - 2) : min(7, channel + 3)]
        squares = (neighbours**2).sum(1)
        expected[:, channel] = x[:, channel] / (1 + 1e-4 / 5 * squares) ** 0.75
    assert np.abs(expected / x - 1).max() > 0.05  # it does something
    found = LocalResponseNorm()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_local_response_normalisation_follows_the_first_two_rectified_convolutions() -> None:
    stages = outline("alexnet").stages
    places = {name: [type(m).__name__ for m in stage] for name, stage in stages.items()}
    both = ["Sequential", "LocalResponseNorm", "MaxPool2d"]
    assert places == {
        "stem": both,
        "stage2": both,
        "stage3": ["Sequential"],
        "stage4": ["Sequential"],
        "stage5": ["Sequential", "MaxPool2d"],
    }


def test_alexnet_starts_with_biases_of_one_where_the_paper_says() -> None:
    torch.manual_seed(0)
    model = create_model("alexnet", widths=(32, 32, 32, 32, 32), hidden=(64, 64))
    ones = {
        key
        for key, parameter in model.named_parameters()
        if key.endswith("bias") and bool((parameter == 1).all())
    }
    zeros = {
        key
        for key, parameter in model.named_parameters()
        if key.endswith("bias") and not bool(parameter.any())
    }
    convolutions = {f"stages.{stage}.0.conv.bias" for stage in ("stage2", "stage4", "stage5")}
    assert ones == convolutions | {"hidden.0.bias", "hidden.3.bias"}
    assert zeros == {"stages.stem.0.conv.bias", "stages.stage3.0.conv.bias", "classifier.bias"}
    assert model.hidden[0].weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("name", ["alexnet", "alexnet_one_tower", "vgg_16"])
def test_dropout_follows_the_two_hidden_layers_and_nothing_else(name: str) -> None:
    head = outline(name)
    order = [*head.hidden, head.dropout, head.classifier]
    kinds = [type(module).__name__ for module in order if not isinstance(module, nn.Identity)]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [module.p for module in order if isinstance(module, nn.Dropout)] == [0.5, 0.5]
