"""Whether a written file computes what the network does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from flyweight.engines import Array
from flyweight.errors import FlyweightError, first_line
from flyweight.exporting.formats import Run
from flyweight.exporting.images import Images

TOLERANCE = 1e-4
"""The largest error that is accepted, relative to the largest score."""

IMAGES_AT_ONCE = 8


@dataclass(frozen=True)
class Check:
    """How a file that was read back compares with the eager network.

    Attributes:
        random_error: largest difference on random inputs, relative to the largest score.
        image_error: the same on images; None where there were none.
        images: how many there were.
        same_top1: of how many the highest score is the same class; None where the first output
            isn't (batch, classes), or there were no images.
    """

    random_error: float
    image_error: float | None = None
    images: int = 0
    same_top1: int | None = None


def compare(network: nn.Module, run: Run, random: Sequence[Images], images: Images | None) -> Check:
    """Run a file and the eager network on the same inputs.

    Args:
        network: the original, in evaluation mode.
        run: the file, loaded.
        random: batches of random images.
        images: photographs, or None.

    Raises:
        FlyweightError: the file fails, or differs by more than `TOLERANCE`.
    """
    random_error = max(_accepted(*_both(network, run, x), "random input") for x in random)
    if images is None:
        return Check(random_error)
    errors, same = [], 0
    for start in range(0, len(images.read), IMAGES_AT_ONCE):
        some = slice(start, start + IMAGES_AT_ONCE)
        expected, found = _both(network, run, Images(images.given[some], images.read[some]))
        errors.append(_accepted(expected, found, "images"))
        scores = expected[0].ndim == 2
        same += int((expected[0].argmax(1) == found[0].argmax(1)).sum()) if scores else 0
    return Check(random_error, max(errors), len(images.read), same if scores else None)


def _both(
    network: nn.Module, run: Run, images: Images
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    with torch.no_grad():
        out = tree_leaves(network(torch.from_numpy(images.read)))
    expected = tuple(value.numpy() for value in out if isinstance(value, Tensor))
    try:
        return expected, run(images.given)
    except Exception as error:
        raise FlyweightError(
            f"the file fails on {len(images.read)} images, nothing was written: {first_line(error)}"
        ) from error


def _accepted(expected: tuple[Array, ...], found: tuple[Array, ...], what: str) -> float:
    """The largest relative error of all outputs.

    Raises:
        FlyweightError: it is more than the tolerance, or the outputs have other shapes or can't be
            compared.
    """
    shapes = [[value.shape for value in values] for values in (expected, found)]
    if shapes[0] != shapes[1]:
        raise FlyweightError(
            f"the file's outputs have the shapes {_listed(shapes[1])}, eager's"
            f" {_listed(shapes[0])}; nothing was written"
        )
    if not all(np.isfinite(value).all() for value in expected):
        raise FlyweightError(
            f"the network's own scores on {what} are not all finite, so there is nothing to compare"
            " the file with; nothing was written"
        )
    error = max(_relative(a, b) for a, b in zip(expected, found, strict=True))
    if not error <= TOLERANCE:
        raise FlyweightError(
            f"the file differs from eager by {error:.1e} of the largest score on {what}, more than"
            f" {TOLERANCE:.0e}; nothing was written"
        )
    return error


def _relative(expected: Array, found: Array) -> float:
    """The largest difference, relative to the largest value; 0 where nothing differs at all."""
    if expected.size == 0 or np.array_equal(expected, found):
        return 0.0
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    largest = np.abs(expected.astype(np.float64)).max()
    return float(difference / largest) if largest > 0 else float("inf")


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes)
