"""What a run does, settled before its first step."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from flyweight.errors import UsageError, unknown
from flyweight.training.distributed import Team
from flyweight.training.recipes import Recipe
from flyweight.zoo.condensenet_training import condenses
from flyweight.zoo.preprocessing import Preprocessing

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Teacher:
    """A network to learn from (Hinton, Vinyals, Dean: Distilling the Knowledge, 2015).

    Attributes:
        model: gives scores for the same classes.
        preprocessing: what it expects.
        share: of its answers in the loss; the labels have the rest.
        temperature: that both networks' scores are divided by.
    """

    model: nn.Module
    preprocessing: Preprocessing
    share: float = 0.5
    temperature: float = 4.0


@dataclass(frozen=True)
class Settings:
    """How a run is done.

    Attributes:
        recipe: what is learned how.
        steps: of the whole run.
        batch: images in a step, over all processes and accumulated pieces.
        accumulate: pieces of a step that a process computes one after another.
        seed: of the order of the images, of how they are shown, and of dropout.
        precision: what the network computes in; its weights are float32.
        sync_norm: whether batch norm's statistics are those of all processes (GPUs alone).
        compiled: whether `torch.compile` compiles the network.
        channels_last: whether a pixel's channels lie side by side in memory.
        skip_limit: images that may be impossible to read.
    """

    recipe: Recipe
    steps: int
    batch: int
    accumulate: int = 1
    seed: int = 0
    precision: Precision = "float32"
    sync_norm: bool = False
    compiled: bool = False
    channels_last: bool = True
    skip_limit: int = 20

    @property
    def learning_rate(self) -> float:
        """At the start: the recipe's, which follows the total batch."""
        return self.recipe.learning_rate * self.batch / self.recipe.batch

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return dataclasses.asdict(self)


def settled(
    recipe: Recipe, images: int, batch: int | None, epochs: float | None, steps: int | None
) -> tuple[int, int]:
    """The steps and the batch of a run.

    Args:
        recipe: what isn't given.
        images: to learn from.
        batch: images in a step; never more than there are.
        epochs: how often all images are seen.
        steps: the same in steps.

    Raises:
        UsageError: both lengths, or numbers that make no sense.
    """
    if epochs is not None and steps is not None:
        raise UsageError("give the length in epochs or in steps, not in both")
    for what, value in (("the batch", batch), ("epochs", epochs), ("steps", steps)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"{what} must be more than 0, not {value:g}")
    size = min(batch or recipe.batch, images)
    if steps is None and epochs is None:
        steps, epochs = recipe.steps, recipe.epochs
    if steps is None:
        assert epochs is not None
        steps = max(round(epochs * (images // size)), 1)
    return steps, size


def check(model: nn.Module, settings: Settings, team: Team) -> None:
    """Refuse what can't be done.

    Raises:
        UsageError: an unknown precision, a seed or a limit below 0, a batch that the pieces don't
            divide, or an average of a network that chooses its inputs.
    """
    if settings.seed < 0:
        raise UsageError(f"the seed must be 0 or more, not {settings.seed}")
    if settings.skip_limit < 0:
        raise UsageError(f"--skip-limit must be 0 or more, not {settings.skip_limit}")
    if settings.recipe.average and condenses(model):
        raise UsageError("an average of different choices of inputs is none: leave --average out")
    if settings.precision not in get_args(Precision):
        raise unknown("precision", settings.precision, get_args(Precision))
    count = team.world * settings.accumulate
    if settings.accumulate < 1 or settings.batch % count or settings.batch < count:
        raise UsageError(
            f"a batch of {settings.batch} can't be divided among {team.world} processes with"
            f" {settings.accumulate} pieces each: name another with --batch"
        )
    if settings.sync_norm and team.device.type == "cpu":
        raise UsageError("PyTorch has synchronised batch norm on GPUs alone: leave --sync-norm out")
