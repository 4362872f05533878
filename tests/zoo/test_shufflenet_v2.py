"""ShuffleNet V2: what units pass on, its options written out, and the authors' large network."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.zoo.shufflenet_v2 import BasicUnit, DownUnit, Kind
from flyweight.zoo.shufflenet_v2_large import LOSS_WEIGHTS, Unit

State = Mapping[str, Tensor]
FORMS = ("paper", "halved")


def randomised(module: nn.Module) -> State:
    """The module's values, in double precision, with statistics of batch norm that matter."""
    module.double().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.3, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
    return module.state_dict()


class NothingNew(nn.Module):
    """In place of a unit's convolutions: remembers what it reads, and puts out zeros."""

    def forward(self, x: Tensor) -> Tensor:
        self.read = x
        return torch.zeros_like(x)


@pytest.mark.parametrize("form", FORMS)
def test_directly_connected_channels_halve_from_unit_to_unit(form: str) -> None:
    """Section 3: r^j c channels of a unit are still there j units later, with r = 1 - c'/c."""
    channels = 64
    model = create_model(
        "shufflenet_v2_x0_5", widths=(8, channels, 128, 256, 32), repeats=(7, 1, 1), form=form
    )
    # Channel i holds the number i + 1, so that each can be told from the others and from zeros.
    x = torch.arange(1.0, channels + 1).reshape(1, channels, 1, 1)
    for j, unit in enumerate(list(model.stages["stage2"])[1:], start=1):
        before = set(x[x > 0].tolist())
        unit.main = NothingNew()
        x = unit(x)
        left = set(x[x > 0].tolist())
        assert len(left) == int((x > 0).sum()) == channels * 0.5**j
        # What isn't passed on is read by the convolutions instead.
        assert left | set(unit.main.read[unit.main.read > 0].tolist()) == before


# The units of Figure 3 and Appendix Figure 2, written out.


def conv(s: State, name: str, x: Tensor, stride: int = 1, relu: bool = True) -> Tensor:
    weight = s[f"{name}.conv.weight"]
    groups = x.shape[1] // weight.shape[1]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)
    leaves = ("running_mean", "running_var", "weight", "bias")
    x = F.batch_norm(x, *(s[f"{name}.norm.{leaf}"] for leaf in leaves))
    return F.relu(x) if relu else x


def excited(s: State, name: str, x: Tensor) -> Tensor:
    y = x.mean((2, 3))
    for layer, act in (("reduce", F.relu), ("expand", torch.sigmoid)):
        y = act(F.linear(y, s[f"{name}.{layer}.weight"][:, :, 0, 0], s[f"{name}.{layer}.bias"]))
    return x * y[:, :, None, None]


def branch(s: State, x: Tensor, stride: int, kind: Kind, extra: bool, linear: bool) -> Tensor:
    if extra:
        x = conv(s, "extra", x, relu=False)
    x = conv(s, "main.0", x)
    x = conv(s, "main.1", x, stride, relu=False)
    x = conv(s, "main.2", x, relu=not linear)
    return excited(s, "excite", x) if kind.se_on == "branch" else x


def joined(s: State, left: Tensor, right: Tensor, kind: Kind) -> Tensor:
    x = torch.cat((left, right), 1)
    if kind.se_on == "concat":
        x = excited(s, "excite_all", x)
    if kind.form == "paper":
        return x
    half = x.shape[1] // 2
    return torch.stack((x[:, :half], x[:, half:]), 2).flatten(1, 2)


def basic_unit(s: State, x: Tensor, kind: Kind) -> Tensor:
    half = x.shape[1] // 2
    paper = kind.form == "paper"
    left, right = (x[:, ::2], x[:, 1::2]) if paper else (x[:, :half], x[:, half:])
    y = branch(s, right, 1, kind, kind.extra_depthwise is not None, kind.residual)
    return joined(s, left, F.relu(right + y) if kind.residual else y, kind)


def down_unit(s: State, x: Tensor, kind: Kind, stride: int) -> Tensor:
    left = conv(s, "projection.1", conv(s, "projection.0", x, stride, relu=False))
    right = branch(s, x, stride, kind, kind.extra_depthwise == "all", linear=False)
    return joined(s, left, right, kind)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("se_on", [None, "branch", "concat"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("extra", [None, "basic", "all"])
def test_units_are_as_written_out(
    form: str, se_on: str | None, residual: bool, extra: str | None
) -> None:
    torch.manual_seed(0)
    kind = Kind(form, se_on, residual, extra)
    unit = BasicUnit(16, kind)
    state = randomised(unit)
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(unit(x), basic_unit(state, x, kind))
        for stride in (1, 2):
            down = DownUnit(16, 40, kind, stride)
            state = randomised(down)
            torch.testing.assert_close(down(x), down_unit(state, x, kind, stride))


def test_hidden_values_of_squeeze_and_excitation() -> None:
    """Half as many as the block has channels (Appendix Table 2), wherever the module sits."""
    with torch.device("meta"):
        branch, concat = (
            create_model(f"shufflenet_v2_x2_0_{kind}").stages["stage2"]
            for kind in ("se", "se_concat")
        )
    assert branch[1].excite.reduce.weight.shape[:2] == (122, 122)
    assert branch[0].excite.reduce.weight.shape[:2] == (220, 220)
    assert concat[1].excite_all.reduce.weight.shape[:2] == (122, 244)
    assert concat[0].excite_all.reduce.weight.shape[:2] == (122, 244)


def test_the_network_of_164_layers() -> None:
    """Three in the stem, three in each unit's branch, conv6 and the classifier."""
    with torch.device("meta"):
        model = create_model("shufflenet_v2_164_se")
    layers = [
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear)
        and not {"projection", "excite"} & {*name.split(".")}
    ]
    assert len(layers) == 164
    assert [info.stride for info in model.stage_info] == [4, 4, 8, 16, 32, 32]
    assert [info.channels for info in model.stage_info] == [128, 340, 680, 1360, 2720, 2048]


def test_unknown_options() -> None:
    with pytest.raises(UsageError, match="did you mean concat"):
        create_model("shufflenet_v2_x0_5", se_on="concatenation")
    with pytest.raises(UsageError, match="unknown extra_depthwise 'both'; known: all, basic"):
        create_model("shufflenet_v2_x0_5", extra_depthwise="both")


# The authors' large network.


def test_parameters_of_the_large_network() -> None:
    def conv(read: int, out: int, kernel: int, groups: int = 1) -> int:
        return read * out * kernel * kernel // groups + 2 * out

    def linear(read: int, out: int) -> int:
        return read * out + out

    total = conv(3, 64, 3) + conv(64, 64, 3) + conv(64, 128, 3)
    read = 64
    for half, repeats in ((128, 10), (256, 10), (512, 23), (1024, 10)):
        total += conv(read, half, 3) + conv(read, half, 1)
        total += (repeats - 1) * conv(half, half, 1)
        total += repeats * (conv(half, half, 3, groups=8) + conv(half, half, 1))
        total += repeats * 2 * linear(half, half)
        total += 0 if half == 128 else conv(2 * half, 2 * half, 1)
        read = half
    total += conv(2048, 1280, 3) + linear(1280, 1000)
    heads = sum(conv(c, c, 1) + conv(c, c, 3) + linear(c, 1000) for c in (256, 512, 1024))
    with torch.device("meta"):
        model, trained = (create_model("shufflenet_v2_large", auxiliary=a) for a in (False, True))
    assert sum(p.numel() for p in model.parameters()) == total
    assert sum(p.numel() for p in trained.parameters()) == total + heads


@pytest.mark.parametrize(("stride", "projects"), [(1, False), (1, True), (2, True)])
def test_the_large_networks_unit_is_as_written_out(stride: int, projects: bool) -> None:
    torch.manual_seed(0)
    unit = Unit(16, 32 if projects else 16, stride, 4, projects, norm_eps=1e-5)
    s = randomised(unit)
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    even, odd = x[:, ::2], x[:, 1::2]
    y = conv(s, "main.0", odd)
    assert s["main.1.conv.weight"].shape[1] == y.shape[1] // 4
    y = conv(s, "main.1", y, stride)
    y = excited(s, "excite", conv(s, "main.2", y, relu=False))
    if projects:
        even = conv(s, "projection", even, stride, relu=False)
    else:
        y = odd + y
    y = F.relu(torch.cat((even, y), 1))
    if stride == 2:
        y = conv(s, "down", y)
    with torch.no_grad():
        torch.testing.assert_close(unit(x), y)


def test_additional_classifiers_of_the_large_network() -> None:
    small = {"stem": (8, 8, 16), "widths": (32, 64, 64, 128), "repeats": (2, 1, 1, 1), "last": 16}
    model = create_model("shufflenet_v2_large", num_classes=5, auxiliary=True, **small).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        scores = model.forward_auxiliary(x)
        assert [found.shape for found in scores] == [(2, 5)] * len(LOSS_WEIGHTS)
        torch.testing.assert_close(scores[0], model(x))
        latest = model.auxiliary["stage4"](model.features(x, ["stage4"])[0])
        torch.testing.assert_close(scores[1], latest)
        model.reset_classifier(7)
        assert [found.shape for found in model.forward_auxiliary(x)] == [(2, 7)] * 4
        plain = create_model("shufflenet_v2_large", num_classes=5, **small).eval()
        assert len(plain.forward_auxiliary(x)) == 1
