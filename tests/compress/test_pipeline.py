"""The whole course on a network that learns in a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flyweight.compress import Plan, Retraining, compress, read_container, write_container
from flyweight.compress.coded import Packed
from flyweight.compress.holding import sharing_held, zeros_held
from flyweight.compress.pruning import layers, pruned_layers, put, weights_of
from flyweight.compress.sharing import shared_layers
from flyweight.compress.sizes import as_run, state_of
from flyweight.errors import WeightsError
from flyweight.training.running import train
from tests.training.small import ALONE, PIXELS, RECIPE, Small, data, run_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """A network that names nearly all of its images right."""
    torch.manual_seed(0)
    model = Small(dropout=0.0)
    train(run_of(model, data(), steps=40), tmp_path_factory.mktemp("run"), ALONE, 1)
    return {key: value.clone() for key, value in model.state_dict().items()}


def small(state: dict[str, torch.Tensor]) -> Small:
    model = Small(dropout=0.0)
    model.load_state_dict(state)
    return model


def how(folder: Path, **changes: object) -> Retraining:
    recipe = replace(RECIPE, learning_rate=0.05)
    given = Retraining("small", PIXELS, data(), recipe, 2.0, folder, ALONE, 1, 16)
    return replace(given, **changes)


def test_the_course(trained: dict[str, torch.Tensor], tmp_path: Path) -> None:
    model = small(trained)
    plan = Plan(bits=3, density=0.3, rounds=2)
    packed, stages = compress(model, plan, how(tmp_path / "work"), {"a": "b"})
    names = [stage.name for stage in stages]
    assert names == ["as it is", "pruned", "retrained", "shared", "values trained"]
    sizes = [stage.bytes for stage in stages]
    assert sizes[0] == as_run({key: value.numpy() for key, value in trained.items()})
    assert sizes[0] > sizes[1] == sizes[2] > sizes[3] == sizes[4]
    assert stages[0].density == 1
    for stage in stages[1:]:
        assert stage.density == pytest.approx(0.3, abs=0.01)
    for stage in stages:
        assert stage.accuracy is not None
        assert stage.accuracy.top1.n == 30
    # 576 of 864 weights belong to the classifier: it can lose most.
    assert stages[-1].accuracy.top1.correct >= stages[0].accuracy.top1.correct - 4
    size = write_container(packed, tmp_path / "small.fwc")
    assert size < sizes[0]
    decoded = read_container(tmp_path / "small.fwc").values()
    assert set(decoded) == set(trained)
    for key, value in model.state_dict().items():
        assert np.array_equal(decoded[key], value.numpy()), key
    for one in packed.coded().values():
        assert len(one.codebook) <= 8
    assert not np.array_equal(  # batch norm went on learning
        decoded["norm.running_mean"], trained["norm.running_mean"].numpy()
    )


def test_without_images(trained: dict[str, torch.Tensor]) -> None:
    model = small(trained)
    packed, stages = compress(model, Plan(bits=8, density=0.5), None, {})
    assert [stage.name for stage in stages] == ["as it is", "pruned", "shared"]
    assert all(stage.accuracy is None for stage in stages)
    assert isinstance(packed, Packed)
    for name, one in weights_of(model).items():
        whole = trained[name].numpy()
        kept = one != 0
        assert np.abs(one - whole)[kept].max() < 0.02 * np.abs(whole).max()


@pytest.mark.parametrize("name", ["second.weight", "second.bias", "norm.running_var"])
def test_weights_that_are_none(trained: dict[str, torch.Tensor], name: str) -> None:
    model = small(trained)
    model.state_dict()[name].view(-1)[0] = float("nan")
    with pytest.raises(WeightsError, match=f"{name} holds NaN"):
        compress(model, Plan(), None, {})


def test_an_interrupted_one_goes_on(
    trained: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(bits=4, density=0.4)
    whole, _ = compress(small(trained), plan, how(tmp_path / "whole"), {})

    class StoppedError(Exception):
        pass

    def stops(what: str, progress: object) -> None:
        if what == "share" and getattr(progress, "step", 0) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        compress(small(trained), plan, how(tmp_path / "broken", show=stops), {})
    again, _ = compress(small(trained), plan, how(tmp_path / "broken", resume=True), {})
    assert (tmp_path / "broken" / "sensitivity.json").is_file()
    for name, value in whole.values().items():
        assert np.array_equal(value, again.values()[name]), name


def gradients_of(model: Small) -> dict[str, torch.Tensor]:
    x = torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    torch.nn.functional.cross_entropy(model.eval()(x), torch.arange(6) % 3).backward()
    return {name: weight.grad.clone() for name, weight in layers(model).items()}


def test_gradients_of_shared_weights_are_summed(trained: dict[str, torch.Tensor]) -> None:
    """Deep Compression, Equation 3: a centroid's gradient is the sum over its weights."""
    model = small(trained)
    put(model, pruned_layers(weights_of(model), dict.fromkeys(layers(model), 0.7)))
    coded = shared_layers(weights_of(model), 3)
    put(model, {name: one.values() for name, one in coded.items()})
    plain = gradients_of(model)
    with sharing_held(model, coded):
        held = gradients_of(model)
    for name, one in coded.items():
        for value in range(len(one.codebook)):
            members = torch.from_numpy(one.codes == value)
            expected = plain[name][members].sum() if value else torch.tensor(0.0)
            torch.testing.assert_close(held[name][members], expected.expand(int(members.sum())))
    for name, gradient in gradients_of(model).items():  # nothing is held any more
        assert gradient.equal(plain[name])


def test_gradients_of_pruned_weights_are_zero(trained: dict[str, torch.Tensor]) -> None:
    model = small(trained)
    put(model, pruned_layers(weights_of(model), dict.fromkeys(layers(model), 0.5)))
    plain = gradients_of(model)
    with zeros_held(model):
        held = gradients_of(model)
    for name, weight in layers(model).items():
        assert not held[name][weight == 0].any()
        assert held[name][weight != 0].equal(plain[name][weight != 0])


def test_bytes_by_hand(trained: dict[str, torch.Tensor]) -> None:
    """8 x 27 + 8 x 72 + 3 x 72 weights, 8 + 3 biases, batch norm: 4 x 8 floats and a count."""
    model = small(trained)
    assert as_run(state_of(model)) == 4 * (216 + 576 + 216 + 8 + 3 + 32) + 8
