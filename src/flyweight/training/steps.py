"""One step: forward and backward over the pieces of a batch, and the weights' change."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from flyweight.errors import FlyweightError
from flyweight.training.augment import inputs
from flyweight.training.batches import Batch
from flyweight.training.distributed import Team
from flyweight.training.optimizing import average_of, optimizer_of
from flyweight.training.schedule import rate
from flyweight.training.settings import Settings, Teacher
from flyweight.zoo.condensenet_training import condenses, follow_schedule, group_lasso
from flyweight.zoo.preprocessing import Preprocessing

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LARGEST_SEED = 2**63


@dataclass
class Learner:
    """A network that learns, with all that changes while it does.

    Attributes:
        model: whose weights are trained.
        runs: the same as it is run: compiled, or joined with those of other processes.
        optimizer: that changes the weights.
        scaler: of the loss, for float16.
        average: the moving average of the weights, if there is one.
        condenses: whether it learns which inputs to keep (CondenseNet).
        step: steps that are done.
        settled: whether batch norm's statistics were taken anew at the end.
        sums: loss, right answers and images since the epoch began, over all processes.
        seconds: that training took so far, evaluations included.
        epoch_seconds: that the steps of this epoch took so far.
        rows: the history: a row an epoch.
    """

    model: nn.Module
    runs: nn.Module
    optimizer: optim.Optimizer
    scaler: torch.amp.GradScaler
    average: AveragedModel | None
    condenses: bool = False
    step: int = 0
    settled: bool = False
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def final(self) -> nn.Module:
        """The network that is evaluated and kept: the average, where there is one."""
        return self.average.module if self.average is not None else self.model

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Be as when the state was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for name in _PLAIN:
            setattr(self, name, state[name])


_PLAIN = ("step", "settled", "sums", "seconds", "epoch_seconds", "rows")


def learner(model: nn.Module, settings: Settings, team: Team) -> Learner:
    """A network at its first step.

    Args:
        model: changed in place: it moves to the device, and learns there.
        settings: of the run.
        team: the processes.
    """
    if settings.sync_norm and team.world > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.train()
    model.to(team.device)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = optimizer_of(model, settings.recipe, settings.learning_rate)
    runs: nn.Module = torch.compile(model) if settings.compiled else model  # type: ignore[assignment]
    if team.world > 1:
        runs = DistributedDataParallel(runs)
    scaler = torch.amp.GradScaler(team.device.type, enabled=settings.precision == "float16")
    average = average_of(model, settings.recipe.average)
    return Learner(model, runs, optimizer, scaler, average, condenses(model))


@dataclass(frozen=True)
class StepResult:
    """What a step found, over all processes.

    Attributes:
        loss: mean over the images, as it was minimised.
        right: images whose class had the largest score.
        images: that could be read.
        learning_rate: that was learned with.
    """

    loss: float
    right: int
    images: int
    learning_rate: float


def take_step(
    learning: Learner,
    batches: Sequence[Batch],
    count: int,
    steps_per_epoch: int,
    settings: Settings,
    preprocessing: Preprocessing,
    teacher: Teacher | None,
    team: Team,
) -> StepResult:
    """Learn from one batch. Gradients are means over its images, however it is divided.

    Args:
        learning: the network; a step further afterwards.
        batches: this process's pieces.
        count: images in the pieces of all processes.
        steps_per_epoch: for the schedule.
        settings: of the run.
        preprocessing: what the network expects.
        teacher: to learn from beside the labels.
        team: the processes.

    Raises:
        FlyweightError: no image, or a loss that isn't a finite number.
    """
    recipe, device = settings.recipe, team.device
    if learning.condenses:
        follow_schedule(learning.model, learning.step / settings.steps)
    share = rate(recipe, learning.step, settings.steps, steps_per_epoch)
    for group in learning.optimizer.param_groups:
        group["lr"] = settings.learning_rate * share
    learning.optimizer.zero_grad(set_to_none=True)
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    for index, batch in enumerate(batches):
        with contextlib.ExitStack() as stack:
            last = index == len(batches) - 1
            # Dropout draws what belongs to the piece: the same after an interruption, and whether
            # one process or several compute the pieces.
            piece = index * team.world + team.rank
            torch.manual_seed(hash((settings.seed, learning.step, piece)) % _LARGEST_SEED)
            if isinstance(learning.runs, DistributedDataParallel) and not last:
                stack.enter_context(learning.runs.no_sync())
            loss, right = _loss(learning, batch, settings, preprocessing, teacher, device)
            # Processes' gradients are averaged, and their losses are sums over images.
            learning.scaler.scale(loss * (team.world / count)).backward()
        totals += torch.stack([loss.detach().double(), right.double()])
    loss_sum, right_sum = team.sums(totals.tolist())
    if not abs(loss_sum) < float("inf"):
        raise FlyweightError(
            f"the loss of step {learning.step + 1} is no finite number: a smaller --lr may help"
        )
    learning.scaler.step(learning.optimizer)
    learning.scaler.update()
    if learning.average is not None:
        learning.average.update_parameters(learning.model)
    learning.step += 1
    result = StepResult(loss_sum / count, int(right_sum), count, settings.learning_rate * share)
    learning.sums = [
        a + b for a, b in zip(learning.sums, (loss_sum, right_sum, count), strict=True)
    ]
    return result


def _loss(
    learning: Learner,
    batch: Batch,
    settings: Settings,
    preprocessing: Preprocessing,
    teacher: Teacher | None,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """The loss of a piece, summed over its images, and how many of them were named right."""
    dtype = PRECISIONS[settings.precision]
    labels = batch.labels.to(device, non_blocking=True)
    x = inputs(batch, preprocessing, device)
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        scores = learning.runs(x).float()
    right = (scores.argmax(1) == labels).sum()
    smoothing = settings.recipe.label_smoothing
    loss = F.cross_entropy(scores, labels, label_smoothing=smoothing, reduction="sum")
    if teacher is not None:
        with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype is not None):
            wanted = teacher.model(inputs(batch, teacher.preprocessing, device)).float()
        loss = (1 - teacher.share) * loss + teacher.share * distillation(
            scores, wanted, teacher.temperature
        )
    if learning.condenses:
        loss = loss + settings.recipe.lasso * len(labels) * group_lasso(learning.model)
    return loss, right


def distillation(scores: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """How far scores are from a teacher's, summed over images (Hinton et al., 2015, Section 2).

    The Kullback-Leibler divergence of the softened probabilities, times the square of the
    temperature, so that gradients don't depend on it.

    Args:
        scores: (batch, classes).
        wanted: the teacher's.
        temperature: that both are divided by.
    """
    soft = F.log_softmax(scores / temperature, 1)
    target = F.log_softmax(wanted / temperature, 1)
    return F.kl_div(soft, target, reduction="sum", log_target=True) * temperature**2
