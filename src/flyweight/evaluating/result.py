"""What an evaluation found, and how sure the accuracies are."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flyweight.errors import FlyweightError
from flyweight.evaluating.data import Labelled

TOP = 5
Z_95 = 1.959964
"""Standard deviations of the normal distribution that hold 95 % of it."""


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share, both ends within 0 and 1.

    Unlike the share plus and minus its standard error, it holds near 0 and 1 and for few images.

    Args:
        correct: how many of them.
        n: of how many, 1 or more.
    """
    share, z2 = correct / n, Z_95**2
    centre = share + z2 / (2 * n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = ((centre + sign * half) / (1 + z2 / n) for sign in (-1, 1))
    # Rounding may leave the ends of 0 and of all images just beside 0 and 1.
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


@dataclass(frozen=True)
class Share:
    """So many right of so many."""

    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        """From 0 to 1."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy that other images of the kind would give."""
        return wilson(self.correct, self.n)


@dataclass(frozen=True)
class Answer:
    """What the network said of one image: its first classes, or why it could not be asked."""

    top: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ClassResult:
    """The images of one class, and how many of them were named right."""

    label: int
    n: int
    top1_correct: int
    top5_correct: int | None
    """None where there are fewer than six classes: all would be right."""


@dataclass(frozen=True)
class Evaluation:
    """How many images were named right.

    Attributes:
        n: images that were read and classified.
        top1_correct: those whose label the network put first.
        top5_correct: those whose label is among its first five; None for fewer than six classes.
        per_class: the same for each class that has images, by label.
        skipped: images that could not be read; they are not in `n`.
        seconds: wall time of it all, with reading and decoding, over all sittings.
    """

    n: int
    top1_correct: int
    top5_correct: int | None
    per_class: tuple[ClassResult, ...]
    skipped: tuple[Skipped, ...]
    seconds: float

    @property
    def top1(self) -> Share:
        """The share of images whose label was put first."""
        return Share(self.top1_correct, self.n)

    @property
    def top5(self) -> Share | None:
        """The share of images whose label was among the first five."""
        return None if self.top5_correct is None else Share(self.top5_correct, self.n)

    @property
    def images_per_s(self) -> float:
        """Images per second of wall time, those that could not be read included."""
        return (self.n + len(self.skipped)) / self.seconds


def tally(
    images: Sequence[Labelled], answers: Sequence[Answer], classes: int, seconds: float
) -> Evaluation:
    """Count the right answers.

    Args:
        images: what was asked.
        answers: one for each.
        classes: outputs of the network.
        seconds: what it took.

    Raises:
        FlyweightError: no image could be read.
    """
    pairs = list(zip(images, answers, strict=True))
    skipped = tuple(Skipped(image.name, answer.reason) for image, answer in pairs if answer.reason)
    asked = [(image.label, answer.top) for image, answer in pairs if not answer.reason]
    if not asked:
        raise FlyweightError(f"none of {len(images)} images could be read: {skipped[0].reason}")
    n = Counter(label for label, _ in asked)
    top1 = Counter(label for label, top in asked if label == top[0])
    top5 = Counter(label for label, top in asked if label in top)
    with_top5 = classes > TOP
    return Evaluation(
        n=len(asked),
        top1_correct=top1.total(),
        top5_correct=top5.total() if with_top5 else None,
        per_class=tuple(
            ClassResult(label, n[label], top1[label], top5[label] if with_top5 else None)
            for label in sorted(n)
        ),
        skipped=skipped,
        seconds=seconds,
    )
