"""What a network is trained on: images with labels, wherever they are kept."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Before = Callable[[Image.Image], object]
"""Done with an image before it is decoded."""
WINDOW = 4
"""Blocks whose images are shuffled together."""


@dataclass(frozen=True)
class ImageSet:
    """Images that can be opened in any order, each with the class that it shows.

    Attributes:
        classes: what the classes are called, in the order of the labels.
        labels: the class of each image, as its position among `classes`.
        open: the image of a number, as RGB; it raises FlyweightError for one that can't be read.
            What it is given is done with the image before it is decoded.
        called: what to call the image of a number in messages.
        blocks: how many images are kept together; one number where all are equally near. Images
            are shuffled within a few blocks, so that each block is read once an epoch.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    open: Callable[[int, Before], Image.Image]
    called: Callable[[int], str]
    blocks: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """A checksum of what the images are called and of their labels, in their order."""
        digest = hashlib.sha256("\n".join(self.classes).encode())
        for number, label in enumerate(self.labels.tolist()):
            digest.update(f"{self.called(number)}\n{label}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]

    def part(self, numbers: Sequence[int]) -> "ImageSet":
        """Some of the images, given in their order; blocks lose what isn't among them."""
        chosen = np.asarray(numbers, np.int64)
        ends = np.searchsorted(chosen, np.cumsum(self.blocks))
        blocks = tuple(int(size) for size in np.diff(ends, prepend=0) if size)
        return replace(
            self,
            labels=self.labels[chosen],
            open=lambda number, before: self.open(int(chosen[number]), before),
            called=lambda number: self.called(int(chosen[number])),
            blocks=blocks,
        )


@dataclass(frozen=True)
class Data:
    """What a run reads.

    Attributes:
        train: what is learned from.
        val: what the accuracy is measured on; other images than those.
        said: where they come from, in words.
    """

    train: ImageSet
    val: ImageSet
    said: str


def held_out(images: ImageSet, share: float) -> tuple[ImageSet, ImageSet]:
    """Keep a share of the images of each class for the validation, and always the same ones.

    Which ones follows from what the images are called: one that is added later moves few others.
    Of each class with two images or more, at least one is on either side.

    Args:
        images: all of them.
        share: from 0 to 1, of each class.
    """
    kept: list[int] = []
    for label in range(len(images.classes)):
        numbers = np.flatnonzero(images.labels == label).tolist()
        numbers.sort(key=lambda number: hashlib.sha256(images.called(number).encode()).digest())
        count = min(max(round(share * len(numbers)), 1), len(numbers) - 1)
        kept += numbers[: max(count, 0)]
    chosen = set(kept)
    rest = [number for number in range(len(images)) if number not in chosen]
    return images.part(rest), images.part(sorted(kept))
