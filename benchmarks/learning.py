"""What ShuffleNet V2 0.5x learns of real images in minutes, and what it misses with a part broken.

Writes results/<machine>/learning.json, a row for each run: docs/train.md is written from it, and
tests/training/test_learning.py judges by it. What is there isn't done again. Accuracies don't
depend on what else the machine does; the example's seconds do.

    python benchmarks/learning.py fashion_mnist.npz            all of it, about forty minutes
    python benchmarks/learning.py fashion_mnist.npz example    examples/train_on_small_images.py
    python benchmarks/learning.py fashion_mnist.npz short long these budgets
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resuming import RESULTS, keep_rows, kept_rows
from torch import Tensor, nn

from flyweight.measuring.environment import cores, cpu_model, load_average, machine_name
from flyweight.nn import Network
from flyweight.training.distributed import Team
from flyweight.training.folder import read_history
from flyweight.training.images import Data
from flyweight.training.recipes import RECIPES
from flyweight.training.running import Run, train
from flyweight.training.settings import Settings
from flyweight.training.sources import in_memory
from flyweight.zoo import create_model
from flyweight.zoo.preprocessing import Preprocessing
from flyweight.zoo.shufflenet_v2 import BasicUnit

FILE = "learning.json"
NAME = "shufflenet_v2_x0_5"
CLASSES = tuple("0123456789")
SIDE, BATCH = 28, 64
PIXELS = Preprocessing(crop=SIDE, resize=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)
# High enough a learning rate that it has to fall.
RECIPE = replace(RECIPES["cosine"], smallest=0.9, learning_rate=0.06, label_smoothing=0.0)
CPU = Team(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class Budget:
    """How much is learned from.

    Attributes:
        images: of the set, the first ones.
        epochs: over them.
        every: which of the test's images are looked at; they lie in the order of classes.
        seeds: of the weights, the order and the crops.
    """

    images: int
    epochs: int
    every: int
    seeds: tuple[int, ...]


BUDGETS = {"short": Budget(6000, 5, 2, (0, 1)), "long": Budget(20000, 4, 1, (0,))}


def unshuffled(unit: BasicUnit, x: Tensor) -> Tensor:
    """A unit whose convolutions read what the ones before them wrote, and never the rest."""
    identity, rest = x.chunk(2, 1)
    return torch.cat((identity, unit.main(rest)), 1)


def doubled(unit: BasicUnit, x: Tensor) -> Tensor:
    """A unit that takes the even channels for both halves, and loses the odd ones."""
    even = x[:, 0::2]
    return torch.cat((even, unit.main(even)), 1)


def with_units(forward: Callable[[BasicUnit, Tensor], Tensor], model: Network) -> None:
    """Let units of stride 1 compute something else."""
    for unit in model.modules():
        if isinstance(unit, BasicUnit):
            unit.forward = partial(forward, unit)  # type: ignore[method-assign]


def with_frozen_statistics(model: Network) -> None:
    """Batch norm's running statistics stay those of a fresh network."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0


def as_it_is(model: Network) -> None:
    """Nothing is broken."""


@dataclass(frozen=True)
class Case:
    """One thing that is broken.

    Attributes:
        change: done to the fresh network.
        recipe: that it learns by.
        budgets: that it is tried with.
    """

    change: Callable[[Network], None] = as_it_is
    recipe: Any = RECIPE
    budgets: tuple[str, ...] = ("short",)


WHOLE = "as it is"
CONSTANT = "the learning rate is constant, without warm-up"
FROZEN = "batch norm's running statistics are never updated"
UNSHUFFLED = "units of stride 1 don't shuffle"
DOUBLED = "both halves of such a unit are the even channels"
CASES = {
    WHOLE: Case(budgets=("short", "long")),
    CONSTANT: Case(recipe=replace(RECIPE, schedule="constant", warm_up=0.0)),
    FROZEN: Case(with_frozen_statistics),
    UNSHUFFLED: Case(partial(with_units, unshuffled), budgets=("short", "long")),
    DOUBLED: Case(partial(with_units, doubled), budgets=("short", "long")),
}
MISSED = (CONSTANT, FROZEN)
"""What the short budget tells apart from the whole, whatever the seed."""


def fashion(path: Path, budget: Budget) -> Data:
    """The images of a budget."""
    with np.load(path, allow_pickle=False) as file:
        x, y, x_test, y_test = (file[f"{a}_{b}"] for b in ("train", "test") for a in "xy")
    first, every = slice(budget.images), slice(None, None, budget.every)
    return Data(
        in_memory(x[first], y[first], CLASSES, "train"),
        in_memory(x_test[every], y_test[every], CLASSES, "test"),
        path.name,
    )


def learned(case: Case, budget: Budget, seed: int, data: Data, folder: Path) -> dict[str, Any]:
    """Train; the images of the test that were named right, and how many there are."""
    torch.manual_seed(seed)
    model = create_model(NAME, len(CLASSES), stem_stride=2)
    case.change(model)
    settings = Settings(case.recipe, budget.epochs * (budget.images // BATCH), BATCH, seed=seed)
    if train(Run(NAME, model, PIXELS, data, settings, "fresh"), folder, CPU, 1).interrupted:
        raise SystemExit("interrupted: this run is begun anew the next time")
    row = read_history(folder)[-1]
    return {
        "images": budget.images, "epochs": budget.epochs,
        "right": round(row["val_top1"] * row["val_images"]), "n": int(row["val_images"]),
    }  # fmt: skip


def example(path: Path, folder: Path) -> dict[str, Any]:
    """What examples/train_on_small_images.py reaches, as it is, and how long it learns."""
    sys.path.insert(0, str(RESULTS.parent / "examples"))
    import train_on_small_images

    load = load_average()
    if train_on_small_images.main(str(path), str(folder)):
        raise SystemExit("the example failed")
    rows = read_history(folder)
    last = rows[-1]
    return {
        "epochs": len(rows),
        "right": round(last["val_top1"] * last["val_images"]),
        "n": int(last["val_images"]),
        "seconds": last["seconds"],
        "images_per_s": last["images_per_s"],
        "load_average": load,
    }


@contextmanager
def a_folder() -> Iterator[Path]:
    """For a run."""
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary, "run")


def main(data: str, *wanted: str) -> int:
    path = RESULTS / machine_name() / FILE
    todo: list[tuple[dict[str, Any], Callable[[Path], dict[str, Any]]]] = [
        ({"budget": "example"}, partial(example, Path(data)))
    ]
    for budget, given in BUDGETS.items():
        for name, case in CASES.items():
            for seed in given.seeds if budget in case.budgets else ():
                key = {"budget": budget, "broken": name, "seed": seed}
                images = fashion(Path(data), given)
                todo.append((key, partial(learned, case, given, seed, images)))
    for key, run in todo:
        known = any(key.items() <= row.items() for row in kept_rows(path))
        if known or (wanted and key["budget"] not in wanted):
            continue
        print(*key.values(), flush=True)
        with a_folder() as folder:
            found = run(folder)
        where = {"cpu": cpu_model(), "cores": cores(), "torch": torch.__version__}
        keep_rows(path, [*kept_rows(path), {**key, **found, **where}])
        print(f"  {found['right']} of {found['n']}", flush=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
