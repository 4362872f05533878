"""SqueezeNet and Tiny Darknet: map sizes, bypasses, the classifier, and exact parameters."""

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.nn import ConvClassified, Network
from flyweight.zoo.squeezenet import Fire

# Table 1's column of parameters before pruning.
TABLE_1 = (14208, 11920, 12432, 45344, 49440, 104880, 111024, 188992, 197184, 513000)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def fires(model: Network) -> dict[str, Fire]:
    return {
        name.rpartition(".")[2]: module
        for name, module in model.named_modules()
        if isinstance(module, Fire)
    }


def test_parameters_are_table_1s_layer_by_layer() -> None:
    model = create_model("squeezenet_1_0")
    layers = [model.stages["stem"], *fires(model).values(), model.classifier]
    assert tuple(map(parameters, layers)) == TABLE_1
    assert parameters(model) == sum(TABLE_1) == 1_248_424


def test_pooling_rounds_up_to_the_papers_maps() -> None:
    model = create_model("squeezenet_1_0").eval()
    x = torch.zeros(1, 3, 227, 227)
    with torch.no_grad():
        assert [found.shape[2] for found in model.features(x)] == [111, 55, 27, 13]
        # 224 is even after conv1, where rounding makes a difference.
        x = torch.zeros(1, 3, 230, 230)
        up = [found.shape[2] for found in model.features(x)]
        down = create_model("squeezenet_1_0", ceil_mode=False).eval().features(x)
    assert up == [112, 56, 28, 14]
    assert [found.shape[2] for found in down] == [112, 55, 27, 13]


@pytest.mark.parametrize(
    ("name", "around"),
    [
        ("squeezenet_1_0", ()),
        ("squeezenet_1_0_simple_bypass", ("fire3", "fire5", "fire7", "fire9")),
        ("squeezenet_1_0_complex_bypass", tuple(f"fire{number}" for number in range(2, 10))),
    ],
)
def test_what_a_fire_without_weights_lets_pass(name: str, around: tuple[str, ...]) -> None:
    """A wire passes the input as it is, a 1x1 convolution passes its own output."""
    model = create_model(name).eval()
    for number, (fire_name, fire) in enumerate(fires(model).items(), start=2):
        for branch in (fire.expand1x1, fire.expand3x3):
            nn.init.zeros_(branch.conv.weight)
        x = torch.rand(1, fire.squeeze.conv.in_channels, 5, 5)
        with torch.no_grad():
            y = fire(x)
            if fire_name not in around:
                assert not y.any()
            elif number % 2:
                assert torch.equal(y, x)
            else:
                assert fire.bypass is not None
                torch.testing.assert_close(y, fire.bypass(x))
                assert (y < 0).any()  # no ReLU


def test_parameters_of_the_bypasses() -> None:
    """1x1 convolutions with bias where channels change: around fire2, 4, 6 and 8."""
    added = sum(
        (before + 1) * after for before, after in ((96, 128), (128, 256), (256, 384), (384, 512))
    )
    assert parameters(create_model("squeezenet_1_0_simple_bypass")) == 1_248_424
    assert parameters(create_model("squeezenet_1_0_complex_bypass")) == 1_248_424 + added
    assert 1_248_424 + added == 1_589_672
    with pytest.raises(UsageError, match="did you mean simple"):
        create_model("squeezenet_1_0", bypass="simpel")


def test_version_1_1_pools_earlier() -> None:
    model = create_model("squeezenet_1_1")
    assert parameters(model) == 1_235_496
    assert [list(dict(model.stages[f"stage{i}"].named_children())) for i in (1, 2, 3)] == [
        ["pool", "fire2", "fire3"],
        ["pool", "fire4", "fire5"],
        ["pool", "fire6", "fire7", "fire8", "fire9"],
    ]


def test_scores_are_averages_of_rectified_maps() -> None:
    model = create_model("squeezenet_1_1", num_classes=5).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        last = model.forward_features(x)
        scores = model.classifier(last).clamp(min=0).mean((2, 3))
        torch.testing.assert_close(model(x), scores)
    assert model.dropout.p == 0.5


def test_weights_start_as_in_the_authors_files() -> None:
    """Caffe's "xavier", uniform within sqrt(3 / fan in); a narrow normal for conv10; biases 0."""
    torch.manual_seed(0)
    model = create_model("squeezenet_1_0")
    weight = fires(model)["fire9"].expand3x3.conv.weight.detach()
    bound = (3 / (64 * 9)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert abs(float(weight.std()) * 3**0.5 / bound - 1) < 0.01
    assert abs(float(model.classifier.weight.detach().std()) - 0.01) < 1e-4
    assert not any(p.any() for key, p in model.named_parameters() if key.endswith("bias"))


def test_tiny_darknet_is_its_network_file() -> None:
    model = create_model("tiny_darknet")
    assert isinstance(model, ConvClassified)
    assert not model.rectified
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.kernel_size[0], conv.out_channels) for conv in convs] == [
        (3, 16), (3, 32), (1, 16), (3, 128), (1, 16), (3, 128), (1, 32), (3, 256),
        (1, 32), (3, 256), (1, 64), (3, 512), (1, 64), (3, 512), (1, 128), (1, 1000),
    ]  # fmt: skip
    # Batch norm, without a bias beside it, after all but the last.
    assert [conv.bias is not None for conv in convs] == [False] * 15 + [True]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [conv.out_channels for conv in convs[:-1]]
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.1}
    # Darknet's pooling rounds up: 37 pixels become 19, 10, 5, 3.
    with torch.no_grad():
        maps = model.eval().features(torch.zeros(1, 3, 37, 37))
    assert [found.shape[2] for found in maps] == [37, 19, 10, 5, 3, 3]
