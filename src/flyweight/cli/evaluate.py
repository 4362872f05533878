"""`flyweight evaluate`: how many labelled images does a network name right?"""

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flyweight.cli.arguments import positive
from flyweight.cli.keeping import INTERRUPTED
from flyweight.cli.options import Json
from flyweight.cli.output import Bar, as_json, note, table
from flyweight.files import check_writable, replaced

if TYPE_CHECKING:
    from flyweight.evaluating import Evaluation, Step
    from flyweight.zoo.published import Published

SHOWN = 5
"""Images that could not be read, of which each gets a line."""
COLUMNS = ("class", "name", "images", "top1_right", "top5_right")
SQUARES = {"crop": "cropped to", "squash": "squashed to", "none": "of"}


def evaluate_command(
    name: Annotated[
        str,
        typer.Argument(help="A name that 'flyweight list' shows, or the folder of a training run."),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="A folder of images: one folder a class, or files named by --labels, or files"
            " whose names begin with ImageNet's synsets."
        ),
    ],
    weights: Annotated[
        Path | None, typer.Option(help="A file of trained weights; a run has its own.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A text file, 'NAME LABEL' or 'NAME,LABEL' a line, labels from 0."),
    ] = None,
    resize: Annotated[
        Literal["crop", "squash", "none"],
        typer.Option(
            help="How images become squares: the centre, as ImageNet is evaluated; all of it; or"
            " not at all, for images of the input's size."
        ),
    ] = "crop",
    batch: Annotated[int, typer.Option(help="Images in a batch.")] = 16,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; as many as there are cores if not given.")
    ] = None,
    input: Annotated[
        int | None,
        typer.Option("--input", help="Input side in pixels, if not what the weights expect."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Evaluate on so many images, evenly spread over all.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Remember every batch in this file, and go on where it ends."),
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show every class too.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table of the classes.")] = None,
    json: Json = False,
) -> int:
    """Count the labelled images that a network with trained weights names right.

    Images that can't be read are reported and not counted; the exit code is then 1.

    Example: flyweight evaluate mobilenet_v1_x0_25 --weights keras.safetensors --data val/

    Example: flyweight evaluate runs/flowers --data more_flowers/
    """
    positive("--batch", batch)
    for option, value in (("--threads", threads), ("--input", input), ("--limit", limit)):
        if value is not None:
            positive(option, value)
    for path in (csv, resume):
        if path is not None:
            check_writable(path)

    import torch

    from flyweight.evaluating import evaluate, labelled_images, outputs
    from flyweight.trained import load_trained

    trained = load_trained(name, weights)
    model = trained.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    preprocessing = trained.preprocessing
    if input is not None:
        preprocessing = preprocessing.at(input)
    classes = outputs(model, preprocessing.crop)
    found = labelled_images(data, classes, labels, trained.classes)
    images = found.images if limit is None else found.spread(limit)
    note(found.rule)
    try:
        with Bar() as bar:
            result = evaluate(
                model, images, preprocessing, resize, batch, threads, resume,
                lambda step: bar.show(_said(step), step.done / step.total),
            )  # fmt: skip
    except KeyboardInterrupt:
        kept = "with --resume FILE it could be continued"
        if resume is not None:
            kept = f"the same command continues it, with what is kept in {resume}"
        note(f"flyweight: interrupted; {kept}")
        return INTERRUPTED
    called = dict(enumerate(trained.classes)) or found.names
    names = _names(classes, called)
    published = None if trained.classes else _published(name, classes, preprocessing.crop)
    if csv is not None:
        _write_csv(result, names, csv)
    if json:
        as_json(
            {
                "model": name,
                "weights": str(trained.weights),
                "layout": trained.layout,
                "preprocessing": dataclasses.asdict(preprocessing),
                "resize": resize,
                "data": str(data),
                **_as_json(result, names, per_class),
                "published": published and dataclasses.asdict(published),
            }
        )
    else:
        side = preprocessing.crop
        print(f"{name} on {result.n} images of {data}, {SQUARES[resize]} {side} x {side} pixels")
        _print(result, published)
        if per_class:
            _print_classes(result, names)
    _tell_skipped(result)
    return 1 if result.skipped else 0


def _said(step: "Step") -> str:
    asked = step.done - step.skipped
    share = f", top-1 {step.top1_correct / asked:.1%}" if asked else ""
    return f"{step.done} of {step.total} images, {step.images_per_s:.0f}/s{share}"


def _names(classes: int, called: Mapping[int, str]) -> Mapping[int, str]:
    """What weights or folders call the classes; else ImageNet's names for 1000 classes."""
    from flyweight.zoo.weights import class_names

    if classes == len(class_names()) and len(called) < classes:
        return dict(enumerate(class_names()))
    return {label: called.get(label, f"class {label}") for label in range(classes)}


def _published(name: str, classes: int, size: int) -> "Published | None":
    """The published error on ImageNet at this input size, for a network with its classes."""
    from flyweight.zoo import model_info
    from flyweight.zoo.weights import class_names

    row = model_info(name).at(size) if classes == len(class_names()) else None
    return row if row and row.top1_error is not None else None


def _print(result: "Evaluation", published: "Published | None") -> None:
    for what, share in (("top-1", result.top1), ("top-5", result.top5)):
        if share:
            low, high = share.interval
            right = f"{share.correct} of {share.n} right, 95% interval {low:.1%} to {high:.1%}"
            print(f"{what}: {share.accuracy:.1%} ({right})")
    speed = f"{result.images_per_s:.1f} images/s"
    print(f"{speed}: {result.seconds:.1f} s of wall time, with reading and decoding")
    if published and published.top1_error is not None:
        figures = f"top-1 {100 - published.top1_error:.1f}%"
        if published.top5_error is not None:
            figures += f", top-5 {100 - published.top5_error:.1f}%"
        print(
            f"Published: {figures} ({published.source}), on ImageNet's validation images."
            " Other images give other figures."
        )


def _print_classes(result: "Evaluation", names: Mapping[int, str]) -> None:
    print()
    with_top5 = result.top5_correct is not None
    table(
        ["class", "name:", "images", "top-1 right", *(["top-5 right"] if with_top5 else [])],
        [[str(value) for value in row if value is not None] for row in _rows(result, names)],
    )


def _rows(
    result: "Evaluation", names: Mapping[int, str]
) -> list[tuple[int, str, int, int, int | None]]:
    return [
        (one.label, names[one.label], one.n, one.top1_correct, one.top5_correct)
        for one in result.per_class
    ]


def _write_csv(result: "Evaluation", names: Mapping[int, str], path: Path) -> None:
    with replaced(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows(_rows(result, names))


def _as_json(result: "Evaluation", names: Mapping[int, str], per_class: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"n": result.n}
    for what, share in (("top1", result.top1), ("top5", result.top5)):
        if share:
            right = {"correct": share.correct, "accuracy": share.accuracy}
            found[what] = {**right, "interval_95": share.interval}
    found |= {"seconds": result.seconds, "images_per_s": result.images_per_s}
    if per_class:
        rows = _rows(result, names)
        found["per_class"] = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return found | {"skipped": [dataclasses.asdict(one) for one in result.skipped]}


def _tell_skipped(result: "Evaluation") -> None:
    """A line for the first images that could not be read, and how many there are."""
    if not result.skipped:
        return
    for one in result.skipped[:SHOWN]:
        note(f"flyweight: skipped: {one.reason}")
    more = len(result.skipped) - SHOWN
    if more > 0:
        note(f"flyweight: skipped: {more} more (--json lists all)")
    count, total = len(result.skipped), len(result.skipped) + result.n
    note(f"flyweight: {count} of {total} images could not be read, and are not counted")
