"""Networks made as training leaves them: nothing is equal by chance, values keep their size."""

import copy

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.api import to_time
from flyweight.nn.learned_group_conv import CondensedGroupConv, CondensedLinear
from flyweight.nn.network import Network
from flyweight.nn.trained import as_trained
from flyweight.zoo.shufflenet_v2 import BasicUnit, Kind

TINY = torch.finfo(torch.float32).tiny
# Deep ones, and one of each that could go wrong: no norms, few values, SE, norms first, sums.
DEEP = ("nasnet_a_4_1056", "pnasnet_5_mobile", "densenet_121", "resnet_152", "senet_154",
        "inception_v3", "squeezenext_x2_0_34", "shufflenet_v2_164_se_concat")  # fmt: skip
FAST = ("shufflenet_v1_x1_0_g3", "shufflenet_v2_x1_0", "squeezenet_1_0", "alexnet",
        "condensenet_74_g8")  # fmt: skip


def made(name: str) -> Network:
    torch.manual_seed(0)
    network = create_model(name)
    as_trained(network)
    return network


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in DEEP)])
def test_values_are_of_ordinary_size_at_every_depth(name: str) -> None:
    """On another image than the statistics come from, and no bias is all equal values."""
    network = made(name).eval()
    largest: list[float] = []

    def look(_module: nn.Module, _inputs: object, out: object) -> None:
        if isinstance(out, torch.Tensor):
            assert out.isfinite().all()
            assert not ((out != 0) & (out.abs() < TINY)).any()
            largest.append(float(out.abs().max()))

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(look)
    side = max(64, network.min_size)
    with torch.no_grad():
        out = network(torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1)))
    assert max(largest) < 1e3
    assert 1e-3 < float(out.std()) < 1e2
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d) and module.bias is not None:
            assert module.bias.unique().numel() > 1
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean.unique().numel() > 1
            assert module.running_var.min() > 0


def test_statistics_are_those_of_the_batch() -> None:
    """The first norm's, against NumPy's formula on the same convolution's outputs."""
    torch.manual_seed(0)
    network = create_model("shufflenet_v2_x0_5")
    seen: list[torch.Tensor] = []
    norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    as_trained(network)
    handle.remove()
    (values,) = (x.transpose(0, 1).flatten(1).double().numpy() for x in seen)
    torch.testing.assert_close(norm.running_mean.double(), torch.from_numpy(values.mean(1)))
    torch.testing.assert_close(norm.running_var.double(), torch.from_numpy(values.var(1, ddof=1)))
    assert ((norm.weight >= 0.8) & (norm.weight <= 1.2)).all()


def test_only_what_it_says_is_changed_and_the_same_for_a_seed() -> None:
    torch.manual_seed(0)
    fresh = create_model("squeezenext_x1_0_23")
    first, again, other = (copy.deepcopy(fresh) for _ in range(3))
    first.eval()
    first.stages.train()
    modes = [module.training for module in first.modules()]
    state = torch.get_rng_state()
    as_trained(first)
    as_trained(again)
    as_trained(other, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in first.modules()] == modes
    assert {m.momentum for m in first.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    kept = {f"{name}.weight" for name, module in fresh.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear)}  # fmt: skip
    states = [network.state_dict() for network in (fresh, first, again, other)]
    for key, before in states[0].items():
        assert torch.equal(states[1][key], states[2][key])
        assert torch.equal(states[1][key], before) == (key in kept), key
    assert any(not torch.equal(states[1][key], states[3][key]) for key in states[1])
    assert all(parameter.requires_grad for parameter in first.parameters())


def test_condensed_layers_choose_their_inputs() -> None:
    """In order within a group, none twice, and not simply the first ones."""
    for module in made("condensenet_74_g8").modules():
        if isinstance(module, CondensedGroupConv):
            chosen = module.index.reshape(module.groups, -1)
            assert (chosen.diff(dim=1) > 0).all()
            assert 0 <= int(chosen.min()) < int(chosen.max()) < module.in_channels
            assert not torch.equal(module.index, torch.arange(module.index.numel()))
        elif isinstance(module, CondensedLinear):
            assert (module.index.diff() > 0).all()
            assert int(module.index.max()) < 2 * module.in_features
            assert not torch.equal(module.index, torch.arange(module.in_features))


def test_only_names_get_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's network or factory is timed as it is."""
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\ndef make():\n    return nn.BatchNorm2d(3)\n"
    )
    monkeypatch.chdir(tmp_path)
    theirs = to_time("theirs:make")
    assert (theirs.weight == 1).all()
    model = create_model("mobilenet_v1_x0_25")
    assert to_time(model) is model
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert (norm.weight == 1).all()
    by_name = to_time("mobilenet_v1_x0_25")
    assert not (
        next(m for m in by_name.modules() if isinstance(m, nn.BatchNorm2d)).weight == 1
    ).any()


def test_units_without_a_network_around_them() -> None:
    """Images are as the caller says, where the first convolution reads a part of them alone."""
    kind = Kind("paper", None, False, None)
    units = nn.Sequential(BasicUnit(16, kind), BasicUnit(16, kind)).eval()
    as_trained(units, image=(16, 9, 9))
    assert not units.training
    norms = [module for module in units.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 6
    assert all(norm.running_mean.unique().numel() > 1 for norm in norms)
    alone = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False))
    before = alone[0].weight.clone()
    as_trained(alone)
    assert torch.equal(alone[0].weight, before)
