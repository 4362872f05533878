"""Several forms of one network on the same images, and what changes from one form to another."""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from flyweight.errors import UsageError
from flyweight.evaluating.data import Labelled
from flyweight.evaluating.loop import Squares, Step, ahead, first_classes, read_image
from flyweight.evaluating.result import Answer, Evaluation, Share, tally
from flyweight.zoo.preprocessing import Preprocessing

Scores: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""One image, (1, 3, side, side), to its scores, (1, classes)."""

AHEAD = 32
"""Images that are decoded before they are needed."""


@dataclass(frozen=True)
class Answered:
    """What one form said of every image.

    Attributes:
        images: what was asked.
        answers: one for each.
        evaluation: the same, counted.
    """

    images: tuple[Labelled, ...]
    answers: tuple[Answer, ...]
    evaluation: Evaluation


@dataclass(frozen=True)
class Change:
    """The same images before and after something was done to a network, by their first class.

    Attributes:
        both: images that are right before and after.
        lost: right before, wrong after.
        won: wrong before, right after.
        neither: wrong before and after.
        same: images of which both say the same first class, right or wrong.
    """

    both: int
    lost: int
    won: int
    neither: int
    same: int

    @property
    def n(self) -> int:
        """Images."""
        return self.both + self.lost + self.won + self.neither

    @property
    def before(self) -> Share:
        """Those that were right before."""
        return Share(self.both + self.lost, self.n)

    @property
    def after(self) -> Share:
        """Those that are right after."""
        return Share(self.both + self.won, self.n)

    @property
    def difference(self) -> float:
        """Accuracy after less accuracy before, from -1 to 1: below 0 it has fallen."""
        return (self.won - self.lost) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference that other images of the kind would give.

        Both shares' Wilson intervals, joined by the correlation of the pairs: method 10 of R. G.
        Newcombe, "Improved confidence intervals for the difference between binomial proportions
        based on paired data", Statistics in Medicine 17 (1998).
        """
        before, after, phi = self.before, self.after, self._correlation
        down, up = (
            math.sqrt(a * a - 2 * phi * a * b + b * b)
            for a, b in (
                (after.accuracy - after.interval[0], before.interval[1] - before.accuracy),
                (after.interval[1] - after.accuracy, before.accuracy - before.interval[0]),
            )
        )
        return self.difference - down, self.difference + up

    @property
    def differs(self) -> bool:
        """Whether a difference was measured: the interval doesn't hold 0."""
        low, high = self.interval
        return not low <= 0.0 <= high

    @property
    def _correlation(self) -> float:
        """Of being right before and after, corrected towards 0 where it is positive."""
        margins = (
            (self.both + self.lost)
            * (self.won + self.neither)
            * (self.both + self.won)
            * (self.lost + self.neither)
        )
        if margins == 0:
            return 0.0
        product = self.both * self.neither - self.lost * self.won
        corrected = max(product - self.n / 2, 0.0) if product > 0 else product
        return corrected / math.sqrt(margins)


def evaluate_together(
    forms: Mapping[str, Scores],
    classes: int,
    images: Sequence[Labelled],
    preprocessing: Preprocessing,
    squares: Squares = "crop",
    workers: int = 1,
    show: Callable[[Step], None] = lambda step: None,
) -> dict[str, Answered]:
    """Ask several forms of a network about the same images, each of which is decoded once.

    Args:
        forms: by name.
        classes: outputs of each.
        images: what to classify, and the right answers, each below `classes`.
        preprocessing: what the network's weights expect.
        squares: as for `evaluate`.
        workers: threads that decode.
        show: called after each image; its step counts what the first form names right.

    Raises:
        UsageError: no images or forms, or images of another size with `squares` "none".
        FlyweightError: scores that are not finite, or no image that can be read.
    """
    if not images or not forms:
        raise UsageError("there are no images to evaluate on, or nothing to evaluate")
    read = functools.partial(read_image, preprocessing=preprocessing, squares=squares)
    answers: dict[str, list[Answer]] = {name: [] for name in forms}
    seconds = dict.fromkeys(forms, 0.0)
    right = skipped = 0
    began = time.perf_counter()
    first = next(iter(forms))
    with contextlib.closing(ahead(read, images, workers, AHEAD)) as decoded:
        for image, array in zip(images, decoded, strict=True):
            for name, scores in forms.items():
                start = time.perf_counter()
                answers[name].append(_answer(scores, image, array))
                seconds[name] += time.perf_counter() - start
            last = answers[first][-1]
            right += last.top[:1] == (image.label,)
            skipped += bool(last.reason)
            done = len(answers[first])
            speed = done / max(time.perf_counter() - began, 1e-9)
            show(Step(done, len(images), right, skipped, speed))
    asked = tuple(images)
    return {
        name: Answered(asked, tuple(said), tally(images, said, classes, seconds[name]))
        for name, said in answers.items()
    }


def _answer(scores: Scores, image: Labelled, array: NDArray[np.float32] | str) -> Answer:
    if isinstance(array, str):
        return Answer((), array)
    (found,) = torch.from_numpy(np.asarray(scores(array[None])))
    return Answer(first_classes(found, image))


def change(before: Answered, after: Answered) -> Change:
    """What became of the images' first classes; images that could not be read are left out.

    Raises:
        UsageError: these are not the same images.
    """
    if before.images != after.images:
        raise UsageError("two evaluations are compared only where they are of the same images")
    pairs = [
        (image.label, a.top[0], b.top[0])
        for image, a, b in zip(before.images, before.answers, after.answers, strict=True)
        if a.top and b.top
    ]
    right = [(a == label, b == label) for label, a, b in pairs]
    return Change(
        both=right.count((True, True)),
        lost=right.count((True, False)),
        won=right.count((False, True)),
        neither=right.count((False, False)),
        same=sum(a == b for _, a, b in pairs),
    )
