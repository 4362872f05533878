"""The networks of a training run: the one that learns, and the one that it learns from."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyweight.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from flyweight.training.images import Data
    from flyweight.training.settings import Teacher
    from flyweight.zoo.preprocessing import Preprocessing

SIDE_OF_OTHERS = 224
"""The input side of a network that isn't of the zoo, where --input doesn't name one."""


def network(
    name: str,
    weights: Path | None,
    images: "Data",
    side: int | None,
    centre: float,
    options: list[str],
) -> "tuple[nn.Module, Preprocessing]":
    """The network for these classes, and how images become its inputs."""
    from dataclasses import replace

    from flyweight.api import as_model
    from flyweight.evaluating import outputs
    from flyweight.training.folder import is_run, weights_of
    from flyweight.zoo import create_model, model_info
    from flyweight.zoo.preprocessing import IMAGENET
    from flyweight.zoo.weights import load_pretrained, load_weights

    classes = len(images.train.classes)
    file = weights_of(weights) if weights is not None and is_run(weights) else weights
    preprocessing, own = IMAGENET, SIDE_OF_OTHERS
    if ":" in name:
        if options:
            raise UsageError(f"--option is for networks of the zoo, not for {name}")
        model = as_model(name)
        if file is not None:
            load_weights(model, file)
        given = outputs(model, side or own)
        if given != classes:
            raise UsageError(f"{name} has {given} outputs, and there are {classes} classes")
    elif file is not None:
        if options:
            raise UsageError("--option: the weights say which form the network has")
        own = model_info(name).resolution
        pretrained = load_pretrained(name, file, classes)
        model, preprocessing = pretrained.model, pretrained.loaded.preprocessing
        own = preprocessing.crop
    else:
        own = model_info(name).resolution
        model = create_model(name, classes, **dict(map(_option, options)))
    size = side or own
    if file is None or size != preprocessing.crop:
        preprocessing = replace(preprocessing, crop=size, resize=max(round(size / centre), size))
    outputs(model, size)
    return model, preprocessing


def _option(text: str) -> tuple[str, Any]:
    """Read "KEY=VALUE": a number, a tuple, True, False, None, or else text.

    Raises:
        UsageError: no "=".
    """
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise UsageError(f"--option {text!r}: write KEY=VALUE, as in stem_stride=2")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def teacher_of(
    name: str, weights: Path | None, images: "Data", preprocessing: "Preprocessing"
) -> "Teacher":
    """The network to learn from; one of the user's own is shown what the network that learns is.

    Raises:
        UsageError: one for other classes, or one of the zoo without weights.
    """
    from flyweight.api import as_model
    from flyweight.evaluating import outputs
    from flyweight.trained import load_trained, run_folder
    from flyweight.training.settings import Teacher
    from flyweight.zoo import model_info
    from flyweight.zoo.weights import load_weights

    own = theirs = images.train.classes
    if ":" in name:
        taught = Teacher(as_model(name), preprocessing)
        if weights is not None:
            load_weights(taught.model, weights)
    else:
        if weights is None and run_folder(name) is None:
            model_info(name)
            raise UsageError(f"--teacher {name} knows nothing without --teacher-weights FILE")
        trained = load_trained(name, weights)
        taught = Teacher(trained.model, trained.preprocessing)
        theirs = trained.classes or own
    given = outputs(taught.model, taught.preprocessing.crop)
    if given != len(own) or theirs != own:
        raise UsageError(
            f"--teacher {name} knows {given} classes, which aren't those of the images"
        )
    return taught
