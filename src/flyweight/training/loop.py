"""The loop of a run: steps, evaluations, checkpoints, and an end that loses nothing."""

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from flyweight.errors import FlyweightError
from flyweight.evaluating.result import TOP, Share
from flyweight.training.augment import inputs
from flyweight.training.batches import (
    Batch,
    Showing,
    pieces,
    training_batches,
    validation_batches,
)
from flyweight.training.distributed import Team
from flyweight.training.images import Data, ImageSet
from flyweight.training.schedule import rate
from flyweight.training.settings import Settings, Teacher
from flyweight.training.steps import Learner, StepResult, take_step
from flyweight.zoo.condensenet_training import follow_schedule
from flyweight.zoo.preprocessing import Preprocessing

EVALUATED_AT_ONCE = 64


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: steps that are done.
        steps: of the whole run.
        epoch: from 1.
        result: of the last step; None while something else is done.
        images_per_s: that are learned from, over the steps of this call so far.
        doing: what is being done.
    """

    step: int
    steps: int
    epoch: int
    result: StepResult | None
    images_per_s: float
    doing: str = "training"


class Keeping(Protocol):
    """What keeps a run's files; only the first process has one that writes."""

    def checkpoint(self, learning: Learner, now: bool = False) -> None:
        """Write a checkpoint, if the last one is a while ago, or now."""

    def epoch(self, learning: Learner) -> None:
        """Write the history and the weights, after an evaluation."""

    def unread(self, images: tuple[tuple[str, str], ...]) -> int:
        """Note images that can't be read; how many this process has met since the run began."""


@dataclass(frozen=True)
class Accuracy:
    """Images of the validation that a network named right.

    Attributes:
        top1: at the first attempt.
        top5: within five attempts; None where there are too few classes for that to say anything.
    """

    top1: Share
    top5: Share | None


@dataclass(frozen=True)
class Outcome:
    """How a run, or a part of one, ended.

    Attributes:
        step: steps that are done.
        interrupted: whether there is more to do.
    """

    step: int
    interrupted: bool


def accuracy_of(row: Mapping[str, float]) -> Accuracy:
    """The accuracy that a row of a history has."""
    n = int(row["val_images"])
    top1, top5 = (round(n * row[key]) if key in row else None for key in ("val_top1", "val_top5"))
    assert top1 is not None
    return Accuracy(Share(top1, n), None if top5 is None else Share(top5, n))


class Stop:
    """Whether the run was told to end (Ctrl-C, SIGTERM); a second time ends it at once."""

    def __init__(self) -> None:
        self.asked = False

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while a step must not be broken off in its middle."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self._ask) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


@dataclass(frozen=True)
class Course:
    """What a network is trained with, from the first step to the last.

    Attributes:
        data: what is learned from, and what the accuracy is measured on.
        preprocessing: what the network expects.
        settings: of the run.
        team: the processes.
        keeping: the run's files.
        workers: threads that decode.
        teacher: a network to learn from beside the labels.
        show: called after every step.
    """

    data: Data
    preprocessing: Preprocessing
    settings: Settings
    team: Team
    keeping: Keeping
    workers: int
    teacher: Teacher | None = None
    show: Callable[[Progress], None] = lambda progress: None

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return len(self.data.train) // self.settings.batch


def learn(learning: Learner, course: Course) -> Outcome:
    """Train a network until the last step, or until it is told to end.

    Args:
        learning: the network, at its first step or as a checkpoint left it.
        course: what it is trained with.

    Raises:
        FlyweightError: too many images that can't be read, a loss that isn't finite, or a file
            that can't be written.
    """
    stop, settings, team = Stop(), course.settings, course.team
    began, done = time.perf_counter(), 0
    before = learning.seconds
    with stop.listening(), closing(_steps(learning.step, course)) as batches:
        while learning.step < settings.steps or _owes_a_row(learning, course):
            # The processes end together, or the others would wait for the one that did.
            if team.sums([float(stop.asked)])[0]:
                course.keeping.checkpoint(learning, now=True)
                return Outcome(learning.step, True)
            if _owes_a_row(learning, course):
                _end_of_epoch(learning, course)
                learning.seconds = before + time.perf_counter() - began
                course.keeping.checkpoint(learning, now=learning.step == settings.steps)
                continue
            started = time.perf_counter()
            step = next(batches)
            count = _counted(step, course)
            result = take_step(
                learning, step, count, course.per_epoch, settings, course.preprocessing,
                course.teacher, team,
            )  # fmt: skip
            now = time.perf_counter()
            learning.epoch_seconds += now - started
            learning.seconds = before + now - began
            done += count
            epoch = (learning.step - 1) // course.per_epoch + 1
            speed = done / (now - began)
            course.show(Progress(learning.step, settings.steps, epoch, result, speed))
            course.keeping.checkpoint(learning)
    return Outcome(learning.step, False)


def _owes_a_row(learning: Learner, course: Course) -> bool:
    """Whether an epoch, or what there is of the last one, is over and wasn't evaluated."""
    over = learning.step // course.per_epoch
    if learning.step == course.settings.steps and learning.step % course.per_epoch:
        over += 1
    return len(learning.rows) < over


def _steps(first: int, course: Course) -> Generator[list[Batch]]:
    """This process's pieces of each step, from a step on."""
    images, settings, team = course.data.train, course.settings, course.team
    recipe = settings.recipe
    how = Showing(settings.seed, course.preprocessing.crop, recipe.smallest, recipe.colour)
    count = team.world * settings.accumulate
    # Piece m of process r is the one that a single process would compute as its (m w + r)th.
    chosen = [
        pieces(images, settings.seed, first, settings.batch, count, index * team.world + team.rank)
        for index in range(settings.accumulate)
    ]
    alternating = (piece for together in zip(*chosen, strict=True) for piece in together)
    with closing(training_batches(images, how, alternating, course.workers)) as batches:
        while True:
            yield list(islice(batches, settings.accumulate))


def _counted(step: list[Batch], course: Course) -> int:
    """How many images of a step could be read, over all processes.

    Raises:
        FlyweightError: more images than allowed can't be read, or all of a piece.
    """
    settings = course.settings
    met = course.keeping.unread(tuple(one for batch in step for one in batch.unread))
    count, unread = course.team.sums([sum(len(batch.labels) for batch in step), met])
    if unread > settings.skip_limit:
        reasons = [reason for batch in step for _, reason in batch.unread]
        last = f", such as {reasons[-1]}" if reasons else ""
        raise FlyweightError(
            f"{int(unread)} images can't be read, and --skip-limit is {settings.skip_limit}{last}"
        )
    if not all(len(batch.labels) for batch in step):
        raise FlyweightError("none of the images of a batch can be read")
    return int(count)


def _end_of_epoch(learning: Learner, course: Course) -> None:
    """Settle batch norm at the end of the run, measure the accuracy, write the history."""
    settings = course.settings
    epoch = len(learning.rows) + 1

    def doing(what: str) -> None:
        course.show(Progress(learning.step, settings.steps, epoch, None, 0.0, what))

    if learning.step == settings.steps and learning.condenses:
        follow_schedule(learning.model, 1.0)
    if learning.step == settings.steps and settings.recipe.settle and not learning.settled:
        doing("taking batch norm's statistics anew")
        settle(learning, course)
    doing("evaluating")
    accuracy = score(
        learning.final, course.data.val, course.preprocessing, course.team, course.workers
    )
    loss, right, images = learning.sums
    row = {
        "epoch": epoch,
        "step": learning.step,
        "learning_rate": settings.learning_rate
        * rate(settings.recipe, learning.step - 1, settings.steps, course.per_epoch),
        "train_loss": loss / images,
        "train_top1": right / images,
        "val_images": accuracy.top1.n,
        "val_top1": accuracy.top1.accuracy,
        **({"val_top5": accuracy.top5.accuracy} if accuracy.top5 else {}),
        "images_per_s": images / learning.epoch_seconds,
        "seconds": learning.seconds,
    }
    learning.rows.append(row)
    learning.sums, learning.epoch_seconds = [0.0, 0.0, 0.0], 0.0
    course.keeping.epoch(learning)


def settle(learning: Learner, course: Course) -> None:
    """Take batch norm's statistics anew: their means over an epoch, with weights at rest."""
    per_epoch, preprocessing, team = course.per_epoch, course.preprocessing, course.team
    first = -(-learning.step // per_epoch) * per_epoch
    with closing(_steps(first, course)) as batches:
        x = (
            inputs(batch, preprocessing, team.device)
            for step in islice(batches, per_epoch)
            for batch in step
            if len(batch.labels)
        )
        update_bn(x, learning.final)
    team.average_buffers(learning.final)
    learning.settled = True


def score(
    model: nn.Module,
    images: ImageSet,
    preprocessing: Preprocessing,
    team: Team,
    workers: int,
) -> Accuracy:
    """The accuracy on images, each shown as `flyweight evaluate` shows it.

    Images that can't be read are left out.

    Raises:
        FlyweightError: none can be read.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    mine = range(team.rank, len(images), team.world)
    counts = torch.zeros(3, dtype=torch.int64, device=team.device)
    batches = validation_batches(images, mine, preprocessing, EVALUATED_AT_ONCE, workers)
    with torch.no_grad(), closing(batches):
        for batch in batches:
            labels = batch.labels.to(team.device)
            scores = model(inputs(batch, preprocessing, team.device))
            first = scores.topk(min(TOP, scores.shape[1]), 1).indices == labels[:, None]
            right = torch.stack([first[:, 0].sum(), first.any(1).sum()])
            counts += torch.cat([right, right.new_tensor([len(labels)])])
    for module, training in modes.items():
        module.training = training
    top1, top5, n = (int(value) for value in team.sums(counts.tolist()))
    if not n:
        raise FlyweightError("none of the images of the validation can be read")
    return Accuracy(Share(top1, n), Share(top5, n) if len(images.classes) > TOP else None)
