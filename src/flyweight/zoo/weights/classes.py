"""What the outputs of networks trained on ImageNet stand for."""

import functools
from importlib.resources import files


@functools.cache
def class_names() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes in the order of a classifier's outputs.

    They are WordNet's names of the synsets, in the order of the synsets' numbers. Two pairs of
    classes share a name: "crane" is a bird and a machine, "maillot" two kinds of swimsuit.
    """
    text = files("flyweight.zoo").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


@functools.cache
def class_synsets() -> tuple[str, ...]:
    """WordNet's ids of ImageNet's 1000 classes ("n01440764"), in the order of the outputs."""
    text = files("flyweight.zoo").joinpath("imagenet_synsets.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
