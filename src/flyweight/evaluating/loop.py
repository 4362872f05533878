"""The loop: images are decoded in the background while the network runs."""

import contextlib
import dataclasses
import functools
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flyweight.errors import FlyweightError, UsageError, first_line
from flyweight.evaluating.data import Labelled
from flyweight.evaluating.result import TOP, Answer, Evaluation, tally
from flyweight.evaluating.state import Answers, State, digest_of_images, digest_of_model
from flyweight.nn.network import label as name_of
from flyweight.zoo.preprocessing import Preprocessing, open_image, prepare

Squares = Literal["crop", "squash", "none"]
"""How images become squares; "none" takes images that have the input's size already."""

Read = NDArray[np.float32] | str
"""An image ready for the network, or why it could not be read."""


@dataclass(frozen=True)
class Step:
    """Where an evaluation stands."""

    done: int
    total: int
    top1_correct: int
    skipped: int
    images_per_s: float


def evaluate(
    model: nn.Module,
    images: Sequence[Labelled],
    preprocessing: Preprocessing,
    squares: Squares = "crop",
    batch: int = 16,
    threads: int | None = None,
    resume: Path | None = None,
    show: Callable[[Step], None] = lambda step: None,
) -> Evaluation:
    """Count the images that a network names right.

    The network runs in evaluation mode and is left as it was. Of equal scores, the class with the
    lower number is first.

    Args:
        model: maps images (batch, 3, side, side) to scores (batch, classes).
        images: what to classify, and the right answers.
        preprocessing: what the network's weights expect.
        squares: as `flyweight.zoo.preprocessing.prepare` does it, or "none".
        batch: images in a batch; it makes no difference to the counts, beyond rounding.
        threads: of the network, and as many that decode; None for as many as PyTorch uses.
        resume: a file that remembers every batch; what it remembers is not done again.
        show: called before the first batch and after each one.

    Raises:
        UsageError: impossible numbers, a network that doesn't run on such images, labels that it
            has no classes for, or a file of another evaluation.
        FlyweightError: scores that are not numbers, or no image that can be read.
    """
    if squares not in ("crop", "squash", "none"):
        raise UsageError(f"images become squares by crop, squash or none, not {squares!r}")
    for what, value in (("the batch", batch), ("threads", 1 if threads is None else threads)):
        if value < 1:
            raise UsageError(f"{what} must be 1 or more, not {value}")
    if not images:
        raise UsageError("there are no images to evaluate on")
    classes = outputs(model, preprocessing.crop)
    for image in images:
        if not 0 <= image.label < classes:
            raise UsageError(
                f"{image.name}: no class {image.label}: the network's {classes} classes are 0 to"
                f" {classes - 1}"
            )
    known: Answers = Answers()
    if resume is not None:
        known = State(resume, _about(model, images, preprocessing, squares), images)
    read = functools.partial(read_image, preprocessing=preprocessing, squares=squares)
    with contextlib.closing(known), _evaluating(model, threads):
        workers = threads or torch.get_num_threads()
        rest = images[len(known.answers) :]
        # Of decoded images there are never more in memory than three batches and a few.
        with contextlib.closing(ahead(read, rest, workers, 2 * batch + workers)) as decoded:
            _answer_all(model, images, decoded, batch, known, show)
    return tally(images, known.answers, classes, known.seconds)


def outputs(model: nn.Module, side: int) -> int:
    """How many classes a network gives scores for, found by running it on a black image.

    Raises:
        UsageError: it doesn't run on colour images of this side, or gives something else.
    """
    with _evaluating(model, None):
        try:
            scores = _scores(model, torch.zeros(1, 3, side, side))
        except Exception as error:  # a network may raise anything
            raise UsageError(
                f"{name_of(model)} doesn't run on colour images of {side} x {side} pixels:"
                f" {first_line(error)}"
            ) from error
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != 1:
        raise UsageError(f"{name_of(model)} doesn't give scores of shape (batch, classes)")
    return scores.shape[1]


def _about(
    model: nn.Module,
    images: Sequence[Labelled],
    preprocessing: Preprocessing,
    squares: Squares,
) -> dict[str, object]:
    """All that the answers depend on."""
    return {
        "network": name_of(model),
        "weights": digest_of_model(model),
        "images": len(images),
        "names and labels": digest_of_images(images),
        "squares": squares,
        **dataclasses.asdict(preprocessing),
    }


@contextlib.contextmanager
def _evaluating(model: nn.Module, threads: int | None) -> Iterator[None]:
    """Evaluation mode and a number of threads, both put back afterwards."""
    training = [module for module in model.modules() if module.training]
    before = torch.get_num_threads()
    model.eval()
    torch.set_num_threads(threads or before)
    try:
        with warnings.catch_warnings():
            # `open_image` hides what Pillow warns of, but in several threads that is not reliable.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        torch.set_num_threads(before)
        for module in training:
            module.training = True


def read_image(image: Labelled, preprocessing: Preprocessing, squares: Squares) -> Read:
    """An image as the network reads it, or why it can't be read.

    Raises:
        UsageError: squares "none", and an image of another size.
    """
    try:
        opened = open_image(image.path)
    except FlyweightError as error:
        return str(error)
    if squares != "none":
        return prepare(opened, preprocessing, squares)
    side, (width, height) = preprocessing.crop, opened.size
    if (width, height) != (side, side):
        raise UsageError(
            f"{image.path} is {width} x {height} pixels, and the network's input {side} x {side}:"
            " images of other sizes must be cropped or squashed"
        )
    return prepare(opened, preprocessing, "squash")  # to its own size: nothing is resized


def ahead(
    read: Callable[[Labelled], Read], images: Sequence[Labelled], workers: int, ahead: int
) -> Generator[Read]:
    """Images in their order, read in the background, at most `ahead` before they are needed."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Read]] = deque()
        try:
            for image in images:
                waiting.append(pool.submit(read, image))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _answer_all(
    model: nn.Module,
    images: Sequence[Labelled],
    decoded: Iterator[Read],
    batch: int,
    known: Answers,
    show: Callable[[Step], None],
) -> None:
    """Answer what isn't known yet, batch by batch."""
    total = len(images)
    while True:
        done = len(known.answers)
        speed = done / known.seconds if known.seconds else 0.0
        show(Step(done, total, known.right, known.skipped, speed))
        if done == total:
            return
        part = images[done : done + batch]
        began = time.perf_counter()
        answers = _answers(model, part, [next(decoded) for _ in part])
        known.add(part, answers, time.perf_counter() - began)


def _answers(model: nn.Module, images: Sequence[Labelled], inputs: Sequence[Read]) -> list[Answer]:
    """The first classes of each image of a batch, or why it could not be read."""
    readable = [array for array in inputs if not isinstance(array, str)]
    scores = iter(_scores(model, torch.from_numpy(np.stack(readable))) if readable else ())
    return [
        Answer((), array) if isinstance(array, str) else Answer(first_classes(next(scores), image))
        for image, array in zip(images, inputs, strict=True)
    ]


def first_classes(scores: Tensor, image: Labelled) -> tuple[int, ...]:
    """The classes with the largest scores, the largest first; of equal ones the lower number.

    Raises:
        FlyweightError: scores that are infinite or not numbers.
    """
    if not bool((scores < math.inf).all()):
        raise FlyweightError(f"the network's scores of {image.path} are not all finite numbers")
    return tuple(scores.sort(descending=True, stable=True).indices[:TOP].tolist())


def _scores(model: nn.Module, inputs: Tensor) -> Tensor:
    """A network's scores, computed where its weights are and in their precision."""
    weights = next((p for p in model.parameters() if p.is_floating_point()), inputs)
    with torch.inference_mode():
        scores: Tensor = model(inputs.to(weights.device, weights.dtype))
    return scores
