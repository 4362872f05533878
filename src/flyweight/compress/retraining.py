"""Training between the steps of a compression, each in a folder of its own that can go on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from flyweight.training.distributed import Team
from flyweight.training.images import Data
from flyweight.training.loop import Accuracy, Progress, score
from flyweight.training.recipes import Recipe
from flyweight.training.running import Run, train
from flyweight.training.settings import Settings, settled
from flyweight.zoo.preprocessing import Preprocessing

SHARED_RATE = 0.01
"""Of the learning rate, while weights are shared: a value's gradient is the sum of many."""


@dataclass(frozen=True)
class Retraining:
    """How a network is trained between the steps.

    Attributes:
        network: its name, as for `flyweight train`.
        preprocessing: what it expects.
        data: images to learn from, and those that tell the accuracy.
        recipe: the rest; the moving average of weights would undo what is held, and is left out.
        epochs: of each step.
        folder: where checkpoints are.
        team: this process and its device.
        workers: threads that decode images.
        batch: images in a step; None for the recipe's.
        seed: of the order of the images, and of how they are shown.
        resume: go on with what is in the folder.
        show: told after every step of training.
        note: told what there is to say beside the progress.
    """

    network: str
    preprocessing: Preprocessing
    data: Data
    recipe: Recipe
    epochs: float
    folder: Path
    team: Team
    workers: int
    batch: int | None = None
    seed: int = 0
    resume: bool = False
    show: Callable[[str, Progress], None] = lambda what, progress: None
    note: Callable[[str], None] = lambda text: None


def retrain(model: nn.Module, what: str, how: Retraining, rate: float = 1.0) -> None:
    """Train a network for some epochs, or go on with it.

    Args:
        model: changed in place.
        what: is done here: names the folder.
        how: it is done.
        rate: of the learning rate.

    Raises:
        KeyboardInterrupt: it was told to stop, and a checkpoint is written.
        FlyweightError: as for `training.running.train`.
    """
    recipe = replace(how.recipe, average=0.0, learning_rate=how.recipe.learning_rate * rate)
    steps, batch = settled(recipe, len(how.data.train), how.batch, how.epochs, None)
    settings = Settings(recipe, steps, batch, seed=how.seed)
    run = Run(how.network, model, how.preprocessing, how.data, settings, what)
    outcome = train(
        run, how.folder / what, how.team, how.workers, how.resume,
        show=lambda step: how.show(what, step), note=how.note,
    )  # fmt: skip
    model.eval()
    if outcome.interrupted:
        raise KeyboardInterrupt


def accuracy(model: nn.Module, how: Retraining) -> Accuracy:
    """The accuracy on the images that aren't learned from."""
    model.to(how.team.device)
    return score(model, how.data.val, how.preprocessing, how.team, how.workers)
