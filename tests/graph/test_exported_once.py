"""One export for as many engines as read it, where it is asked for."""

import pytest
import torch
from torch import Tensor, nn

from flyweight.errors import UsageError
from flyweight.graph import capture, exported, exported_once, frozen_copy, onnx_model

X = torch.randn(1, 3, 8, 8)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The modules that are really written."""
    found: list[nn.Module] = []

    def counted(model: nn.Module, example: Tensor, dynamic_batch: bool = False) -> bytes:
        found.append(model)
        return f"export {len(found)} of {tuple(example.shape)}".encode()

    monkeypatch.setattr(onnx_model, "to_onnx", counted)
    return found


def test_each_form_once(exports: list[nn.Module]) -> None:
    a, b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
    with exported_once():
        first = exported(a, X)
        assert exported(a, X) is first
        assert exported(b, X) != first
        assert exported(a, torch.randn(1, 3, 4, 4)) != first
        assert len(exports) == 3
        assert a not in exports  # a copy, in evaluation mode
        assert not exports[0].training
    exported(a, X)
    assert len(exports) == 4  # it may have changed since


def test_without_it_nothing_is_kept(exports: list[nn.Module]) -> None:
    model = nn.Conv2d(3, 4, 1)
    assert exported(model, X) != exported(model, X)


def test_not_more_than_fits(exports: list[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "_MOST_KEPT", 30)
    a, b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
    with exported_once():
        exported(a, X)
        exported(b, X)
        exported(b, X)
        exported(a, X)
    assert len(exports) == 3


class Anything(nn.Module):
    """Takes any number of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, *images: Tensor) -> Tensor:
        found: Tensor = self.conv(images[0])
        return found


def test_any_number_of_inputs_is_one_here() -> None:
    program = capture(Anything().eval(), X, dynamic_batch=True)
    found = program.module()(torch.randn(5, 3, 8, 8))
    assert found.shape == (5, 4, 8, 8)


def test_lazy_weights_are_said() -> None:
    with pytest.raises(UsageError, match="lazy modules"):
        frozen_copy(nn.Sequential(nn.LazyConv2d(4, 1)))


def test_a_copy_of_torchscript_has_no_gradients() -> None:
    scripted = torch.jit.script(nn.Conv2d(3, 4, 1))
    copied = frozen_copy(scripted)
    assert copied is not scripted
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.requires_grad for parameter in scripted.parameters())
