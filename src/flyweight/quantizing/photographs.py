"""The images that a network is calibrated on, and that they are none of those it is judged by."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flyweight.errors import FlyweightError, UsageError
from flyweight.evaluating import Labelled, Skipped, Squares
from flyweight.zoo.preprocessing import Preprocessing, normalised, open_image, square


@dataclass(frozen=True)
class Photographs:
    """Where images come from.

    Attributes:
        calibrate: files and folders of images that quantisation sees; no labels are needed.
        data: the folder of labelled images that accuracy is counted on, others than those.
        labels: a file of labels, where folders and names don't say the classes.
        squares: how images become squares, of both kinds.
        limit: count accuracy on so many, evenly spread; None for all.
    """

    calibrate: tuple[Path, ...]
    data: Path
    labels: Path | None = None
    squares: Squares = "crop"
    limit: int | None = None


@dataclass(frozen=True)
class Calibration:
    """Images to calibrate on, as bytes.

    Attributes:
        pixels: (images, side, side, 3), RGB.
        preprocessing: what the network expects.
        skipped: files that could not be read.
    """

    pixels: NDArray[np.uint8]
    preprocessing: Preprocessing
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def inputs(self) -> Iterator[NDArray[np.float32]]:
        """The network's inputs, (1, 3, side, side), one after another."""
        for pixels in self.pixels:
            yield normalised(pixels[None], self.preprocessing)


def calibration(
    files: Sequence[Path], count: int, preprocessing: Preprocessing, squares: Squares
) -> Calibration:
    """Read images to calibrate on.

    Args:
        files: all that there are.
        count: take so many at most, evenly spread.
        preprocessing: what the network expects.
        squares: as for `flyweight.evaluating.evaluate`.

    Raises:
        UsageError: an image of another size with `squares` "none".
        FlyweightError: none can be read.
    """
    count = min(count, len(files))
    side = preprocessing.crop
    pixels: list[NDArray[np.uint8]] = []
    skipped: list[Skipped] = []
    for file in (files[i * len(files) // count] for i in range(count)):
        try:
            image = open_image(file)
        except FlyweightError as error:
            skipped.append(Skipped(str(file), str(error)))
            continue
        if squares == "none" and image.size != (side, side):
            raise UsageError(
                f"{file} is {image.width} x {image.height} pixels, and the network's input {side} x"
                f" {side}: images of other sizes must be cropped or squashed"
            )
        pixels.append(square(image, preprocessing, "squash" if squares == "none" else squares))
    if not pixels:
        raise FlyweightError(
            f"none of {count} images to calibrate on could be read: {skipped[0].reason}"
        )
    return Calibration(np.stack(pixels), preprocessing, tuple(skipped))


def check_apart(calibrate: Sequence[Path], judged: Sequence[Labelled]) -> None:
    """Refuse images that are in both sets, by their content: accuracy on them says too much.

    Raises:
        UsageError: there is one.
        FlyweightError: a file that can't be read.
    """
    seen = {_digest(path): path for path in calibrate}
    both = [(image.path, seen[key]) for image in judged if (key := _digest(image.path)) in seen]
    if both:
        one, other = both[0]
        named = str(one) if one == other else f"{one} and {other}"
        raise UsageError(
            f"{len(both)} of {len(judged)} images to count accuracy on are among those to calibrate"
            f" on ({named}): give other images to one of them"
        )


def _digest(path: Path) -> str:
    """A checksum of the content; of the name where there is none, which evaluating reports."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return str(path)
