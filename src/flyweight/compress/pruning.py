"""Pruning: which weights a network can do without (Deep Compression, Section 2)."""

import fnmatch
import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from flyweight.compress.coded import Floats
from flyweight.errors import UsageError

TRIED = (0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
"""Densities at which a layer's sensitivity is measured."""
ENOUGH = 1.0
"""Growth of the loss (in nats) at which a layer isn't pruned further."""
SMALL = 1e-3
"""Share of all weights below which a layer keeps its own: there is nothing to gain."""
_HALVINGS = 60

Densities = Mapping[str, float]
Curve = Sequence[tuple[float, float]]
"""Densities, falling from 1, and how much the loss grows there."""


def layers(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are compressed, by name: those of convolutions and linear layers."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return {
        f"{path}.weight".lstrip("."): module.weight
        for path, module in model.named_modules()
        if isinstance(module, kinds)
    }


def weights_of(model: nn.Module) -> dict[str, Floats]:
    """The same as arrays of their own.

    Raises:
        UsageError: no such layer.
    """
    found = {
        name: weight.detach().cpu().float().contiguous().numpy().copy()
        for name, weight in layers(model).items()
    }
    if not found:
        raise UsageError("the network has no convolution and no linear layer to compress")
    return found


def put(model: nn.Module, values: Mapping[str, Floats]) -> None:
    """Give layers these weights, in place."""
    own = layers(model)
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(torch.from_numpy(value))


def pruned(weights: Floats, density: float) -> Floats:
    """The weights with the smallest set to zero, so that a share of them is left.

    Args:
        weights: of any shape.
        density: the share that is left, from 0 to 1.
    """
    left = weights.reshape(-1).copy()
    count = len(left) - round(density * len(left))
    # A stable order: among equals the first ones go, on every machine.
    left[np.argsort(np.abs(left), kind="stable")[:count]] = 0.0
    return left.reshape(weights.shape)


def pruned_layers(weights: Mapping[str, Floats], densities: Densities) -> dict[str, Floats]:
    """The same for several layers, each with its own density."""
    return {name: pruned(one, densities[name]) for name, one in weights.items()}


def named_densities(text: str, names: Sequence[str]) -> dict[str, float] | float:
    """Read "0.33", a target for all weights together, or "stages.*=0.5,classifier.*=0.2".

    Where several patterns match a layer, the last one counts; a layer that none matches keeps all
    of its weights.

    Args:
        text: as it was typed.
        names: of the layers.

    Raises:
        UsageError: no density above 0 and up to 1, or a pattern that matches no layer.
    """
    if "=" not in text:
        return _density(text, text)
    densities = dict.fromkeys(names, 1.0)
    for part in text.split(","):
        pattern, equals, value = part.strip().rpartition("=")
        if not equals:
            raise UsageError(f"--density {part!r}: write PATTERN=DENSITY")
        matching = [
            name
            for name in names
            if fnmatch.fnmatchcase(name, pattern)
            or fnmatch.fnmatchcase(name.removesuffix(".weight"), pattern)
        ]
        if not matching:
            raise UsageError(f"--density: no layer matches {pattern!r}; one is {names[0]!r}")
        densities |= dict.fromkeys(matching, _density(value, part))
    return densities


def _density(text: str, whole: str) -> float:
    try:
        density = float(text)
    except ValueError:
        density = math.nan
    if not 0 < density <= 1:
        raise UsageError(f"--density {whole!r}: a density is more than 0 and at most 1")
    return density


def total_density(densities: Densities, weights: Mapping[str, Floats]) -> float:
    """The share of all weights that is left."""
    left = sum(densities[name] * one.size for name, one in weights.items())
    return left / sum(one.size for one in weights.values())


def by_spread(weights: Mapping[str, Floats], target: float) -> dict[str, float]:
    """Densities for a target, without images.

    Each layer loses what lies below the same multiple of its standard deviation (Han et al., 2015,
    Section 4).

    Args:
        weights: by layer.
        target: the share of all weights that is to be left.
    """
    spread = {name: float(one.std()) for name, one in weights.items()}

    def at(multiple: float) -> dict[str, float]:
        return {
            name: float(np.mean(np.abs(one) >= multiple * spread[name]))
            for name, one in weights.items()
        }

    largest = max(
        (float(np.abs(one).max()) / spread[name] for name, one in weights.items() if spread[name]),
        default=0.0,
    )
    return _met(at, largest, target, weights)


def by_sensitivity(
    curves: Mapping[str, Curve], weights: Mapping[str, Floats], target: float
) -> dict[str, float]:
    """Densities for a target, by how much the loss grows with each layer alone.

    All layers are pruned until each costs the same.

    Args:
        curves: of each layer, from `sensitivity`.
        weights: by layer.
        target: the share of all weights that is to be left.
    """

    def at(allowed: float) -> dict[str, float]:
        return {name: _density_at(curve, allowed) for name, curve in curves.items()}

    growths = [growth for curve in curves.values() for _, growth in curve]
    largest = max(growth for growth in growths if math.isfinite(growth))
    return _met(at, largest, target, weights)


def sensitivity(
    model: nn.Module,
    weights: Mapping[str, Floats],
    loss: Callable[[], float],
    show: Callable[[str, float], None] = lambda name, share: None,
) -> dict[str, Curve]:
    """How much the loss grows when one layer alone is pruned, for each layer.

    A curve never falls: where fewer weights happen to do better, the larger loss before counts.
    Layers with hardly any weights, as depthwise ones are, aren't tried, and keep them.

    Args:
        model: changed on the way, and afterwards as before.
        weights: of its layers.
        loss: of the model as it is.
        show: told the layer, and the share that is done.
    """
    start = loss()
    curves: dict[str, Curve] = {name: [(1.0, 0.0)] for name in weights}
    least = SMALL * sum(one.size for one in weights.values())
    tried = [name for name, one in weights.items() if one.size >= least]
    for number, name in enumerate(tried):
        show(name, number / len(tried))
        curve = [(1.0, 0.0)]
        for density in TRIED:
            put(model, {name: pruned(weights[name], density)})
            growth = loss() - start
            grown = growth if math.isfinite(growth) else math.inf
            curve.append((density, max(curve[-1][1], grown)))
            if grown > ENOUGH:
                break
        put(model, {name: weights[name]})
        curves[name] = curve
    return curves


def _density_at(curve: Curve, allowed: float) -> float:
    """The lowest density at which the loss grows by no more, on straight lines between points."""
    for (before, low), (density, high) in itertools.pairwise(curve):
        if high > allowed:
            share = (allowed - low) / (high - low) if math.isfinite(high) else 0.0
            return before + share * (density - before)
    return curve[-1][0]


def _met(
    at: Callable[[float], dict[str, float]],
    most: float,
    target: float,
    weights: Mapping[str, Floats],
) -> dict[str, float]:
    """The densities that leave the target, by halving what is between 0 and the most."""
    low, high = 0.0, most
    above: Densities = dict.fromkeys(weights, 1.0)  # that leave more than the target
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = at(middle)
        if total_density(found, weights) > target:
            low, above = middle, found
        else:
            high = middle
    below = at(high)
    # Curves have steps, and where a layer costs nothing they begin with one: part of it is gone.
    most_left, least_left = total_density(above, weights), total_density(below, weights)
    if least_left < target < most_left:
        share = (target - least_left) / (most_left - least_left)
        return {name: one + share * (above[name] - one) for name, one in below.items()}
    # Curves end somewhere; what is left to do is done to all pruned layers alike.
    kept = sum(weights[name].size for name, density in below.items() if density == 1)
    rest = sum(density * weights[name].size for name, density in below.items() if density < 1)
    wanted = target * sum(one.size for one in weights.values()) - kept
    if 0 < wanted < rest:
        return {name: one if one == 1 else one * wanted / rest for name, one in below.items()}
    return below


def schedule(target: Densities, rounds: int) -> list[dict[str, float]]:
    """Densities of each round of pruning and retraining: the same share goes in every round.

    Args:
        target: of the last round.
        rounds: how many there are: 1 or more.
    """
    return [
        {name: density ** (number / rounds) for name, density in target.items()}
        for number in range(1, rounds + 1)
    ]
