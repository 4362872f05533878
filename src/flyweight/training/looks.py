"""How each image is shown in each epoch: drawn for the image, whoever reads it and when."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

RATIOS = (3 / 4, 4 / 3)
"""Of a crop's width to its height (GoogLeNet, Section 6)."""
ATTEMPTS = 10


@dataclass(frozen=True)
class Look:
    """One showing of an image.

    Attributes:
        box: (left, top, right, bottom) as parts of the image's width and height.
        flipped: whether left and right change places.
        colour: factors of brightness, contrast and saturation.
    """

    box: tuple[float, float, float, float]
    flipped: bool
    colour: tuple[float, float, float]


class Drawn:
    """Random numbers that belong to an image and an epoch, and to nothing else.

    There is no state to keep: a run that goes on in the middle of an epoch, or on other processes,
    draws what the uninterrupted one would have drawn.

    Args:
        seed: of the run.
        epoch: from 0.
        number: of the image.
    """

    def __init__(self, seed: int, epoch: int, number: int) -> None:
        self.random = random.Random((seed << 80) + (epoch << 40) + number)

    def look(self, width: int, height: int, smallest: float, colour: float) -> Look:
        """A random crop, flip and colours ("scale augmentation": GoogLeNet, Section 6).

        Args:
            width: of the image, in pixels.
            height: likewise.
            smallest: the least part of the area that a crop shows.
            colour: by how much the factors may differ from 1.
        """
        draw = self.random.random
        flipped = draw() < 0.5
        brightness, contrast, saturation = (1 + colour * (2 * draw() - 1) for _ in range(3))
        box = _box(draw, width, height, smallest)
        return Look(box, flipped, (brightness, contrast, saturation))


def _box(
    draw: Callable[[], float], width: int, height: int, smallest: float
) -> tuple[float, float, float, float]:
    """A crop of random area and shape; the largest one in the middle where none fits."""
    low, high = math.log(RATIOS[0]), math.log(RATIOS[1])
    for _ in range(ATTEMPTS):
        area = width * height * (smallest + (1 - smallest) * draw())
        ratio = math.exp(low + (high - low) * draw())
        across, down = math.sqrt(area * ratio) / width, math.sqrt(area / ratio) / height
        if across <= 1 and down <= 1:
            left, top = (1 - across) * draw(), (1 - down) * draw()
            return left, top, left + across, top + down
    shape = min(max(width / height, RATIOS[0]), RATIOS[1])
    across, down = min(1.0, shape * height / width), min(1.0, width / height / shape)
    left, top = (1 - across) / 2, (1 - down) / 2
    return left, top, left + across, top + down
