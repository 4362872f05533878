"""The layouts in which ResNet and ResNeXt are published: the same names, other shapes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights.layout import Layout, Sources, Unit, torch_notation

DEPTHS: Mapping[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks of conv2_x to conv5_x; of two convolutions at depth 18, of three at the others."""


def _units(repeats: Sequence[int], convolutions: int) -> Iterator[Unit]:
    yield Unit("stages.stem.0", "conv1", "bn1")
    for number, count in enumerate(repeats, start=1):
        for index in range(count):
            ours, theirs = f"stages.stage{number + 1}.{index}", f"layer{number}.{index}"
            for position in range(convolutions):
                conv, norm = f"{theirs}.conv{position + 1}", f"{theirs}.bn{position + 1}"
                yield Unit(f"{ours}.branch.{position}", conv, norm)
            # Two convolutions put out what the stem does, so that stage 2 needs no projection.
            if index == 0 and (number > 1 or convolutions == 3):
                yield Unit(f"{ours}.shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")


def _layout(family: str, depth: int, form: Mapping[str, object]) -> Layout:
    def sources(eps: float) -> Sources:
        return torch_notation(_units(DEPTHS[depth], 2 if depth == 18 else 3), "fc")

    return Layout(
        name=f"torchvision {family}",
        family=family,
        form=form,
        sources=sources,
        preprocessing=IMAGENET,
        origin=f"torchvision.models.{family.lower()}{depth}*, IMAGENET1K_V1 (V2 resizes to 232),"
        " BSD-3-Clause",
        sized=(("resnext_101_64x4d", replace(IMAGENET, resize=232)),),
    )


LAYOUTS = (
    *(_layout("ResNet", depth, {"stride_on": "3x3"}) for depth in DEPTHS),
    *(_layout("ResNeXt", depth, {}) for depth in (50, 101)),
)
