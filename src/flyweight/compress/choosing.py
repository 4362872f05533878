"""How many weights each layer keeps, where only a target for all of them is given."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from flyweight.compress.coded import Floats
from flyweight.compress.pruning import (
    Curve,
    Densities,
    by_sensitivity,
    by_spread,
    sensitivity,
)
from flyweight.compress.retraining import Retraining
from flyweight.errors import FlyweightError
from flyweight.files import replaced
from flyweight.training.augment import inputs
from flyweight.training.batches import validation_batches

IMAGES = 256
"""That a layer's sensitivity is measured on, of those that are learned from."""
_AT_ONCE = 64
_FILE = "sensitivity.json"


def densities_for(
    target: float,
    model: nn.Module,
    weights: Mapping[str, Floats],
    how: Retraining | None,
    tell: Callable[[str, float], None],
) -> Densities:
    """The density of each layer, such that the target is left of all.

    With images by how much the loss grows with each layer, and otherwise by the weights' spread.

    Args:
        target: share of all weights, from 0 to 1.
        model: changed on the way, and afterwards as before.
        weights: of its layers.
        how: where the images are; None without any.
        tell: told what is done, and which share of it.

    Raises:
        FlyweightError: a folder with what was measured on another network.
    """
    if target == 1:
        return dict.fromkeys(weights, 1.0)
    if how is None:
        return by_spread(weights, target)
    file = how.folder / _FILE
    curves = _read(file) if how.resume and file.is_file() else None
    if curves is None:
        curves = sensitivity(
            model, weights, _loss(model, how), lambda name, share: tell(f"pruning {name}", share)
        )
        _write(file, curves)
    if set(curves) != set(weights):
        raise FlyweightError(f"{file} is of another network: name another folder with --work")
    return by_sensitivity(curves, weights, target)


def _loss(model: nn.Module, how: Retraining) -> Callable[[], float]:
    """What tells the mean loss of the model on some images, which are decoded once."""
    images = how.data.train
    count = min(IMAGES, len(images))
    chosen = [number * len(images) // count for number in range(count)]
    found = validation_batches(images, chosen, how.preprocessing, _AT_ONCE, how.workers)
    with closing(found) as batches:
        prepared = [
            (inputs(batch, how.preprocessing, how.team.device), batch.labels.to(how.team.device))
            for batch in batches
        ]
    if not sum(len(labels) for _, labels in prepared):
        raise FlyweightError("none of the images to learn from can be read")
    model.to(how.team.device)

    def loss() -> float:
        with torch.inference_mode():
            losses = [F.cross_entropy(model(x), y, reduction="sum") for x, y in prepared]
            return float(sum(losses)) / sum(len(labels) for _, labels in prepared)

    return loss


def _write(file: Path, curves: Mapping[str, Curve]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FlyweightError(f"can't write {file.parent}: {error.strerror}") from None
    with replaced(file) as temporary:
        temporary.write_text(json.dumps(curves), encoding="utf-8")


def _read(file: Path) -> dict[str, Curve]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(name): [(float(density), float(growth)) for density, growth in curve]
            for name, curve in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise FlyweightError(f"can't read {file}: {error}") from None
