"""Networks of known make-up, decomposed on every engine: what must be there, whatever it takes."""

import copy
import json

import pytest
import torch
from known_networks import PEAKS, TEN_MADDS, TEN_SIZE, WIDTH, Mixed, TenAndTen
from torch import nn

import flyweight
from flyweight.decomposing import Decomposition, from_json, running
from flyweight.engines import ENGINES
from flyweight.errors import CaptureError, FlyweightError, RecordError, UsageError
from flyweight.native.building import has_compiler

BUDGET_S = 0.3


def there(engine: str) -> bool:
    return ENGINES[engine].installed and (engine != "native" or has_compiler())


EACH = [
    pytest.param(engine, marks=pytest.mark.skipif(not there(engine), reason="not installed"))
    for engine in running.PROFILERS
]


@pytest.fixture(autouse=True)
def _peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds, and have tests of their own."""
    monkeypatch.setattr(running, "measure_peaks", lambda threads, progress=None: PEAKS)


def decomposed(model: nn.Module, size: tuple[int, ...], engine: str, **more: bool) -> Decomposition:
    x = torch.randn(size, generator=torch.Generator().manual_seed(0))
    found = flyweight.decompose(model, x, engine, tune=False, budget_s=BUDGET_S, **more)
    check_sums(found)
    return found


def check_sums(found: Decomposition) -> None:
    """Everything adds up, exactly, in the result and in its JSON."""
    assert sum(part.picoseconds for part in found.parts) + found.residual_ps == found.total_ps
    assert found.total_ps == round(found.record.median_s * 10**12)
    assert found.residual_ps >= 0
    assert all(part.picoseconds >= 0 for part in found.parts)
    for groups in (found.by_kind(), found.by_bound()):
        assert sum(group.operations for group in groups.values()) == len(found.parts)
        assert sum(group.picoseconds for group in groups.values()) == (
            found.total_ps - found.residual_ps
        )
    read = json.loads(json.dumps(found.to_json()))
    assert from_json(read) == found
    for parts in (read["parts"], read["by_kind"].values(), read["by_bound"].values()):
        assert sum(part["picoseconds"] for part in parts) + read["residual_ps"] == read["total_ps"]


@pytest.mark.parametrize("engine", EACH)
def test_ten_convolutions_and_ten_products(engine: str) -> None:
    found = decomposed(TenAndTen().eval(), TEN_SIZE, engine)
    kinds = found.by_kind()
    assert kinds["convolution"].operations == 10
    assert kinds["elementwise"].operations == 10
    assert "depthwise" not in kinds
    assert "pooling" not in kinds
    assert kinds["convolution"].madds == TEN_MADDS
    convolutions = [part.operation for part in found.parts if part.operation.madds]
    assert [operation.name for operation in convolutions] == [f"convs.{i}" for i in range(10)]
    assert {operation.output[-2:] for operation in convolutions} == {(12, 10)}
    products = [p.operation for p in found.parts if p.operation.kind == "elementwise"]
    assert {product.elements for product in products} == {3 * WIDTH * 12 * 10}
    assert found.engine == engine
    assert found.inflation.rounds >= 3
    assert found.calls > 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", EACH)
@pytest.mark.parametrize("batch", [1, 3])
def test_one_of_each_class(engine: str, batch: int) -> None:
    found = decomposed(Mixed().eval(), (batch, 3, 16, 16), engine)
    kinds = found.by_kind()
    assert kinds["depthwise"].operations == 1
    assert kinds["depthwise"].madds == batch * 8 * 8 * 8 * 9
    assert kinds["convolution"].operations == 2
    assert kinds["convolution"].madds == batch * (8 * 8 * 8 * 27 + 40)
    assert kinds["pooling"].operations >= 1
    # Native reads channels where they are; OpenVINO can, of one image.
    if engine != "native" and (engine, batch) != ("openvino", 1):
        assert kinds["data movement"].operations >= 1


def test_shufflenet_v2_moves_data_in_eager() -> None:
    found = decomposed(flyweight.create_model("shufflenet_v2_x0_5"), (1, 3, 64, 64), "eager")
    kinds = found.by_kind()
    # Of the paper's 13 units of stride 1 and 3 of stride 2, each ends in a concatenation.
    joined = [part for part in found.parts if part.operation.operation == "aten.cat"]
    assert len(joined) == 16
    assert kinds["data movement"].operations > len(joined)
    assert kinds["depthwise"].operations == 13 + 2 * 3
    counted = flyweight.cost("shufflenet_v2_x0_5", (1, 3, 64, 64))
    assert sum(part.operation.madds for part in found.parts) == counted.madds


class Transposed(nn.Module):
    """A convolution that reads a map that doesn't lie as it wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, groups=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.transpose(2, 3))


def test_copies_within_convolutions_are_data_movement() -> None:
    found = decomposed(Transposed().eval(), (1, 4, 24, 20), "eager")
    names = [(part.operation.operation, part.operation.kind) for part in found.parts]
    assert names == [
        ("aten.transpose", "data movement"),
        ("copy before aten.convolution", "data movement"),
        ("aten.convolution", "depthwise"),
    ]
    assert found.parts[1].operation.elements == 2 * 4 * 24 * 20


@pytest.mark.slow
@pytest.mark.parametrize("engine", EACH)
def test_the_network_is_not_changed(engine: str) -> None:
    model = Mixed().train()
    called: list[str] = []
    model.dw.register_forward_hook(lambda *_: called.append("hook"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = copy.copy(vars(model.dw))
    flyweight.decompose(model, torch.randn(1, 3, 16, 16), engine, tune=False, budget_s=BUDGET_S)
    assert model.training
    assert vars(model.dw).keys() == attributes.keys()
    assert len(model.dw._forward_hooks) == 1
    assert not model.stem._forward_hooks
    assert not model.stem._forward_pre_hooks
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["eager", "onnxruntime"])
def test_lowered(engine: str) -> None:
    """The norm is folded, and the two halves change places for nothing."""
    found = decomposed(Mixed().eval(), (1, 3, 16, 16), engine, lowered=True)
    assert found.engine == f"{engine}+lowered"
    operations = [part.operation.operation for part in found.parts]
    assert not any("batch_norm" in name or "cat" in name.lower() for name in operations)


@pytest.mark.slow
def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times need none, the machine's peaks do; what isn't known is said to be so."""
    monkeypatch.setattr(running, "has_compiler", lambda: False)
    found = decomposed(Mixed().eval(), (1, 3, 16, 16), "onnxruntime")
    assert found.peaks is None
    assert "no C compiler" in found.why_no_peaks
    assert list(found.by_bound()) == ["not known"]


def test_two_threads() -> None:
    x = torch.randn(1, 3, 16, 16)
    found = flyweight.decompose(Mixed().eval(), x, "eager", threads=2, budget_s=BUDGET_S)
    check_sums(found)
    assert found.record.environment.threads == 2


X = torch.zeros(1, 3, 16, 16)


def test_what_is_no_decomposition() -> None:
    with pytest.raises(RecordError, match="not a decomposition: 'record'"):
        from_json({"network": "a"})


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_budgets_that_are_none(budget: float) -> None:
    with pytest.raises(UsageError, match="budget must be more than 0 seconds"):
        flyweight.decompose(Mixed(), X, "eager", budget_s=budget)


def test_engines_that_cannot_be_decomposed() -> None:
    with pytest.raises(UsageError, match=r"'compile' can't be decomposed.*eager, onnxruntime"):
        flyweight.decompose(Mixed(), X, "compile")
    with pytest.raises(UsageError, match="unknown engine 'nativ'; did you mean native"):
        flyweight.decompose(Mixed(), X, "nativ")


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FlyweightError, match=r"not installed: pip install 'flyweight\[openvino\]'"):
        flyweight.decompose(Mixed(), X, "openvino")


def test_other_numbers() -> None:
    with pytest.raises(UsageError, match="float32, not float64"):
        flyweight.decompose(Mixed(), X.double(), "eager")


class Unsteady(nn.Module):
    """It calls another operation each time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.tanh(x) if self.calls % 2 else torch.sigmoid(x)


def test_operations_that_change_from_call_to_call() -> None:
    with pytest.raises(FlyweightError, match=r"Unsteady: .*saw other operations"):
        flyweight.decompose(Unsteady(), X, "eager", budget_s=BUDGET_S)


@pytest.mark.parametrize("engine", ["onnxruntime", "native"])
def test_networks_that_cannot_be_captured(engine: str) -> None:
    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    if not there(engine):
        pytest.skip("no C compiler")
    with pytest.raises(CaptureError, match="Branches can't be captured"):
        flyweight.decompose(Branches(), X, engine)


@pytest.mark.skipif(not there("onnxruntime"), reason="not installed")
def test_norms_that_run_as_depthwise_convolutions() -> None:
    """ONNX Runtime makes convolutions of norms on blocks of channels, under names of its own."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 1)),
        *(nn.ReLU(), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 1)),
    )
    found = decomposed(model.eval(), (1, 3, 16, 16), "onnxruntime")
    norms = {p.operation.name for p in found.parts if p.operation.kind == "elementwise"}
    assert norms == {"2", "5"}
    assert "depthwise" not in found.by_kind()
