"""Which weights go, and which values the others share: against rules written out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flyweight.compress.pruning import (
    ENOUGH,
    by_sensitivity,
    by_spread,
    layers,
    named_densities,
    pruned,
    schedule,
    sensitivity,
    total_density,
    weights_of,
)
from flyweight.compress.sharing import resnapped, shared
from flyweight.errors import UsageError
from tests.training.small import Small


def drawn(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def lloyd(weights: np.ndarray, values: int) -> np.ndarray:
    """k-means as Deep Compression's Equation 2 says it, with linear first centroids."""
    centroids = np.linspace(weights.min(), weights.max(), values)
    for _ in range(1000):
        nearest = np.abs(weights[:, None] - centroids).argmin(1)
        new = np.array([
            weights[nearest == k].mean() if (nearest == k).any() else centroids[k]
            for k in range(values)
        ])  # fmt: skip
        if np.allclose(new, centroids, rtol=0, atol=0):
            break
        centroids = new
    return centroids


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_values_are_k_means(bits: int) -> None:
    weights = drawn(600)
    coded = shared(weights.reshape(20, 30), bits)
    assert coded.bits == bits
    expected = lloyd(weights.astype(np.float64), (1 << bits) - 1)
    np.testing.assert_allclose(coded.codebook[1:], expected, rtol=1e-5)
    assert coded.codebook[0] == 0
    # Each weight has the nearest value.
    nearest = np.abs(weights[:, None] - coded.codebook[1:]).argmin(1) + 1
    assert np.array_equal(coded.codes.reshape(-1), nearest)
    assert coded.codes.shape == (20, 30)


@given(st.integers(1, 8), st.integers(0, 2**32 - 1), st.integers(0, 60), st.floats(0, 1))
def test_zeros_stay_zeros(bits: int, seed: int, count: int, density: float) -> None:
    weights = pruned(drawn(count, seed), density)
    coded = shared(weights, bits)
    assert np.array_equal(coded.codes == 0, weights == 0)
    assert len(coded.codebook) <= 1 << bits
    if len(np.unique(weights[weights != 0])) < 1 << bits:
        assert np.array_equal(coded.values(), weights)  # few enough values are kept exactly
    else:
        assert np.abs(coded.values() - weights).max() <= np.ptp(weights)


def test_more_bits_are_nearer() -> None:
    weights = drawn(5000)
    errors = [float(np.square(shared(weights, bits).values() - weights).mean()) for bits in
              range(1, 9)]  # fmt: skip
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * errors[0]


@pytest.mark.parametrize("bits", [0, 9])
def test_impossible_bits(bits: int) -> None:
    with pytest.raises(UsageError, match="1 to 8 bits"):
        shared(drawn(5), bits)


def test_trained_values_are_means_of_their_weights() -> None:
    coded = shared(drawn(400), 3)
    moved = coded.values() + np.linspace(0, 1, 8, dtype=np.float32)[coded.codes]
    again = resnapped(coded, moved)
    np.testing.assert_allclose(
        again.codebook[1:], coded.codebook[1:] + np.linspace(0, 1, 8)[1:], rtol=1e-5
    )
    assert again.codebook[0] == 0


@given(st.integers(0, 200), st.floats(0, 1))
def test_the_smallest_go(count: int, density: float) -> None:
    weights = drawn(count)
    left = pruned(weights, density)
    kept = left != 0
    assert kept.sum() == round(density * count)
    assert np.array_equal(left[kept], weights[kept])
    if kept.any() and not kept.all():
        assert np.abs(weights[kept]).min() >= np.abs(weights[~kept]).max()


def test_densities_as_typed() -> None:
    names = ["stages.a.weight", "stages.b.weight", "classifier.weight"]
    assert named_densities("0.25", names) == 0.25
    assert named_densities("stages.*=0.5,stages.b=0.1", names) == {
        "stages.a.weight": 0.5, "stages.b.weight": 0.1, "classifier.weight": 1.0,
    }  # fmt: skip
    for text, why in (
        ("0", "more than 0"), ("1.5", "more than 0"), ("half", "more than 0"),
        ("nan", "more than 0"), ("stem=0.5", "no layer matches 'stem'"),
        ("stages.a=0.5,0.3", "write PATTERN=DENSITY"), ("stages.a=", "more than 0"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            named_densities(text, names)


@pytest.mark.parametrize("target", [0.9, 0.5, 0.1])
def test_spread_meets_a_target(target: float) -> None:
    weights = {"a": drawn(3000), "b": 10 * drawn(1000, 1), "c": drawn(500, 2) ** 3}
    densities = by_spread(weights, target)
    assert total_density(densities, weights) == pytest.approx(target, abs=0.002)
    # The same multiple of the standard deviation: scale alone changes nothing.
    assert densities["a"] == pytest.approx(densities["b"], abs=0.05)


# A layer that loses nothing until half of it is gone, and one that loses at once.
CURVES = {"robust": [(1.0, 0.0), (0.5, 0.0), (0.0, 1.0)], "tender": [(1.0, 0.0), (0.0, 4.0)]}


def test_sensitivity_meets_a_target() -> None:
    """Both cost the same x: 1000 (0.5 - 0.5 x) + 1000 (1 - x / 4) of 2000 are 0.6 at x = 0.4."""
    weights = {"robust": drawn(1000), "tender": drawn(1000)}
    densities = by_sensitivity(CURVES, weights, 0.6)
    assert densities == pytest.approx({"robust": 0.3, "tender": 0.9})
    endless = {**CURVES, "tender": [(1.0, 0.0), (0.5, 0.2), (0.0, float("inf"))]}
    low = by_sensitivity(endless, weights, 0.1)
    assert total_density(low, weights) == pytest.approx(0.1, rel=1e-3)


@given(
    st.lists(st.lists(st.floats(0, 3), min_size=2, max_size=2), min_size=1, max_size=3),
    st.floats(0.15, 0.95),
)
def test_a_target_is_met_whatever_the_curves(growths: list[list[float]], target: float) -> None:
    """Layers that cost nothing, that cost the same, and steps: never more goes than is asked."""
    weights = {str(number): drawn(1000) for number in range(len(growths))}
    curves = {
        str(number): [(1.0, 0.0), (0.5, min(pair)), (0.1, max(pair))]
        for number, pair in enumerate(growths)
    }
    found = by_sensitivity(curves, weights, target)
    assert total_density(found, weights) == pytest.approx(target, abs=1e-3)
    assert all(0 < density <= 1 for density in found.values())


def test_a_target_is_met_where_nothing_is_lost() -> None:
    flat = {name: [(1.0, 0.0), (0.5, 0.0), (0.05, 0.0)] for name in "ab"}
    weights = {name: drawn(1000) for name in "ab"}
    assert by_sensitivity(flat, weights, 0.5) == pytest.approx({"a": 0.5, "b": 0.5})


def test_sensitivity_of_a_network() -> None:
    """The loss is the sum of what is left: each curve is then what pruning takes away."""
    torch.manual_seed(0)
    model = Small()
    weights = weights_of(model)
    before = {name: weight.clone() for name, weight in layers(model).items()}

    def loss() -> float:
        return -float(sum(weight.detach().abs().sum() for weight in layers(model).values()))

    curves = sensitivity(model, weights, loss)
    assert list(curves) == ["first.weight", "second.weight", "classifier.weight"]
    for name, curve in curves.items():
        assert layers(model)[name].equal(before[name])
        for density, growth in curve[1:]:
            gone = np.abs(weights[name]).sum() - np.abs(pruned(weights[name], density)).sum()
            assert growth == pytest.approx(gone, rel=1e-3)
        # It ends where the network is lost anyway.
        assert [growth > ENOUGH for _, growth in curve] == [False] * (len(curve) - 1) + [True]
    wide = {**weights, "norm.weight": np.ones(1, np.float32)}
    assert sensitivity(model, wide, loss)["norm.weight"] == [(1.0, 0.0)]


def test_rounds() -> None:
    assert schedule({"a": 0.25, "b": 1.0}, 2) == [{"a": 0.5, "b": 1.0}, {"a": 0.25, "b": 1.0}]


def test_what_cannot_be_compressed() -> None:
    with pytest.raises(UsageError, match="no convolution"):
        weights_of(nn.Sequential(nn.ReLU()))
