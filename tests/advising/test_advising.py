"""The whole of it, on small networks: what must be so whatever the machine's times are."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flyweight
from flyweight.advising import ARCHITECTURAL, EXACT, KEPT, NOT_TRIED, Advice, Setting, advise_model
from flyweight.advising import preparing as preparing_module
from flyweight.advising import running as running_module
from flyweight.advising.applying import applied, target_for
from flyweight.advising.deciding import LEAST_ROUNDS
from flyweight.errors import CaptureError, FlyweightError, UsageError
from tests.advising.planted import SIZE, four_fragments, grouped, ping_pong, shuffled

SHAPE = (1, 3, SIZE, SIZE)
BUDGET_S = 2.0


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks, which no test looks at, take 3 s; engines take seconds to prepare a network."""
    monkeypatch.setattr("flyweight.decomposing.running.has_compiler", lambda: False)
    monkeypatch.setattr(preparing_module, "_TRIED", ())
    monkeypatch.setattr(running_module, "LEAST_S", 0.3)
    monkeypatch.setattr(running_module, "PREPARING", 100)  # budgets: exact advice is always tried


def advised(model: nn.Module, shape: tuple[int, ...] = SHAPE, engine: str = "eager") -> Advice:
    """Advice in little time: what is measured is not what is tested."""
    torch.manual_seed(0)
    example = np.random.default_rng(0).standard_normal(shape, np.float32)
    return advise_model(model.eval(), example, Setting(engine, 1), BUDGET_S, threads_open=False)


def check(advice: Advice) -> None:
    """What must hold of any advice."""
    for one in advice.trials:
        assert one.why
        if one.verdict == KEPT:
            assert one.ratio is not None
            assert one.ratio.high < 1
            assert one.ratio.rounds >= LEAST_ROUNDS
        if one.kind == EXACT and one.verdict == KEPT:
            assert one.error is not None
            assert one.error <= 1e-3
        if one.kind == ARCHITECTURAL and one.ratio is not None:
            assert 0.98 <= one.flops <= 1.25
    assert advice.summary()
    keys = {one.key for one in advice.findings}
    assert {one.key for one in advice.confirmed()} <= keys
    assert {one.about for one in advice.trials if one.about} <= keys
    parsed = json.loads(json.dumps(advice.to_json()))
    assert [one["key"] for one in parsed["findings"]] == [one.key for one in advice.findings]


@pytest.mark.parametrize("engine", [pytest.param("eager", marks=pytest.mark.slow), "onnxruntime"])
def test_advice_holds_together(engine: str) -> None:
    before = grouped()
    state = {name: value.clone() for name, value in before.state_dict().items()}
    advice = advised(before, engine=engine)
    check(advice)
    assert "groups" in {one.key for one in advice.findings}
    assert advice.total_s is not None
    assert advice.records
    assert not any(module.training for module in before.modules())
    for name, value in before.state_dict().items():
        assert torch.equal(value, state[name])


def test_what_undoes_itself_is_left_out() -> None:
    advice = advised(ping_pong())
    check(advice)
    (one,) = [trial for trial in advice.trials if trial.advice.startswith("leave out")]
    assert one.error is not None
    assert one.error <= 1e-5


@pytest.mark.slow
def test_time_that_is_up_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "LEAST_S", 1e9)
    advice = advised(four_fragments())
    check(advice)
    late = [one for one in advice.not_tried if "longer budget" in one.why]
    assert late


def test_an_interrupted_run_says_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running_module, "exact_trials", interrupted)
    advice = advised(grouped())
    assert not advice.complete
    assert advice.findings
    assert advice.total_s is not None


def test_interrupted_before_anything_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running_module, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        advised(shuffled())


class OnlyLinear(nn.Module):
    """Nothing but a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(x)
        return found


class Several(nn.Module):
    """Two inputs."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Tokens(nn.Module):
    """Whole numbers in."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.words(x)
        return found


class Branching(nn.Module):
    """Control flow that depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y if y.sum() > 0 else -y


class Named(nn.Module):
    """Outputs by name, one of them nested."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)

    def forward(self, x: Tensor) -> dict[str, object]:
        y = F.silu(self.conv(x))
        return {"map": y, "more": [y.mean((2, 3)), y.amax()]}


class Attention(nn.Module):
    """Matrix products and no convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norm = nn.LayerNorm(32)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.attention(x, x, x)
        found: Tensor = self.norm(x + y)
        return found


class Last(nn.Module):
    """Channels last, as ConvNeXt has them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 24, 7, padding=3)
        self.norm, self.up, self.down = nn.LayerNorm(24), nn.Linear(24, 96), nn.Linear(96, 24)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.down(F.gelu(self.up(self.norm(y.permute(0, 2, 3, 1)))))
        found: Tensor = y + z.permute(0, 3, 1, 2)
        return found


class Yolo(nn.Module):
    """A split, blocks whose results are all kept, and an upsampled join."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.parts = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
        self.last = nn.Conv2d(64, 32, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = list(F.silu(self.first(x)).chunk(2, 1))
        for part in self.parts:
            y.append(F.silu(part(y[-1])))
        z = self.last(torch.cat(y, 1))
        return z, F.interpolate(z, scale_factor=2.0)


ODD = {
    "only a linear layer": (OnlyLinear, (1, 64)),
    "outputs by name": (Named, SHAPE),
    "attention": (Attention, (1, 49, 32)),
    "channels last": (Last, SHAPE),
    "split and upsampled": (Yolo, SHAPE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_odd_networks_get_advice(name: str) -> None:
    make, shape = ODD[name]
    advice = advised(make(), shape)
    check(advice)
    assert advice.unread == ()


def test_control_flow_is_said_and_the_rest_is_given() -> None:
    advice = advised(Branching())
    check(advice)
    assert advice.findings == ()
    assert any("depends on the data" in sentence for sentence in advice.unread)


@pytest.mark.parametrize(
    ("model", "says"), [(Several(), "takes 2 inputs"), (Tokens(), "doesn't run")]
)
def test_what_cannot_run_is_one_sentence(model: nn.Module, says: str) -> None:
    with pytest.raises(FlyweightError, match=says):
        advised(model)


def test_control_flow_on_an_engine_that_needs_a_graph() -> None:
    with pytest.raises(CaptureError, match="depends on the data"):
        advised(Branching(), engine="onnxruntime")


def test_engines_that_cannot_be_looked_into() -> None:
    with pytest.raises(UsageError, match="doesn't tell its operations apart"):
        advised(grouped(), engine="compile")
    with pytest.raises(UsageError, match="unknown engine"):
        advised(grouped(), engine="tensorflow")


def test_examples_of_whole_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="float32, not int64"):
        flyweight.advise(grouped(), np.zeros(SHAPE, np.int64))


def test_budgets_must_be_positive() -> None:
    with pytest.raises(UsageError, match="more than 0"):
        flyweight.advise(grouped(), SHAPE, budget_s=0)


@pytest.mark.parametrize(
    "name",
    ["out.onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in ("out.pt2", "folder"))],
)
def test_applying_writes_what_computes_the_same(name: str, tmp_path: Path) -> None:
    model = shuffled().eval()
    advice = advised(model)
    target = target_for(tmp_path / name, force=False)
    exported = applied(model, advice, target)
    assert exported.path.exists()
    assert exported.check is not None
    assert exported.check.random_error < 1e-4
    if name.endswith(".onnx"):
        session = onnxruntime.InferenceSession(str(tmp_path / name))
        x = np.random.default_rng(3).standard_normal(SHAPE, np.float32)
        (found,) = session.run(None, {session.get_inputs()[0].name: x})
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_applying_needs_images(tmp_path: Path) -> None:
    model = OnlyLinear().eval()
    advice = advised(model, (1, 64))
    with pytest.raises(UsageError, match="batch, channels, height, width"):
        applied(model, advice, target_for(tmp_path / "out.onnx", force=False))


@pytest.mark.slow
def test_not_tried_is_no_advice() -> None:
    advice = advised(four_fragments())
    for one in advice.not_tried:
        assert one.verdict == NOT_TRIED
        assert one.ratio is None
        assert one.saved_s == 0
