"""`flyweight compress` and `flyweight decompress`: Deep Compression, and back."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.arguments import positive, seconds
from flyweight.cli.keeping import INTERRUPTED
from flyweight.cli.options import Json
from flyweight.cli.output import Bar, note
from flyweight.errors import FlyweightError, UsageError, WeightsError
from flyweight.files import check_writable

if TYPE_CHECKING:
    from torch import nn

    from flyweight.compress.coded import Packed
    from flyweight.compress.pipeline import Plan
    from flyweight.compress.retraining import Retraining
    from flyweight.trained import Trained
    from flyweight.training.images import Data

DEFAULT_BITS = 8


def compress_command(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A name that 'flyweight list' shows, package.module:factory, or the folder of a"
            " training run."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A file of trained weights, .fwc and .net included; a run has its own."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Images to train on between the steps, as for 'train'.")
    ] = None,
    val: Annotated[str | None, typer.Option(help="Images that tell the accuracy.")] = None,
    hold_out: Annotated[
        float, typer.Option(help="Share of each class that tells it, where there is no --val.")
    ] = 0.1,
    bits: Annotated[
        int | None, typer.Option(help="Of a weight's code, 1 to 8; 8 if not given.")
    ] = None,
    density: Annotated[
        str | None,
        typer.Option(
            help="The share of all weights that is left, as 0.33; or that of layers, as"
            " 'stages.*=0.5,classifier=0.2'. All if not given."
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(help="Of pruning and training until the density is reached.")
    ] = 1,
    epochs: Annotated[
        float, typer.Option(help="Of training after each round, and with shared weights; 0: none.")
    ] = 1.0,
    recipe: Annotated[str, typer.Option(help="Of the training.")] = "finetune",
    lr: Annotated[
        float | None, typer.Option("--lr", help="Learning rate at the start, for this batch.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Images in a step of training.")] = 64,
    out: Annotated[
        Path | None, typer.Option(help="Where to: .fwc, or .net for SqueezeNet 1.0.")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="A folder for checkpoints; OUT.work, and gone at the end, if not given."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is in the folder.")
    ] = False,
    inspect: Annotated[
        Path | None, typer.Option(help="Show what a file holds, layer by layer, and do no more.")
    ] = None,
    input: Annotated[
        int | None, typer.Option("--input", help="Input side in pixels, if not the network's own.")
    ] = None,
    engine: Annotated[str, typer.Option(help="That tells the time of each step's network.")] = (
        "onnxruntime"
    ),
    budget: Annotated[str, typer.Option(help="Time for measuring it.")] = "10s",
    device: Annotated[str, typer.Option(help="To train on: cpu, cuda or auto.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Threads that decode; as many as cores if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of the images.")] = 0,
    json: Json = False,
) -> int:
    """Prune a network, let its weights share values, and write it in Huffman codes.

    Deep Compression (Han, Mao, Dally; 2016). Files get smaller; nothing gets faster, since weights
    are decoded before they run: the table shows both. Without --data there is no training, and no
    accuracy. A .fwc or .net file as --weights is written again as it is, unless --bits or --density
    is given.

    Example: flyweight compress runs/flowers --data photos/ --density 0.3 --out flowers.fwc

    Example: flyweight compress my_package.my_module:my_network --weights mine.pt --density 0.2
    --bits 5 --out mine.fwc

    Example: flyweight compress squeezenet_1_0 --weights compressed_SqueezeNet.net --out sq.fwc

    Example: flyweight compress --inspect sq.fwc
    """
    if inspect is not None:
        if name is not None or out is not None:
            raise UsageError("--inspect FILE shows a file: give no network and no --out beside it")
        from flyweight.cli.compressing import show_content

        return show_content(inspect, json)
    if name is None or out is None:
        raise UsageError("give a network and --out FILE, or --inspect FILE")
    for option, number in (("--rounds", rounds), ("--batch", batch), ("--workers", workers),
                           ("--input", input)):  # fmt: skip
        if number is not None:
            positive(option, number)
    if bits is not None and not 1 <= bits <= DEFAULT_BITS:
        raise UsageError(f"--bits must be 1 to 8, not {bits}")
    if not 0 <= epochs < float("inf"):
        raise UsageError(f"--epochs must be 0 or more, not {epochs:g}")
    if val is not None and data is None:
        raise UsageError("--val goes with --data")
    budget_s = seconds(budget)
    _check_out(out)

    from flyweight.cli.compressing import show_repacked, show_stages
    from flyweight.compress.files import is_packed, read_packed, write_packed
    from flyweight.compress.pipeline import compress
    from flyweight.engines import Options, engine_named

    engine_named(engine).check(Options(1))

    packed = read_packed(weights) if weights is not None and is_packed(weights) else None
    if packed is not None and bits is None and density is None and data is None:
        _trained(name, weights, packed, input)  # the network is the one that is named
        show_repacked(out, write_packed(packed, out), packed, json)
        return 0
    trained = _trained(name, weights, packed, input)
    folder = work or out.with_name(out.name + ".work")
    plan = _plan(trained.model, bits or DEFAULT_BITS, density, rounds)
    how = None
    if data is not None:
        from flyweight.training.sources import load_data

        images = load_data(data, val, hold_out)
        _check_classes(name, trained, images)
        how = _training(trained, images, folder, recipe, epochs, batch, lr, device, workers, seed,
                        resume)  # fmt: skip
    try:
        with Bar() as bar:
            if how is not None:
                how = _shown(how, bar)
            packed, stages = compress(trained.model, plan, how, _metadata(trained), bar.show)
            size = write_packed(packed, out)
            show_stages(name, trained, stages, out, size, engine, budget_s, bar, json)
    except KeyboardInterrupt:
        kept = f"; the same command with --resume goes on, with what is in {folder}" if how else ""
        note(f"flyweight: interrupted{kept}")
        return INTERRUPTED
    if work is None and how is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def decompress_command(
    file: Annotated[Path, typer.Argument(help="A .fwc file, or SqueezeNet's published .net.")],
    out: Annotated[Path, typer.Option(help="Where to write the weights (safetensors).")],
) -> None:
    """Write the weights of a compressed file as safetensors, which every command takes.

    Example: flyweight decompress sq.fwc --out squeezenet.safetensors
    """
    check_writable(out)

    from flyweight.compress.files import decompress, read_packed

    before = file.stat().st_size if file.is_file() else 0
    size = decompress(read_packed(file), out)
    print(f"wrote {out}: {size:,} bytes from {before:,}")


def _check_out(out: Path) -> None:
    """Refuse names of other formats, and places that can't be written.

    Raises:
        UsageError: another suffix.
        FlyweightError: it can't be written.
    """
    from flyweight.compress.files import SUFFIXES, is_packed

    if not is_packed(out):
        raise UsageError(f"--out {out}: the name must end in {' or '.join(SUFFIXES)}")
    check_writable(out)


def _trained(
    name: str, weights: Path | None, packed: "Packed | None", side: int | None
) -> "Trained":
    """The network with its weights, from a compressed file too."""
    from flyweight.compress.files import decompress

    if packed is None:
        return _with_weights(name, weights, side)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "weights.safetensors"
        decompress(packed, plain)
        try:
            return _with_weights(name, plain, side)
        except WeightsError as error:
            raise WeightsError(str(error).replace(str(plain), str(weights))) from None


def _with_weights(name: str, weights: Path | None, side: int | None) -> "Trained":
    """The network with the weights of a file, or with those that it has."""
    from flyweight.trained import USUAL_SIDE, load_trained, run_folder, trained_module

    if ":" in name and run_folder(name) is None:
        found = trained_module(name, weights, side or USUAL_SIDE)
        note(f"flyweight: nothing says what {name} expects of images: prepared as ImageNet's are")
        return found
    trained = load_trained(name, weights)
    if side is None:
        return trained
    return replace(trained, preprocessing=trained.preprocessing.at(side))


def _plan(model: "nn.Module", bits: int, density: str | None, rounds: int) -> "Plan":
    from flyweight.compress.pipeline import Plan
    from flyweight.compress.pruning import named_densities, weights_of

    wanted = 1.0 if density is None else named_densities(density, list(weights_of(model)))
    return Plan(bits, wanted, rounds)


def _metadata(trained: "Trained") -> dict[str, str]:
    """What belongs to the weights of a network of the zoo; nothing of others."""
    from flyweight.nn import Network
    from flyweight.zoo.weights.own import metadata_of

    model = trained.model
    if not isinstance(model, Network) or not model.variant:
        return {}
    return metadata_of(model.variant, model.options, trained.preprocessing, trained.classes)


def _check_classes(name: str, trained: "Trained", images: "Data") -> None:
    """Refuse images of other classes than the network's.

    Raises:
        UsageError: another number of them, or others by name.
    """
    from flyweight.evaluating import outputs

    classes = images.train.classes
    given = outputs(trained.model, trained.preprocessing.crop)
    if given != len(classes):
        raise UsageError(
            f"{name} has {given} outputs, and the images are of {len(classes)} classes"
        )
    if trained.classes and trained.classes != classes:
        raise UsageError(f"{name} was trained on other classes than those of the images")


def _training(
    trained: "Trained",
    images: "Data",
    folder: Path,
    recipe: str,
    epochs: float,
    batch: int,
    lr: float | None,
    device: str,
    workers: int | None,
    seed: int,
    resume: bool,
) -> "Retraining":
    """How the network is trained between the steps."""
    import os

    from flyweight.compress.retraining import Retraining
    from flyweight.training.distributed import Team, device_named
    from flyweight.training.recipes import recipe_named

    # A few epochs each: nothing of them is spent on warming up.
    chosen = replace(recipe_named(recipe), warm_up=0.0)
    size = min(batch, len(images.train))
    if lr is not None:
        if not 0 < lr < float("inf"):
            raise UsageError(f"--lr must be more than 0, not {lr:g}")
        chosen = replace(chosen, learning_rate=lr, batch=size)
    if folder.exists() and not resume:
        raise UsageError(f"{folder} is there: --resume goes on with it, or name another --work")
    if folder.exists() and not folder.is_dir():
        raise FlyweightError(f"can't write {folder}: it is no folder")
    note(images.said)
    return Retraining(
        trained.name, trained.preprocessing, images, chosen, epochs, folder,
        Team(0, 1, device_named(device)), workers or os.cpu_count() or 1, size, seed, resume,
    )  # fmt: skip


def _shown(how: "Retraining", bar: Bar) -> "Retraining":
    """The same, with its progress on a bar."""
    return replace(
        how,
        show=lambda what, step: bar.show(
            f"{what}: step {step.step} of {step.steps}, {step.images_per_s:.0f} images/s",
            step.step / step.steps,
        ),
        note=note,
    )
