"""The last page of a training run: what it was, what it reached, what it costs, how fast it is."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyweight.errors import FlyweightError

if TYPE_CHECKING:
    from flyweight.evaluating.result import Share
    from flyweight.training.folder import About

SPEED_S = 3.0
"""That the measurement of the speed takes."""
FIRST_CLASSES = 20
ENGINE = "onnxruntime"


def write_card(folder: Path, accuracy: "Mapping[str, Share | None]") -> None:
    """Draw the curves, and write the model card into a run's folder.

    Args:
        folder: of the run.
        accuracy: of the validation, by what it is called.

    Raises:
        FlyweightError: a file can't be written.
    """
    from flyweight.files import replaced
    from flyweight.report.training import card, write_curves
    from flyweight.training.folder import CARD, CURVES, HISTORY, WEIGHTS, read_about, read_history

    about, rows = read_about(folder), read_history(folder)
    title = f"{about.network}, trained on {len(about.classes)} classes"
    write_curves(rows, title, folder / CURVES)
    text = card(
        title,
        {
            "Accuracy": {what: _share(share) for what, share in accuracy.items() if share},
            "Data": {"images": about.data, "classes": _few(about.classes)},
            "Recipe": _recipe(about, rows),
            "Cost and speed": _cost(folder, about),
            "Use": (
                f"`{WEIGHTS}` has the weights, `{HISTORY}` the figures of every epoch. `flyweight"
                " evaluate`, `classify` and `export` take this folder in the place of a network."
            ),
        },
        CURVES,
    )
    with replaced(folder / CARD) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _share(share: "Share") -> str:
    low, high = share.interval
    return (
        f"{share.accuracy:.1%}: {share.correct} of {share.n} images of the validation (95% interval"
        f" {low:.1%} to {high:.1%})"
    )


def _few(classes: Sequence[str]) -> str:
    more = len(classes) - FIRST_CLASSES
    return ", ".join(classes[:FIRST_CLASSES]) + (f" and {more} more" if more > 0 else "")


def _recipe(about: "About", rows: Sequence[Mapping[str, float]]) -> dict[str, str]:
    settings: dict[str, Any] = dict(about.settings)
    recipe = settings["recipe"]
    start = recipe["learning_rate"] * settings["batch"] / recipe["batch"]
    said = {
        "recipe": f"{recipe['name']}: {recipe['source']}",
        "our reading": recipe["our_reading"],
        "started from": about.start,
        "teacher": about.teacher,
        "length": f"{settings['steps']} steps of {settings['batch']} images",
        "learning rate": f"{start:g}, {recipe['schedule']}, warm-up over {recipe['warm_up']:g}"
        " epochs",
        "optimizer": f"{recipe['optimizer']}, momentum {recipe['momentum']:g}, weight decay"
        f" {recipe['weight_decay']:g} (none of norms and biases)",
        "label smoothing": f"{recipe['label_smoothing']:g}",
        "crops": f"{recipe['smallest']:.0%} of an image or more, flipped or not; colours change by"
        f" up to {recipe['colour']:.0%}",
        "moving average": f"{recipe['average']:g}" if recipe["average"] else "",
        "precision": settings["precision"],
        "input": ", ".join(f"{k} {v}" for k, v in dataclasses.asdict(about.preprocessing).items()),
        "training took": f"{rows[-1]['seconds']:.0f} s ({rows[-1]['images_per_s']:.0f} images/s in"
        " the last epoch)",
    }
    return {name: value for name, value in said.items() if value}


def _cost(folder: Path, about: "About") -> dict[str, str]:
    """Counted costs, and the time of an image here."""
    import numpy as np

    from flyweight.api import cost, make_runner
    from flyweight.engines import Options
    from flyweight.measuring import measure
    from flyweight.trained import load_trained

    model = load_trained(str(folder)).model
    side = about.preprocessing.crop
    counted = cost(model, (1, 3, side, side))
    found = {
        "FLOPs": f"{counted.madds / 1e6:.1f} M multiply-adds at {side} x {side} pixels",
        "parameters": f"{counted.params / 1e6:.2f} M",
    }
    example = np.random.default_rng(0).standard_normal((1, 3, side, side), np.float32)
    try:
        runner = make_runner(model, example, ENGINE, Options(1))
        (record,) = measure({about.network: runner}, SPEED_S).records
    except FlyweightError as error:  # a network that the engine doesn't run is trained all the same
        return {**found, "time": f"not measured: {error}"}
    return {
        **found,
        "time of an image": f"{1000 * record.median_s:.3g} ms on {ENGINE}, one thread of"
        f" {record.environment.cpu} (median of {record.n}, middle half"
        f" {1000 * record.q1_s:.3g} to {1000 * record.q3_s:.3g} ms)",
    }
