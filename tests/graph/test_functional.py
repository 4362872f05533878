"""Graphs that are read as they were captured: the same steps as of PyTorch's own rewriting."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight import create_model, lower
from flyweight.graph import capture, frozen_copy, reading
from flyweight.graph.functional import is_functional
from flyweight.graph.program import Opaque, Program
from flyweight.nn.trained import as_trained
from flyweight.zoo import model_info

FAMILIES = (
    "shufflenet_v2_x0_5", "mobilenet_v2_x0_35", "condensenet_74_g8", "squeezenet_1_1", "pvanet",
    "alexnet", "tiny_darknet",
)  # fmt: skip


class Written(nn.Module):
    """A network by its forward, with a convolution and a norm to use."""

    def __init__(self, forward: Callable[["Written", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.written = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.written(self, x)


def read_twice(own: Written, x: Tensor) -> Tensor:
    y = own.conv(x)
    before = y * 2
    return F.relu(y, inplace=True) + before


def read_after(own: Written, x: Tensor) -> Tensor:
    """`y` is what its activation made of it."""
    y = own.conv(x)
    changed = F.relu(y, inplace=True)
    return y - 3 * changed


def through_a_view(own: Written, x: Tensor) -> Tensor:
    """One half of `y` is changed, and with it `y`."""
    y = own.conv(x)
    F.relu(y[:, :2], inplace=True)
    return y


def viewed_before(own: Written, x: Tensor) -> Tensor:
    y = own.conv(x)
    view = y.transpose(2, 3)
    F.relu(y, inplace=True)
    return view


def through_dropout(own: Written, x: Tensor) -> Tensor:
    """Which hands on its input itself."""
    y = own.conv(x)
    z = F.dropout(y, 0.5, own.training)
    return F.hardtanh(z, 0, 1, inplace=True) + y


def added_to(own: Written, x: Tensor) -> Tensor:
    y, z = own.conv(x), own.norm(x)
    y += z
    return y * z


def one_after_another(own: Written, x: Tensor) -> Tensor:
    return F.leaky_relu(F.hardtanh(own.norm(own.conv(x)), -2, 1, inplace=True), 0.1, inplace=True)


def its_input(own: Written, x: Tensor) -> Tensor:
    y = x.clone()
    y.clamp_(-1, 1)
    return own.conv(y)


def typed(own: Written, x: Tensor) -> Tensor:
    y = own.conv(x)
    y += torch.ones(1, 4, 1, 1, dtype=torch.float64) / 3
    return y


READ_AS_THEY_ARE = (added_to, one_after_another, read_after)
REWRITTEN = (read_twice, through_a_view, viewed_before, through_dropout, typed)


def example(channels: int = 4) -> Tensor:
    return torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(0))


# PyTorch's rewriting takes the result of dropout for a tensor of its own; `lower` refuses that.
@pytest.mark.parametrize(
    "forward",
    [one for one in (*READ_AS_THEY_ARE, *REWRITTEN, its_input) if one is not through_dropout],
)
def test_what_is_changed_in_place_is_what_pytorch_makes_of_it(
    forward: Callable[[Written, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    model, x = Written(forward).eval(), example()
    with torch.no_grad():
        expected = model(x.clone())
        found = lower(model, x)(x.clone())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("forward", [*READ_AS_THEY_ARE, *REWRITTEN])
def test_only_what_nobody_else_reads_is_read_as_it_is(
    forward: Callable[[Written, Tensor], Tensor],
) -> None:
    captured = capture(Written(forward).eval(), example(), dynamic_batch=True)
    assert is_functional(captured.graph) == (forward in READ_AS_THEY_ARE)


@pytest.mark.parametrize("part", ["norm", "dropout"])
def test_what_is_still_in_training_is_rewritten(part: str) -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).eval()
    assert is_functional(capture(model, example(), dynamic_batch=True).graph)
    model[1 if part == "norm" else 2].train()
    captured = capture(model, example(), dynamic_batch=True)
    assert not is_functional(captured.graph)


def test_results_that_nobody_reads() -> None:
    """A norm of the functional form gives three, of which two are of training."""

    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of = nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            norm = torch.ops.aten._native_batch_norm_legit_no_training
            of = self.of
            found = norm(x, of.weight, of.bias, of.running_mean, of.running_var, 0.1, of.eps)
            out: Tensor = found[0]
            return out.relu()

    model, x = Norm().eval(), example()
    assert is_functional(capture(model, x, dynamic_batch=True).graph)
    with torch.no_grad():
        torch.testing.assert_close(lower(model, x)(x), model(x), rtol=1e-5, atol=1e-6)


def described(program: Program) -> list[tuple[object, ...]]:
    """Each step with its kind, place, operation and result."""
    return [
        (type(step).__name__, step.where,
         getattr(step, "target", None) if not isinstance(step, Opaque) else None,
         *((step.out.first, step.out.channels, step.out.space) if hasattr(step, "out") else ()))
        for step in program.steps
    ]  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = create_model(name, num_classes=10).eval()
    as_trained(model)
    side = min(model_info(name).resolution, 224)
    captured = capture(frozen_copy(model), torch.zeros(1, 3, side, side), dynamic_batch=True)
    assert is_functional(captured.graph)
    found = reading.read_program(captured)
    monkeypatch.setattr(reading, "is_functional", lambda graph: False)
    expected = reading.read_program(captured)
    assert described(found) == described(expected)
    assert [out.ids.tolist() for out in found.outputs] == [
        out.ids.tolist() for out in expected.outputs
    ]
