"""What can't be captured says where, why and what to do; silent mistakes are refused."""

import inspect
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flyweight.errors import CaptureError, UsageError
from flyweight.graph import capture, to_onnx

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 0:
            return x * 2
        return x


class ItemGate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum().item() > 3:
            return x
        return x + 1


def first_channels(x: Tensor) -> Tensor:
    count = int(x.abs().sum())
    return x[:, :count]


class ThroughAFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return first_channels(x)


class Checked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.abs().sum() > 0
        return x


class InNumpy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_numpy(np.sqrt(np.abs(x.detach().numpy())))


class Printing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        self.text = f"{x.mean():.2f}"
        return x


class PerImage(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[i] * 2 for i in range(x.shape[0])])


class FewImages(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > 4:
            return x
        return x + 1


class OneImageApart(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            return x
        return x + 1


class Pairs(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, -1)


class TwoBiases(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(2, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class OneImageOnly(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(1, 3, 64)


class Net(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 3, 1)
        self.neck = nn.Sequential(nn.ReLU(), block)

    def forward(self, x: Tensor) -> Tensor:
        return self.neck(self.stem(x))


def refusal(block: nn.Module, dynamic_batch: bool) -> str:
    with pytest.raises(CaptureError) as caught:
        capture(Net(block).eval(), X, dynamic_batch)
    text = str(caught.value)
    assert "\n" not in text
    return text


def at(code: str) -> str:
    """This file with the number of the line that has this code, as messages show it."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if line.strip() == code)
    file = Path(__file__)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{number} `{code}`"


DATA = [
    (Gate, "if x.mean() > 0:", "depends on the data; use torch.where or torch.cond there"),
    (ItemGate, "if x.sum().item() > 3:", "depends on the data; use torch.where"),
    (ThroughAFunction, "count = int(x.abs().sum())", "turns data into a Python number; keep it a"),
    (Checked, "assert x.abs().sum() > 0", "checks the data; leave that check out of forward"),
    (
        InNumpy, "return x + torch.from_numpy(np.sqrt(np.abs(x.detach().numpy())))",
        "leaves PyTorch for NumPy; use PyTorch's operations there",
    ),
    (Printing, 'self.text = f"{x.mean():.2f}"', "prints or formats a tensor's values; leave"),
]  # fmt: skip


@pytest.mark.parametrize("dynamic_batch", [False, True])
@pytest.mark.parametrize(("block", "code", "says"), DATA, ids=[case[0].__name__ for case in DATA])
def test_module_line_reason_and_remedy(
    block: type[nn.Module], code: str, says: str, dynamic_batch: bool
) -> None:
    text = refusal(block(), dynamic_batch)
    assert text.startswith(f"Net can't be captured: neck.1 ({block.__name__}) at {at(code)} {says}")
    assert text.endswith("or run it with engine 'eager'")


BATCH = [
    (
        PerImage, "return torch.stack([x[i] * 2 for i in range(x.shape[0])])",
        "loops over the images, so it fixes how many there are; use operations on the whole batch",
    ),
    (FewImages, "if x.shape[0] > 4:", "depends on the number of images; treat every number"),
    (OneImageApart, "if x.shape[0] == 1:", "treats one image in another way than several"),
    (Pairs, "return x.reshape(2, -1)", "fixes the number of images; take it from the tensor"),
    (TwoBiases, "return x + self.bias", "fixes the number of images"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "code", "says"), BATCH, ids=[case[0].__name__ for case in BATCH])
def test_the_line_that_fixes_the_number_of_images(
    block: type[nn.Module], code: str, says: str
) -> None:
    text = refusal(block(), dynamic_batch=True)
    assert text.startswith(f"Net can't be captured: neck.1 ({block.__name__}) at {at(code)} {says}")
    assert text.endswith("or run it without lowering, for one number of images")
    capture(Net(block()).eval(), X)  # nothing is wrong with it for one number


def test_one_image_only() -> None:
    text = refusal(OneImageOnly(), dynamic_batch=True)
    place = at("return x.view(1, 3, 64)")
    assert text.startswith(
        f"Net can't be captured: it runs on one image only; neck.1 (OneImageOnly) at {place}: shape"
    )
    assert "x.shape[0]" in text


def test_the_network_itself() -> None:
    with pytest.raises(CaptureError) as caught:
        capture(Gate().eval(), X)
    assert str(caught.value).startswith(f"Gate can't be captured: {at('if x.mean() > 0:')} depends")


def test_within_pytorchs_own_containers() -> None:
    with pytest.raises(CaptureError, match=r"^Sequential can't be captured: 1\.0 \(Gate\) at "):
        capture(nn.Sequential(nn.ReLU(), nn.Sequential(Gate())).eval(), X)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "rewritten",
    [
        lambda x: x.view(x.size(0), -1),
        lambda x: x.view(-1, 3 * 64),
        lambda x: x.view(1, -1),  # all images in one row, whatever their number
        lambda x: x.mean((2, 3), keepdim=True).squeeze(),
        lambda x: x * torch.ones(x.shape[0], 1, 1, 1),
        lambda x: torch.where(x.mean() > 0, x * 2, x),
        lambda x: x * x.sum().item(),
    ],
)
def test_what_only_looks_like_it(rewritten: object, batch: int) -> None:
    class Block(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return rewritten(x)  # type: ignore[operator]

    x = torch.randn(batch, 3, 8, 8)
    for captured in (X, torch.cat([X, X, X])):
        program = capture(Block().eval(), captured, dynamic_batch=True)
        torch.testing.assert_close(program.module()(x), rewritten(x))  # type: ignore[operator]


def test_attention_is_captured() -> None:
    """PyTorch's own code asks there whether the batch is one, and both answers are the same."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).transpose(1, 2)
            return self.attend(tokens, tokens, tokens)[0]

    model, x = Attention().eval(), torch.randn(3, 4, 4, 4)
    program = capture(model, x[:1], dynamic_batch=True).module()
    for batch in (x, x[:1]):
        torch.testing.assert_close(program(batch), model(batch))


def test_noise_is_no_difference() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    capture(Noisy().eval(), X, dynamic_batch=True)


def test_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, mask: Tensor, scale: float = 1.0) -> Tensor:
            return image * mask * scale

    with pytest.raises(UsageError, match=r"^Two takes 2 inputs \(image, mask\), and only networks"):
        capture(Two().eval(), X)


def test_outputs_that_are_no_tensors() -> None:
    class Returns(nn.Module):
        def __init__(self, what: object) -> None:
            super().__init__()
            self.what = what

        def forward(self, x: Tensor) -> object:
            return {"scores": x + 1, "more": self.what} if self.what is not X else x.shape

    with pytest.raises(CaptureError, match="it returns more than tensors; return tensors, or tup"):
        capture(Returns(object()).eval(), X)
    with pytest.raises(CaptureError, match="its forward returns no tensor"):
        capture(Returns(X).eval(), X)
    capture(Returns(None).eval(), X, dynamic_batch=True)
    with pytest.raises(CaptureError, match="it returns numbers beside its tensors"):
        to_onnx(Returns(3).eval(), X)


def test_a_network_that_does_not_run_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"Conv2d doesn't run on an input of \(1, 3, 8, 8\)"):
        capture(nn.Conv2d(4, 4, 1).eval(), X, dynamic_batch=True)


def test_no_onnx_counterpart() -> None:
    class Svd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(x)

    with pytest.raises(CaptureError, match=r"No ONNX function found for .*svd") as caught:
        to_onnx(Svd().eval(), X)
    assert "\x1b" not in str(caught.value)


def test_nothing_is_printed_and_logging_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before = (log.level, log.propagate, list(log.handlers), logging.root.manager.disable)
    for block in (TwoBiases(), OneImageApart(), Gate(), Printing()):
        refusal(block, dynamic_batch=True)
    assert (log.level, log.propagate, list(log.handlers), logging.root.manager.disable) == before
    assert "isEnabledFor" not in vars(log)
    assert capfd.readouterr() == ("", "")


def test_the_caller_is_no_part_of_the_place() -> None:
    """A function with the model in its hands is above the capture, not within the network."""

    class Runner(Net):
        def run(self) -> None:
            capture(self, X, dynamic_batch=True)

    with pytest.raises(CaptureError) as caught:
        Runner(Pairs()).eval().run()
    assert inspect.getsource(Runner.run) not in str(caught.value)
    assert "neck.1 (Pairs) at" in str(caught.value)
