"""`flyweight classify`: what is in these photographs?"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyweight.cli.arguments import positive
from flyweight.cli.options import Json
from flyweight.cli.output import Bar, as_json, note
from flyweight.errors import FlyweightError

if TYPE_CHECKING:
    from flyweight.trained import Trained
    from flyweight.zoo.preprocessing import Preprocessing


def classify_command(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    model: Annotated[str, typer.Option(help="A network's name, or the folder of a training run.")],
    weights: Annotated[
        Path | None, typer.Option(help="A file of trained weights; a run has its own.")
    ] = None,
    input: Annotated[
        int | None,
        typer.Option("--input", help="Input side in pixels, if not what the weights expect."),
    ] = None,
    top: Annotated[int, typer.Option(help="Classes to show for each image.")] = 5,
    json: Json = False,
) -> int:
    """Classify images with trained weights, prepared as the weights expect.

    Images that can't be read are reported and skipped; the exit code is then 1.

    Example: flyweight classify photos/ --model mobilenet_v1_x0_25 --weights keras.safetensors

    Example: flyweight classify photos/ --model runs/flowers
    """
    positive("--top", top)

    from flyweight.trained import load_trained
    from flyweight.zoo.preprocessing import list_images

    trained = load_trained(model, weights)
    preprocessing = trained.preprocessing
    if input is not None:
        preprocessing = preprocessing.at(positive("--input", input))
    paths = list_images(images)
    found: list[dict[str, Any]] = []
    skipped: list[str] = []
    with Bar() as bar:
        for index, path in enumerate(paths):
            bar.show(f"classifying {path.name}", index / len(paths))
            try:
                found.append(
                    {
                        "image": str(path),
                        "top": _classify(path, trained, preprocessing, top),
                    }
                )
            except FlyweightError as error:
                skipped.append(str(path))
                note(f"flyweight: skipped: {error}")
            if not json and found and found[-1]["image"] == str(path):
                _print(found[-1])
    if json:
        as_json(
            {
                "model": model,
                "weights": str(trained.weights),
                "layout": trained.layout,
                "preprocessing": dataclasses.asdict(preprocessing),
                "images": found,
                "skipped": skipped,
            }
        )
    if skipped:
        note(f"flyweight: {len(skipped)} of {len(paths)} images could not be read")
    return 1 if skipped else 0


def _classify(
    path: Path, trained: "Trained", preprocessing: "Preprocessing", top: int
) -> list[dict[str, Any]]:
    """The most probable classes of one image, the most probable first."""
    import torch

    from flyweight.zoo.preprocessing import open_image, prepare

    x = prepare(open_image(path), preprocessing)
    with torch.inference_mode():
        scores = trained.model(torch.from_numpy(x)[None])[0].double()
    probabilities, classes = scores.softmax(0).topk(min(top, len(scores)))
    names = trained.classes or _names(len(scores))
    return [
        {"class": int(number), "name": names[int(number)], "probability": float(probability)}
        for probability, number in zip(probabilities, classes, strict=True)
    ]


def _names(classes: int) -> Sequence[str]:
    """ImageNet's names for 1000 classes; numbers for any other classifier."""
    from flyweight.zoo.weights import class_names

    known = class_names()
    return known if classes == len(known) else [f"class {number}" for number in range(classes)]


def _print(result: dict[str, Any]) -> None:
    print(result["image"])
    for guess in result["top"]:
        print(f"  {guess['probability']:6.1%}  {guess['name']}")
