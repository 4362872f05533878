"""The layouts in which VGG is published."""

from collections.abc import Mapping, Sequence

from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights.layout import Layout, Sources, plain_notation

DEPTHS: Mapping[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions before each pooling."""


def _names(repeats: Sequence[int]) -> dict[str, str]:
    """Theirs number convolutions, ReLUs and poolings through."""
    names: dict[str, str] = {}
    position = 0
    for number, count in enumerate(repeats, start=1):
        stage = "stem" if number == 1 else f"stage{number}"
        for index in range(count):
            names[f"stages.{stage}.{index}.conv"] = f"features.{position}"
            position += 2
        position += 1
    return {
        **names,
        "hidden.0": "classifier.0",
        "hidden.3": "classifier.3",
        "classifier": "classifier.6",
    }


def _layout(depth: int) -> Layout:
    def sources(eps: float) -> Sources:
        return plain_notation(_names(DEPTHS[depth]))

    return Layout(
        name="torchvision VGG",
        family="VGG",
        form={},
        sources=sources,
        preprocessing=IMAGENET,
        origin=f"torchvision.models.vgg{depth}, BSD-3-Clause",
    )


LAYOUTS = tuple(_layout(depth) for depth in DEPTHS)
