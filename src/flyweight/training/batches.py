"""Batches of bytes: decoded in the background, in an order that a step number determines."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from flyweight.errors import FlyweightError
from flyweight.training.images import WINDOW, ImageSet
from flyweight.training.looks import Drawn, Look
from flyweight.zoo.preprocessing import Preprocessing, square

AHEAD = 3
"""Batches that are decoded before they are needed."""
UPRIGHT = {1, 2, 3, 4}
"""EXIF orientations that don't exchange width and height."""
_ORIENTATION = 0x0112

WHOLE = Look((0.0, 0.0, 1.0, 1.0), False, (1.0, 1.0, 1.0))

Pixels = NDArray[np.uint8]
Shown = tuple[Pixels, Look]


@dataclass(frozen=True)
class Batch:
    """Images of one piece of a step.

    Attributes:
        pixels: uint8 (batch, side, side, 3), RGB.
        labels: int64 (batch,).
        flipped: bool (batch,).
        colour: float32 (batch, 3): factors of brightness, contrast and saturation.
        unread: what the images that could not be read are called, and why.
    """

    pixels: Tensor
    labels: Tensor
    flipped: Tensor
    colour: Tensor
    unread: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Showing:
    """How images are shown in training.

    Attributes:
        seed: of the run.
        side: of the square that the network reads, in pixels.
        smallest: as in `Recipe`.
        colour: likewise.
    """

    seed: int
    side: int
    smallest: float
    colour: float


def order(images: ImageSet, seed: int, epoch: int) -> NDArray[np.int64]:
    """The numbers of all images in the order of an epoch."""
    random = np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64)))
    ends = np.cumsum(images.blocks)
    blocks = [np.arange(end - size, end) for end, size in zip(ends, images.blocks, strict=True)]
    turns = random.permutation(len(blocks))
    windows = [turns[i : i + WINDOW] for i in range(0, len(turns), WINDOW)]
    return np.concatenate(
        [random.permutation(np.concatenate([blocks[i] for i in window])) for window in windows]
    )


def pieces(
    images: ImageSet, seed: int, first: int, batch: int, count: int, piece: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The epoch and the images of one piece of each step, from a step on, without an end.

    An epoch has as many whole steps as there are; what is left over is in other epochs, since
    each has another order.

    Args:
        images: all of them.
        seed: of the run.
        first: the step to begin with, from 0.
        batch: images in a step.
        count: pieces of a step: processes, times what each accumulates.
        piece: which of them, from 0.
    """
    batch = min(batch, len(images))
    per_epoch = len(images) // batch
    size = batch // count
    step = first
    while True:
        epoch = step // per_epoch
        numbers = order(images, seed, epoch)
        for index in range(step - epoch * per_epoch, per_epoch):
            start = index * batch + piece * size
            yield epoch, numbers[start : start + size]
            step += 1


def shown(images: ImageSet, number: int, drawn: Drawn, how: Showing) -> Shown:
    """One image as training shows it: cropped and resized, not yet flipped or coloured.

    Raises:
        FlyweightError: it can't be read.
    """
    looks: list[Look] = []

    def before(image: Image.Image) -> None:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) > max(UPRIGHT)
        seen = (height, width) if turned else (width, height)
        look = drawn.look(*seen, how.smallest, how.colour)
        looks.append(look)
        left, top, right, bottom = look.box
        # A JPEG is decoded at a half, a quarter or an eighth, where the crop needs no more.
        scale = max(how.side / (seen[0] * (right - left)), how.side / (seen[1] * (bottom - top)))
        if scale < 1:
            image.draft(None, (max(int(width * scale), 1), max(int(height * scale), 1)))

    image = images.open(number, before)
    if not looks:  # it was decoded already
        before(image)
    left, top, right, bottom = looks[0].box
    width, height = image.size
    box = (left * width, top * height, right * width, bottom * height)
    # Where it shrinks, an average over areas is half the work of Pillow's smoothed bilinear.
    shrinks = min(box[2] - box[0], box[3] - box[1]) > how.side
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    part = image.resize((how.side, how.side), method, box=box, reducing_gap=2.0)
    return np.asarray(part), looks[0]


def training_batches(
    images: ImageSet,
    how: Showing,
    chosen: Iterator[tuple[int, NDArray[np.int64]]],
    workers: int,
) -> Generator[Batch]:
    """Batches of images as training shows them, without an end.

    Args:
        images: all of them.
        how: they are shown.
        chosen: the epoch and the images of each batch.
        workers: threads that decode.
    """

    def read(number: int, epoch: int) -> Shown:
        return shown(images, number, Drawn(how.seed, epoch, number), how)

    return _batches(images, chosen, read, how.side, workers)


def validation_batches(
    images: ImageSet, numbers: Sequence[int], preprocessing: Preprocessing, batch: int, workers: int
) -> Generator[Batch]:
    """Batches of images as an evaluation shows them: the square in the middle of each.

    Args:
        images: all of them.
        numbers: those wanted, in this order.
        preprocessing: how they become squares.
        batch: images in a batch.
        workers: threads that decode.
    """

    def read(number: int, epoch: int) -> Shown:
        return square(images.open(number, lambda image: None), preprocessing), WHOLE

    parts = ((0, np.asarray(numbers[i : i + batch])) for i in range(0, len(numbers), batch))
    return _batches(images, parts, read, preprocessing.crop, workers)


def _batches(
    images: ImageSet,
    chosen: Iterator[tuple[int, NDArray[np.int64]]],
    read: Callable[[int, int], Shown],
    side: int,
    workers: int,
) -> Generator[Batch]:
    """Batches in the order chosen, of which a few are read before they are needed."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[NDArray[np.int64], list[Future[Shown]]]] = deque()
        try:
            for epoch, numbers in chosen:
                futures = [pool.submit(read, number, epoch) for number in numbers.tolist()]
                waiting.append((numbers, futures))
                if len(waiting) > AHEAD:
                    yield _batch(images, *waiting.popleft(), side)
            while waiting:
                yield _batch(images, *waiting.popleft(), side)
        finally:
            for _, futures in waiting:
                for future in futures:
                    future.cancel()


def _batch(
    images: ImageSet,
    numbers: NDArray[np.int64],
    futures: Sequence[Future[Shown]],
    side: int,
) -> Batch:
    pixels = np.empty((len(numbers), side, side, 3), np.uint8)
    looks: list[Look] = []
    labels: list[int] = []
    unread: list[tuple[str, str]] = []
    for number, future in zip(numbers.tolist(), futures, strict=True):
        try:
            pixels[len(looks)], look = future.result()
        except FlyweightError as error:
            unread.append((images.called(number), str(error)))
            continue
        looks.append(look)
        labels.append(int(images.labels[number]))
    return Batch(
        torch.from_numpy(pixels[: len(looks)]),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor([look.flipped for look in looks], dtype=torch.bool),
        torch.tensor([look.colour for look in looks], dtype=torch.float32).reshape(-1, 3),
        tuple(unread),
    )
