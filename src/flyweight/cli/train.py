"""`flyweight train`: a network learns from images."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flyweight.cli.arguments import positive, seconds
from flyweight.cli.keeping import INTERRUPTED
from flyweight.cli.options import Json
from flyweight.cli.output import Bar, as_json, note
from flyweight.cli.training_networks import network, teacher_of
from flyweight.errors import FlyweightError, UsageError
from flyweight.files import check_folder

if TYPE_CHECKING:
    from flyweight.training.loop import Outcome, Progress
    from flyweight.training.recipes import Recipe


def train_command(
    name: Annotated[
        str, typer.Argument(help="A name that 'flyweight list' shows, or package.module:factory.")
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Images: a folder with a folder for each class (or train/ and val/ of such); tar"
            " shards; parquet; a .npz file; or synthetic[:COUNT]."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    val: Annotated[
        str | None, typer.Option(help="Images for the validation, if not beside the others.")
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="Else: this share of each class isn't learned from.")
    ] = 0.1,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="shufflenet_v2, mobilenet_v1, densenet, squeezenext, cosine, finetune and others;"
            " cosine without weights, finetune with them, if not given."
        ),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="How often all images are seen, if not as the recipe.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="The same in steps.")] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Images in a step, in all; the learning rate follows it."),
    ] = None,
    accumulate: Annotated[
        int, typer.Option(help="Pieces of a step that are computed one after another.")
    ] = 1,
    lr: Annotated[
        float | None, typer.Option("--lr", help="Learning rate at the start, for this batch.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="linear, poly2, cosine, exponential, steps or constant.")
    ] = None,
    warm_up: Annotated[float | None, typer.Option(help="Epochs of a rising learning rate.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights to begin with: a file, or the folder of a run.")
    ] = None,
    input: Annotated[
        int | None, typer.Option("--input", help="Input side in pixels, if not the network's own.")
    ] = None,
    centre: Annotated[
        float, typer.Option(help="Share of the shorter side that an evaluation sees; 1 is all.")
    ] = 0.875,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the network, KEY=VALUE, as stem_stride=2; repeatable."),
    ] = None,
    smallest: Annotated[
        float | None, typer.Option(help="The least part of an image that a crop shows; 1 is all.")
    ] = None,
    average: Annotated[
        float | None, typer.Option(help="Decay of the weights' moving average; 0 for none.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="To learn from: a trained network, a run, or a factory.")
    ] = None,
    teacher_weights: Annotated[
        Path | None, typer.Option(help="The teacher's weights; a run has its own.")
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option(help="To compute in.")
    ] = "float32",
    sync_norm: Annotated[
        bool, typer.Option("--sync-norm", help="Batch norm over all processes (GPUs).")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: a GPU if there is one.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Threads that decode; as many as cores if not given.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads that compute on the CPU; PyTorch's own choice if not."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the weights, the order, and the crops.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="Time between checkpoints.")] = "10m",
    skip_limit: Annotated[int, typer.Option(help="Images that may be impossible to read.")] = 20,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, if there is one.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's files too.")
    ] = False,
    json: Json = False,
) -> int:
    """Train a network, or fine-tune one that is trained, as the papers did.

    Ctrl-C, and being told to end, leave a checkpoint: the same command with --resume goes on.
    In many processes: torchrun --nproc-per-node 8 -m flyweight.train, and the same options.

    Example: flyweight train shufflenet_v2_x0_5 --data photos/ --out runs/flowers --epochs 20

    Example: flyweight train squeezenet_1_1 --weights squeezenet.safetensors --data photos/
    --out runs/flowers --epochs 5
    """
    for text, number in (("--accumulate", accumulate), ("--workers", workers),
                         ("--threads", threads), ("--input", input)):  # fmt: skip
        if number is not None:
            positive(text, number)
    if not 0 < centre <= 1:
        raise UsageError(f"--centre must be more than 0 and at most 1, not {centre:g}")
    if teacher_weights is not None and teacher is None:
        raise UsageError("--teacher-weights needs --teacher: whose weights they are")
    every_s = seconds(checkpoint)

    import torch

    from flyweight.training.distributed import device_named, joined
    from flyweight.training.running import Run, train
    from flyweight.training.settings import Settings, settled
    from flyweight.training.sources import load_data

    if threads is not None:
        torch.set_num_threads(threads)
    chosen = _recipe(recipe, weights, schedule, warm_up, smallest, average)
    with joined(device_named(device)) as team:
        images = load_data(data, val, hold_out)
        length, size = settled(chosen, len(images.train), batch, epochs, steps)
        if lr is not None:
            chosen = _with_rate(chosen, lr, size)
        torch.manual_seed(seed)
        model, preprocessing = network(name, weights, images, input, centre, option or [])
        taught = None
        if teacher is not None:
            taught = teacher_of(teacher, teacher_weights, images, preprocessing)
        settings = Settings(
            chosen, length, size, accumulate, seed, precision, sync_norm, compiled,
            skip_limit=skip_limit,
        )  # fmt: skip
        run = Run(
            name, model, preprocessing, images, settings, _start(weights, seed), taught,
            teacher or "",
        )  # fmt: skip
        if team.first:
            if out.parent.is_dir():
                check_folder(out)
            note(f"{images.said}; {length} steps of {size}")
        watch = _tensorboard(out) if tensorboard and team.first else _unwatched
        with Bar(shown=team.first) as bar:
            outcome = train(
                run, out, team, workers or os.cpu_count() or 1, resume, every_s,
                lambda step: bar.show(_said(step), step.step / step.steps),
                note if team.first else _quiet, watch,
            )  # fmt: skip
        if outcome.interrupted:
            if team.first:
                note(f"flyweight: interrupted after step {outcome.step}; --resume goes on with it")
            return INTERRUPTED
        if team.first:
            _finish(out, outcome, json)
    return 0


def _tensorboard(folder: Path) -> "Callable[[Mapping[str, float]], None]":
    """What writes a row of the history to TensorBoard's files.

    Raises:
        FlyweightError: TensorBoard isn't installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FlyweightError(
            "--tensorboard needs TensorBoard: pip install 'flyweight[train]'"
        ) from None
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(row: "Mapping[str, float]") -> None:
        for name, value in row.items():
            if name not in ("epoch", "step"):
                writer.add_scalar(name, value, int(row["step"]))
        writer.flush()

    return write


def _recipe(
    name: str | None,
    weights: Path | None,
    schedule: str | None,
    warm_up: float | None,
    smallest: float | None,
    average: float | None,
) -> "Recipe":
    """The recipe, with what was given instead of its own.

    Raises:
        UsageError: unknown names, or numbers that make no sense.
    """
    from dataclasses import replace
    from typing import get_args

    from flyweight.errors import unknown
    from flyweight.training.recipes import Schedule, recipe_named

    chosen = recipe_named(name or ("cosine" if weights is None else "finetune"))
    if schedule is not None:
        if schedule not in get_args(Schedule):
            raise unknown("schedule", schedule, get_args(Schedule))
        chosen = replace(chosen, schedule=schedule)  # type: ignore[arg-type]
    if warm_up is not None:
        if not 0 <= warm_up < float("inf"):
            raise UsageError(f"--warm-up must be 0 or more, not {warm_up:g}")
        chosen = replace(chosen, warm_up=warm_up)
    if smallest is not None:
        if not 0 < smallest <= 1:
            raise UsageError(f"--smallest must be more than 0 and at most 1, not {smallest:g}")
        chosen = replace(chosen, smallest=smallest)
    if average is not None:
        if not 0 <= average < 1:
            raise UsageError(f"--average must be 0 or more and less than 1, not {average:g}")
        chosen = replace(chosen, average=average)
    return chosen


def _with_rate(recipe: "Recipe", rate: float, batch: int) -> "Recipe":
    """The recipe with a learning rate that was given for this batch."""
    from dataclasses import replace

    if not 0 < rate < float("inf"):
        raise UsageError(f"--lr must be more than 0, not {rate:g}")
    return replace(recipe, learning_rate=rate, batch=batch)


def _start(weights: Path | None, seed: int) -> str:
    return f"fresh, seed {seed}" if weights is None else str(weights)


def _quiet(text: str) -> None:
    """What only the first process says."""


def _unwatched(row: "Mapping[str, float]") -> None:
    """Nobody watches."""


def _said(step: "Progress") -> str:
    if step.result is None:
        return f"epoch {step.epoch}: {step.doing}"
    share = step.result.right / step.result.images
    return (
        f"epoch {step.epoch}, step {step.step} of {step.steps}, {step.images_per_s:.0f} images/s,"
        f" loss {step.result.loss:.3f}, top-1 {share:.1%}"
    )


def _finish(out: Path, outcome: "Outcome", json: bool) -> None:
    """Say what was reached."""
    from flyweight.cli.training_card import write_card
    from flyweight.training.folder import CARD, read_history, weights_of
    from flyweight.training.loop import accuracy_of

    rows = read_history(out)
    accuracy = accuracy_of(rows[-1])
    write_card(out, {"top-1": accuracy.top1, "top-5": accuracy.top5})
    if json:
        as_json({"run": str(out), "weights": str(weights_of(out)), "history": rows})
        return
    print(f"{out}: {outcome.step} steps, {rows[-1]['seconds']:.0f} s")
    for what, share in (("top-1", accuracy.top1), ("top-5", accuracy.top5)):
        if share is not None:
            low, high = share.interval
            print(
                f"{what}: {share.accuracy:.1%} ({share.correct} of {share.n} right, 95% interval"
                f" {low:.1%} to {high:.1%})"
            )
    print(f"{out / CARD} says what was done, what it costs and how fast it is here")
