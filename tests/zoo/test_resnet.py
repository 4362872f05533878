"""ResNet, ResNeXt and SENet: what a network that differs would get wrong."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.nn import ConvNormAct, Network, SqueezeExcite
from flyweight.nn.residual import Residual
from flyweight.zoo.resnext import aggregated
from flyweight.zoo.senet import excited


def outline(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return create_model(name, **options)


# torchvision's documentation; SENet's from its authors' network file.
PARAMETERS = {
    "resnet_18": 11_689_512,
    "resnet_50": 25_557_032,
    "resnet_101": 44_549_160,
    "resnet_152": 60_192_808,
    "resnet_50_b": 25_557_032,
    "resnet_101_b": 44_549_160,
    "resnet_152_b": 60_192_808,
    "resnext_50_32x4d": 25_028_904,
    "resnext_101_64x4d": 83_455_272,
    "senet_154": 115_088_984,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_and_depth_are_those_published(name: str) -> None:
    """The depth in a name counts the layers with weights on the way through all branches."""
    model = outline(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    excitations = [module for module in model.modules() if isinstance(module, SqueezeExcite)]
    aside = {id(conv) for module in excitations for conv in (module.reduce, module.expand)}
    layers = [
        key
        for key, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
        and ".shortcut." not in key
        and id(module) not in aside
    ]
    assert len(layers) == int(name.split("_")[1])


@pytest.mark.parametrize(
    ("name", "position", "kernel", "projections"),
    [
        ("resnet_18", 0, 3, (1, 1, 1)),
        ("resnet_50", 0, 1, (1, 1, 1)),
        ("resnet_50_b", 1, 3, (1, 1, 1)),
        ("resnext_50_32x4d", 1, 3, (1, 1, 1)),
        ("senet_154", 1, 3, (3, 3, 3)),
    ],
)
def test_one_convolution_of_a_branch_and_the_projection_have_the_stride(
    name: str, position: int, kernel: int, projections: tuple[int, ...]
) -> None:
    model = outline(name)
    strided = {
        key: module.kernel_size[0]
        for key, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2)
    }
    expected = {"stages.stem.0.conv": strided["stages.stem.0.conv"]}
    for stage, projection in zip((3, 4, 5), projections, strict=True):
        expected[f"stages.stage{stage}.0.branch.{position}.conv"] = kernel
        expected[f"stages.stage{stage}.0.shortcut.conv"] = projection
    assert strided == expected


@pytest.mark.parametrize(
    ("name", "projected"),
    [("resnet_18", (3, 4, 5)), ("resnet_50", (2, 3, 4, 5)), ("senet_154", (2, 3, 4, 5))],
)
def test_shortcuts_are_identities_but_where_shapes_change(
    name: str, projected: tuple[int, ...]
) -> None:
    blocks = {
        key: module for key, module in outline(name).named_modules() if isinstance(module, Residual)
    }
    changed = {key for key, block in blocks.items() if not isinstance(block.shortcut, nn.Identity)}
    assert changed == {f"stages.stage{stage}.0" for stage in projected}
    # Linear: a ReLU in it would be seen nowhere else.
    assert all(not hasattr(blocks[key].shortcut, "act") for key in changed)


def with_values(block: nn.Module) -> nn.Module:
    """In double precision, with batch norms that do something."""
    generator = torch.Generator().manual_seed(0)
    block.double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
    return block


def norm(layer: ConvNormAct, x: Tensor, channels: slice = slice(None)) -> Tensor:
    """Batch norm of some channels, written out."""
    n = layer.norm
    scale = n.weight[channels] / (n.running_var[channels] + n.eps).sqrt()
    shift = n.bias[channels] - n.running_mean[channels] * scale
    return x * scale[:, None, None] + shift[:, None, None]


@torch.no_grad()
def test_a_resnext_block_is_the_sum_of_its_narrow_branches() -> None:
    """Figure 3 (a) of the paper: 32 bottlenecks of two channels each, then batch norm."""
    torch.manual_seed(0)
    block = with_values(aggregated(48, 64, 96, 2, 32))
    reduce, middle, expand = block.branch
    x = torch.randn(2, 48, 9, 9, dtype=torch.float64)
    total: Tensor | float = 0.0
    for branch in range(32):
        own = slice(2 * branch, 2 * branch + 2)
        y = norm(reduce, F.conv2d(x, reduce.conv.weight[own]), own).relu()
        y = F.conv2d(y, middle.conv.weight[own], stride=2, padding=1)
        total = total + F.conv2d(norm(middle, y, own).relu(), expand.conv.weight[:, own])
    shortcut = norm(block.shortcut, F.conv2d(x, block.shortcut.conv.weight, stride=2))
    torch.testing.assert_close(block(x), (norm(expand, total) + shortcut).relu())


@torch.no_grad()
def test_a_senet_block_weights_its_channels_before_the_sum() -> None:
    torch.manual_seed(0)
    block = with_values(excited(32, 32, 1, 8, 16))
    reduce, middle, expand, se = block.branch
    nn.init.normal_(se.reduce.bias)
    nn.init.normal_(se.expand.bias)
    assert (reduce.conv.out_channels, middle.conv.groups, se.reduce.out_channels) == (16, 8, 2)
    x = torch.randn(2, 32, 5, 5, dtype=torch.float64)
    y = norm(expand, expand.conv(middle(reduce(x))))
    hidden = (y.mean((2, 3)) @ se.reduce.weight.flatten(1).T + se.reduce.bias).relu()
    weights = 1 / (1 + torch.exp(-(hidden @ se.expand.weight.flatten(1).T + se.expand.bias)))
    torch.testing.assert_close(block(x), (x + y * weights[:, :, None, None]).relu())


def test_senets_stem_is_three_convolutions_and_a_pooling_that_rounds_up() -> None:
    model = outline("senet_154")
    stem = [module for module in model.stages["stem"].modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.out_channels, conv.stride[0]) for conv in stem] == [(64, 2), (64, 1), (128, 1)]
    assert model.dropout.p == 0.2
    # 112 pixels give 56, as the authors' framework rounds.
    assert model.features(torch.zeros(1, 3, 224, 224, device="meta"), ["stem"])[0].shape[2] == 56


def test_weights_start_as_he_et_al_say() -> None:
    """Deviation sqrt(2 / outputs of a kernel); all norms start at 1, a branch's last one too."""
    torch.manual_seed(0)
    model = create_model("resnet_18", num_classes=10)
    weight = model.stages["stage4"][1].branch[0].conv.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(bool((module.weight == 1).all()) for module in norms)


def test_unknown_options_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean 3x3"):
        create_model("resnet_50", stride_on="3x4")
    with pytest.raises(UsageError, match="did you mean bottleneck"):
        create_model("resnet_50", block="bottlenecks")
