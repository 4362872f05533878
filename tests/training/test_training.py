"""Steps, schedules, checkpoints: what a run computes, and that nothing of it is ever lost."""

import json
import math
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.errors import FlyweightError, UsageError
from flyweight.training import checkpoints
from flyweight.training.batches import Batch
from flyweight.training.checkpoints import read_checkpoint
from flyweight.training.folder import read_history
from flyweight.training.loop import Outcome, Progress, accuracy_of
from flyweight.training.optimizing import optimizer_of
from flyweight.training.recipes import RECIPES, recipe_named
from flyweight.training.running import train
from flyweight.training.schedule import rate
from flyweight.training.settings import Settings, Teacher, settled
from flyweight.training.steps import distillation, learner, take_step
from tests.training.small import ALONE, PIXELS, RECIPE, Small, data, image_folder, run_of

# What ShuffleNet V1, Section 4, says (and the authors' code, for the label smoothing).
SHUFFLENET = {
    "learning_rate": 0.5,
    "batch": 1024,
    "steps": 300_000,
    "schedule": "linear",
    "weight_decay": 4e-5,
    "momentum": 0.9,
    "label_smoothing": 0.1,
}

# Learning rates by hand: (recipe, step, of steps, steps of an epoch) and the share.
RATES = (
    ({"schedule": "linear"}, 0, 100, 10, 1.0),
    ({"schedule": "linear"}, 75, 100, 10, 0.25),
    ({"schedule": "poly2"}, 75, 100, 10, 0.0625),
    ({"schedule": "cosine"}, 50, 100, 10, 0.5),
    ({"schedule": "cosine"}, 25, 100, 10, (1 + math.sqrt(0.5)) / 2),
    ({"schedule": "exponential", "decay": 0.98}, 29, 100, 10, 0.98**2),
    ({"schedule": "steps"}, 29, 90, 10, 1.0),
    ({"schedule": "steps"}, 30, 90, 10, 0.1),
    ({"schedule": "steps"}, 60, 90, 10, 0.01),
    ({"schedule": "constant"}, 99, 100, 10, 1.0),
    # A warm-up of two epochs: a ninth at first, five ninths in its middle.
    ({"schedule": "constant", "warm_up": 2.0}, 0, 100, 10, 1 / 9),
    ({"schedule": "constant", "warm_up": 2.0}, 10, 100, 10, 5 / 9),
    ({"schedule": "constant", "warm_up": 2.0}, 20, 100, 10, 1.0),
)


def losses(
    folder: Path,
    stop_after: int | None = None,
    model: Callable[[], nn.Module] = Small,
    teacher: Teacher | None = None,
    resume: bool = False,
    by: signal.Signals = signal.SIGTERM,
    **settings: object,
) -> tuple[list[float], Outcome]:
    """The losses of a small run's steps, as it is told to stop after one of them."""
    found: list[float] = []

    def show(step: Progress) -> None:
        if step.result is not None:
            found.append(step.result.loss)
            if step.step == stop_after:
                os.kill(os.getpid(), by)

    torch.manual_seed(7)
    run = replace(run_of(model(), data(), **settings), teacher=teacher)
    outcome = train(run, folder, ALONE, workers=2, resume=resume, show=show)
    return found, outcome


def state(folder: Path) -> dict[str, Any]:
    return read_checkpoint(checkpoints.checkpoints(folder)[0])


def same(a: Any, b: Any) -> bool:
    """Whether two nested states are equal, bit by bit; times may differ."""
    if isinstance(a, Mapping):
        keys = a.keys() - {"seconds", "epoch_seconds", "images_per_s"}
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in keys)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def test_the_papers_recipe_is_the_papers() -> None:
    recipe = recipe_named("shufflenet_v2")
    assert {name: getattr(recipe, name) for name in SHUFFLENET} == SHUFFLENET


def test_every_recipe_has_a_source_and_a_length() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert len(recipe.source) > 20
        assert (recipe.steps is None) != (recipe.epochs is None)


def test_unknown_recipe() -> None:
    with pytest.raises(UsageError, match="unknown recipe 'shufflenet'; did you mean shufflenet_v2"):
        recipe_named("shufflenet")


@pytest.mark.parametrize(("settings", "step", "steps", "epoch", "share"), RATES)
def test_rates(settings: dict[str, Any], step: int, steps: int, epoch: int, share: float) -> None:
    recipe = replace(RECIPE, warm_up=0.0)
    assert rate(replace(recipe, **settings), step, steps, epoch) == pytest.approx(share)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((None, None, None), (300_000, 1024)),
        ((512, None, None), (300_000, 512)),
        ((512, 2.0, None), (2 * 3906, 512)),
        ((None, None, 70), (70, 1024)),
        ((4_000_000, 3.0, None), (3, 2_000_000)),
    ],
)
def test_length(given: tuple[Any, Any, Any], found: tuple[int, int]) -> None:
    assert settled(recipe_named("shufflenet_v2"), 2_000_000, *given) == found


def test_norms_and_biases_do_not_decay() -> None:
    model = Small()
    groups = optimizer_of(model, RECIPE, 0.1).param_groups
    decaying, others = ({id(p) for p in group["params"]} for group in groups)
    assert [group["weight_decay"] for group in groups] == [RECIPE.weight_decay, 0.0]
    weights = (model.first.weight, model.second.weight, model.classifier.weight)
    assert decaying == {id(p) for p in weights}
    assert len(others) == 4  # the norm's two, and two biases


def test_a_step_is_sgd_written_out() -> None:
    """Two steps with momentum, weight decay, smoothing and linear decay, against plain formulas."""
    torch.manual_seed(0)
    recipe = replace(RECIPE, weight_decay=0.01, colour=0.0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE2, 3))
    weight, bias = (p.detach().clone().double() for p in model.parameters())
    settings = Settings(recipe, steps=10, batch=8, channels_last=False)
    learning = learner(model, settings, ALONE)
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for step in range(2):
        raw = torch.randint(0, 256, (8, 12, 12, 3), dtype=torch.uint8)
        labels = torch.arange(8) % 3
        batch = Batch(raw, labels, torch.zeros(8, dtype=torch.bool), torch.ones(8, 3), ())
        result = take_step(learning, [batch], 8, 4, settings, PIXELS, None, ALONE)
        x = ((raw.double() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).flatten(1)
        target = 0.9 * F.one_hot(labels, 3) + 0.1 / 3
        probabilities = (x @ weight.T + bias).softmax(1)
        assert result.loss == pytest.approx(float(-(target * probabilities.log()).sum(1).mean()))
        slope = (probabilities - target) / 8
        gradients = [slope.T @ x + 0.01 * weight, slope.sum(0)]
        learning_rate = 0.2 * 8 / 16 * (1 - step / 10)
        assert result.learning_rate == pytest.approx(learning_rate)
        velocity = [0.9 * v + g for v, g in zip(velocity, gradients, strict=True)]
        weight = weight - learning_rate * velocity[0]
        bias = bias - learning_rate * velocity[1]
    torch.testing.assert_close(model[1].weight.double(), weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model[1].bias.double(), bias, rtol=1e-4, atol=1e-5)


SIDE2 = 12 * 12


def test_distillation_is_the_divergence_written_out() -> None:
    scores, wanted = torch.randn(2, 5, 4).double()
    p, q = (wanted / 3).softmax(1), (scores / 3).softmax(1)
    by_hand = 9 * (p * (p / q).log()).sum()
    torch.testing.assert_close(distillation(scores, wanted, 3.0), by_hand)
    assert float(distillation(wanted, wanted, 3.0)) == pytest.approx(0.0, abs=1e-12)


class Lookup(nn.Module):
    """A teacher that always answers alike."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor([5.0, 0.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.scores.expand(len(x), 3)


def test_a_teacher_is_followed(tmp_path: Path) -> None:
    teacher = Teacher(Lookup(), PIXELS, share=1.0, temperature=1.0)
    found, _ = losses(tmp_path, teacher=teacher, steps=16)
    assert found[-1] < found[0] / 3
    assert teacher.model.scores.grad is None
    (row, *_) = reversed(read_history(tmp_path))
    assert row["val_top1"] == pytest.approx(1 / 3, abs=0.05)  # it says class 0 of everything


def test_it_learns(tmp_path: Path) -> None:
    found, outcome = losses(tmp_path, steps=40)
    assert np.mean(found[-4:]) < np.mean(found[:4]) - 0.3
    assert not outcome.interrupted
    accuracy = accuracy_of(read_history(tmp_path)[-1])
    assert (accuracy.top1.correct, accuracy.top1.n, accuracy.top5) == (30, 30, None)


def test_accumulated_pieces_are_one_batch(tmp_path: Path) -> None:
    """Without batch norm and dropout the pieces of a step give the losses of the whole."""

    def plain() -> nn.Module:
        return Small(norm=False, dropout=0.0)

    whole, _ = losses(tmp_path / "whole", model=plain)
    pieces, _ = losses(tmp_path / "pieces", model=plain, accumulate=4)
    assert pieces == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"accumulate": 2},
        {"recipe": replace(RECIPE, average=0.9, schedule="cosine", warm_up=1.0)},
        {"recipe": replace(RECIPE, optimizer="rmsprop", settle=True)},
        {"precision": "bfloat16"},
        {"precision": "float16"},
    ],
    ids=str,
)
def test_an_interrupted_run_is_the_uninterrupted_one(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Stopped in the middle of the second epoch (of 4 steps) and at its end."""
    straight, _ = losses(tmp_path / "straight", **settings)
    first, outcome = losses(tmp_path / "broken", stop_after=6, **settings)
    assert (len(first), outcome.step, outcome.interrupted) == (6, 6, True)
    second, _ = losses(tmp_path / "broken", stop_after=8, resume=True, **settings)
    third, outcome = losses(tmp_path / "broken", resume=True, **settings)
    assert not outcome.interrupted
    assert [*first, *second, *third] == straight
    assert same(state(tmp_path / "straight"), state(tmp_path / "broken"))
    whole = [*(row["val_top1"] for row in read_history(tmp_path / "straight"))]
    assert whole == [row["val_top1"] for row in read_history(tmp_path / "broken")]
    assert len(whole) == 3


def test_ctrl_c_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    straight, _ = losses(tmp_path / "straight")
    first, outcome = losses(tmp_path / "broken", stop_after=6, by=signal.SIGINT)
    assert outcome.interrupted
    rest, _ = losses(tmp_path / "broken", resume=True)
    assert [*first, *rest] == straight


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler")
def test_compiled_it_learns_the_same(tmp_path: Path) -> None:
    def plain() -> nn.Module:
        return Small(dropout=0.0)

    eager, _ = losses(tmp_path / "eager", model=plain)
    compiled, _ = losses(tmp_path / "compiled", model=plain, compiled=True)
    assert compiled == pytest.approx(eager, rel=1e-3)


def test_a_run_that_is_over_has_nothing_left_to_do(tmp_path: Path) -> None:
    losses(tmp_path, steps=3)
    found, outcome = losses(tmp_path, steps=3, resume=True)
    assert (found, outcome.step, outcome.interrupted) == ([], 3, False)


@pytest.mark.parametrize("how", ["cut", "changed", "empty"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, how: str) -> None:
    straight, _ = losses(tmp_path / "straight")
    folder = tmp_path / "broken"
    for stop in (5, 6):
        losses(folder, stop_after=stop, resume=True)
    last = folder / "checkpoint-000000006.ckpt"
    content = last.read_bytes()
    middle = len(content) // 2
    changed = {
        "cut": content[:-1000],
        "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }
    last.write_bytes(changed[how])
    said: list[str] = []
    torch.manual_seed(7)
    found: list[float] = []
    train(
        run_of(Small(), data()), folder, ALONE, 2, resume=True, note=said.append,
        show=lambda step: found.append(step.result.loss) if step.result else None,
    )  # fmt: skip
    assert found == straight[5:]
    assert said == [
        f"{last}: damaged (its checksum is another): going on from the checkpoint before",
        "going on after step 5 of 12",
    ]


def test_no_checkpoint_that_can_be_read(tmp_path: Path) -> None:
    losses(tmp_path, stop_after=2)
    for path in checkpoints.checkpoints(tmp_path):
        path.write_bytes(b"flyweight checkpoint 1 ")
    with pytest.raises(FlyweightError, match=r"no checkpoint in .* can be read"):
        losses(tmp_path, resume=True)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 4 kB: a write fails in its middle, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    straight, _ = losses(tmp_path / "straight")
    folder = tmp_path / "broken"
    losses(folder, stop_after=6)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(before["checkpoint-000000006.ckpt"]) > 4096
    with full_disk(), pytest.raises(FlyweightError, match=r"can't write .*ckpt: File too large"):
        losses(folder, stop_after=7, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    rest, _ = losses(folder, resume=True)
    assert rest == straight[6:]


def test_what_was_not_synced_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses(tmp_path, stop_after=6)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(FlyweightError, match=r"can't write .*: No space left on device"):
        losses(tmp_path, stop_after=7, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_run_was_writing_is_taken_away(tmp_path: Path) -> None:
    losses(tmp_path, stop_after=6)
    before = {path.name for path in tmp_path.iterdir()}
    for name in (".checkpoint-000000007.ckpt.x8_1", ".weights.safetensors.abc", ".hidden"):
        (tmp_path / name).write_bytes(b"half")
    losses(tmp_path, stop_after=7, resume=True)
    after = {path.name for path in tmp_path.iterdir()}
    assert after == {*before, "checkpoint-000000007.ckpt", ".hidden"}


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    run = run_of(Small(), data())
    train(run, tmp_path, ALONE, 2, every_s=0.0)
    names = [path.name for path in checkpoints.checkpoints(tmp_path)]
    assert names == ["checkpoint-000000012.ckpt", "checkpoint-000000011.ckpt"]
    assert not list(tmp_path.glob(".*"))


def test_another_run_is_not_continued(tmp_path: Path) -> None:
    losses(tmp_path, stop_after=2)
    with pytest.raises(UsageError, match="holds a run: --resume continues it"):
        losses(tmp_path)
    with pytest.raises(UsageError, match=r"differs in settings.seed \(0 there, 1 here\)"):
        losses(tmp_path, resume=True, seed=1)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A checkpoint with the right checksum that holds anything but plain values is refused."""
    checkpoints.write_checkpoint(tmp_path, 1, {"model": Path("x")})
    with pytest.raises(FlyweightError, match=r"no checkpoint \(Weights only load failed"):
        read_checkpoint(tmp_path / "checkpoint-000000001.ckpt")


class Diverging(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float("inf")


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(FlyweightError, match="loss of step 1 is no finite number: a smaller --lr"):
        losses(tmp_path, model=Diverging)


def test_average_written_out(tmp_path: Path) -> None:
    """The average of one step: 0.9 of the start, copied at the first step, as PyTorch does."""
    torch.manual_seed(7)
    model = Small()
    settings = Settings(replace(RECIPE, average=0.9), steps=12, batch=16)
    learning = learner(model, settings, ALONE)
    assert learning.average is not None
    by_hand: Tensor | None = None
    raw = torch.randint(0, 256, (16, 12, 12, 3), dtype=torch.uint8)
    batch = Batch(raw, torch.arange(16) % 3, torch.zeros(16, dtype=torch.bool),
                  torch.ones(16, 3), ())  # fmt: skip
    for _ in range(3):
        take_step(learning, [batch], 16, 4, settings, PIXELS, None, ALONE)
        now = model.first.weight.detach().clone()
        by_hand = now if by_hand is None else 0.9 * by_hand + 0.1 * now
    torch.testing.assert_close(learning.final.first.weight, by_hand)
    assert learning.final is not model


def test_settling_takes_the_mean_over_an_epoch(tmp_path: Path) -> None:
    """With weights at rest, batch norm's mean is that of the first convolution's outputs."""
    recipe = replace(RECIPE, settle=True, smallest=1.0, colour=0.0, learning_rate=1e-12)
    torch.manual_seed(7)
    model = Small()
    images = data(64)
    train(run_of(model, images, recipe=recipe, steps=4), tmp_path, ALONE, 2)
    raw = np.stack([np.asarray(images.train.open(i, lambda x: None)) for i in range(64)])
    x = ((torch.from_numpy(raw).float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    both = torch.cat([x, x.flip(3)])  # a mean over flipped and unflipped images lies between
    means = [model.first(part).mean((0, 2, 3)).detach() for part in (both[:64], both[64:])]
    low, high = torch.minimum(*means) - 1e-2, torch.maximum(*means) + 1e-2
    assert bool(((model.norm.running_mean >= low) & (model.norm.running_mean <= high)).all())


def test_corrupt_images_are_named_and_limited(tmp_path: Path) -> None:
    from flyweight.training.sources import load_data

    image_folder(tmp_path / "photos", 60)
    for name in ("bottom/000.png", "middle/001.png"):
        (tmp_path / "photos" / name).write_bytes(b"no image")
    images = load_data(str(tmp_path / "photos"), hold_out=0.2)
    learned = {images.train.called(number) for number in range(len(images.train))}
    bad = learned & {"bottom/000.png", "middle/001.png"}
    assert bad  # what isn't learned from is held out
    run = run_of(Small(), images, steps=9)
    train(run, tmp_path / "run", ALONE, 2)
    lines = (tmp_path / "run" / "unread.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in lines} == bad
    with pytest.raises(FlyweightError, match=r"--skip-limit is 0, such as .*not an image"):
        train(run_of(Small(), images, skip_limit=0), tmp_path / "strict", ALONE, 2)


def test_the_folder_says_what_it_is(tmp_path: Path) -> None:
    losses(tmp_path, steps=4)
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["classes"] == ["bottom", "middle", "top"]
    assert about["settings"]["recipe"]["source"] == "this file"
    assert about["preprocessing"]["crop"] == 12


def test_the_page_has_the_recipes_as_they_are() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "train.md").read_text("utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    for recipe in RECIPES.values():
        (row,) = [line for line in lines if f"`{recipe.name}`" in line]
        length = f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.epochs:g} epochs"
        assert f"{recipe.learning_rate:g}, {recipe.batch}" in row
        assert length.replace(",", " ") in row
