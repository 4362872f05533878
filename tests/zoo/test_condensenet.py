"""CondenseNet: what its groups keep, and that the condensed network is the trained one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flyweight import create_model
from flyweight.counting import count_model
from flyweight.errors import UsageError
from flyweight.nn import Network
from flyweight.nn.learned_group_conv import (
    CondensedGroupConv,
    InputMask,
    LearnedGroupConv,
    condensing_stage,
)
from flyweight.zoo.condensenet_training import (
    condense,
    follow_schedule,
    group_lasso,
    learned_layers,
)
from flyweight.zoo.weights import load_pretrained, save_weights

SMALL = {"layers": (2, 2, 1), "growth": (4, 8, 8)}


def trained(groups: int = 4, factor: int = 4, **options: object) -> Network:
    """Not trained, but at random: weights, and all that batch norm holds."""
    torch.manual_seed(0)
    options = {**SMALL, "groups": groups, "condense": factor, "num_classes": 7} | options
    model = create_model("condensenet_74_g4", form="train", **options)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return model


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_the_schedule_prunes_c_minus_1_times_in_the_first_half(factor: int) -> None:
    """With 2 (C - 1) epochs, at the end of each of the first C - 1."""
    epochs = max(1, 2 * (factor - 1))
    stages = [condensing_stage(epoch / epochs, factor) for epoch in range(epochs + 1)]
    assert stages == [min(epoch, factor - 1) for epoch in range(epochs + 1)]
    for epoch in range(1, factor):
        assert condensing_stage(epoch / epochs - 1e-9, factor) == epoch - 1


def test_the_inputs_with_the_smallest_norms_go() -> None:
    """12 filters in 3 groups, every third one in a group; 8 inputs, C = 4: 6 of them go."""
    weight = torch.randn(12, 8, 1, 1)
    mask = InputMask(3, 8, 4)
    mask.prune(weight, 3)
    values = weight.numpy()[:, :, 0, 0]
    for group in range(3):
        norms = np.abs(values[[group, group + 3, group + 6, group + 9]]).sum(0)
        kept = sorted(np.argsort(norms)[-2:].tolist())
        assert mask.kept[group].nonzero().flatten().tolist() == kept
        assert mask.indices()[group].tolist() == kept
        reads = mask(weight)[group::3, :, 0, 0].abs().sum(0).nonzero().flatten().tolist()
        assert reads == kept


def test_masks_only_grow() -> None:
    """Weights that change in between bring nothing back, and every stage takes as much."""
    model = trained(groups=2, factor=4)
    layers = [m for m in model.modules() if isinstance(m, LearnedGroupConv)]
    before = [layer.mask.kept.clone() for layer in layers]
    for step in range(13):
        follow_schedule(model, step / 12)
        stage = min(step // 2, 3)
        for kept, layer in zip(before, layers, strict=True):
            assert not (layer.mask.kept & ~kept).any()
            inputs = layer.mask.inputs
            assert layer.mask.kept.sum(1).tolist() == [inputs - stage * inputs // 4] * 2
            kept.copy_(layer.mask.kept)
            nn.init.normal_(layer.conv.weight)
        assert model.classifier.mask.finished == (step >= 6)
    follow_schedule(model, 0.1)  # going back changes nothing
    assert all(layer.mask.finished for layer in layers)


def test_no_gradient_reaches_what_is_pruned() -> None:
    model = trained().train()
    follow_schedule(model, 0.3)
    model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    for layer in learned_layers(model).values():
        gradient = layer.weight.grad
        assert gradient is not None
        gone = layer.mask(torch.ones_like(layer.weight)) == 0
        assert isinstance(layer, nn.Linear) or bool(gone.any())
        assert not gradient[gone].any()
        assert gradient[~gone].any()


@pytest.mark.parametrize(("groups", "factor"), [(4, 4), (2, 4), (4, 2), (1, 2)])
def test_the_condensed_network_is_the_trained_one(groups: int, factor: int) -> None:
    model = trained(groups, factor).double().eval()
    follow_schedule(model, 0.5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    condensed = condense(model)
    x = torch.randn(3, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(condensed(x), model(x))
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)

    fresh = create_model(
        "condensenet_74_g4", num_classes=7, groups=groups, condense=factor, **SMALL
    )
    fresh.double().eval().load_state_dict(condensed.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fresh(x), condensed(x))
    for layer in condensed.modules():
        if isinstance(layer, CondensedGroupConv):
            reads = layer.conv.weight.shape[1]
            assert layer.index.shape == (groups * reads,)
            assert all(len(set(part.tolist())) == reads for part in layer.index.split(reads))


def test_a_condensed_network_is_saved_and_reset_as_one(tmp_path: Path) -> None:
    model = trained()
    follow_schedule(model, 1)
    condensed = condense(model).eval()
    save_weights(condensed, tmp_path / "weights.safetensors")
    loaded = load_pretrained("condensenet_74_g4", tmp_path / "weights.safetensors").model
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), condensed(x))
    condensed.reset_classifier(3)
    assert condensed.classifier.weight.shape == (3, condensed.num_features // 2)
    model.reset_classifier(3)
    assert model.classifier.weight.shape == (3, model.num_features)


def test_group_lasso() -> None:
    """The root of the sum of squares of every group's weights for every input, summed."""
    model = trained(groups=2)
    follow_schedule(model, 0.2)
    expected = 0.0
    for layer in model.modules():
        if isinstance(layer, LearnedGroupConv):
            weight = layer.mask(layer.conv.weight).detach().double().numpy()[:, :, 0, 0]
            expected += sum(np.sqrt((weight[group::2] ** 2).sum(0)).sum() for group in (0, 1))
    term: Tensor = group_lasso(model)
    assert abs(term.item() / expected - 1) < 1e-5
    term.backward()
    weights = [m.conv.weight for m in model.modules() if isinstance(m, LearnedGroupConv)]
    assert all(bool(torch.isfinite(w.grad).all()) for w in weights if w.grad is not None)
    follow_schedule(model, 0.5)
    assert group_lasso(model).item() == 0


@pytest.mark.parametrize(("groups", "printed"), [(8, 274.23), (4, 529.33)])
def test_the_authors_count(groups: int, printed: float) -> None:
    """Convolutions and classifier with its bias, each element of ReLU, and average pooling."""
    with torch.device("meta"):
        model = create_model(f"condensenet_74_g{groups}").eval()
    others = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal others
        others += output.numel() * 4 if isinstance(module, nn.AvgPool2d) else inputs[0].numel()

    for module in model.modules():
        if isinstance(module, nn.ReLU | nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            module.register_forward_hook(add)
    model(torch.zeros(1, 3, 224, 224, device="meta"))
    madds = count_model(model, (1, 3, 224, 224)).madds
    assert abs((madds + 1000 + others) / 1e6 - printed) < 0.01


def test_74_layers() -> None:
    with torch.device("meta"):
        model = create_model("condensenet_74_g8")
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == 74


def test_errors() -> None:
    model = trained()
    follow_schedule(model, 0.4)
    with pytest.raises(UsageError, match=r"not fully condensed \(6 of 6 layers"):
        condense(model)
    with pytest.raises(UsageError, match="form='train'"):
        condense(create_model("condensenet_74_g4", **SMALL))
    with pytest.raises(UsageError, match="progress must be from 0 to 1"):
        follow_schedule(model, 7)
    with pytest.raises(UsageError, match="must be multiples of groups=3"):
        create_model("condensenet_74_g4", groups=3)
    with pytest.raises(UsageError, match="5 blocks by layers, 2 by growth"):
        create_model("condensenet_74_g4", growth=(8, 16))
    with pytest.raises(UsageError, match="unknown form 'tets'; did you mean test"):
        create_model("condensenet_74_g4", form="tets")
