"""The layout in which DenseNet is published."""

import re
from collections.abc import Iterator

from flyweight.zoo.densenet import LAYERS_121
from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights.layout import (
    Layout,
    Source,
    Sources,
    Unit,
    as_it_is,
    plain_notation,
    torch_notation,
)

# The files that torchvision publishes are older than its code: "norm.1" is "norm1" since.
_OLDER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def _units() -> Iterator[Unit]:
    yield Unit("stages.stem.0", "features.conv0", "features.norm0")
    for number, count in enumerate(LAYERS_121, start=1):
        # Every stage but the first begins with the transition from the one before.
        transitions = int(number > 1)
        if transitions:
            theirs = f"features.transition{number - 1}"
            yield Unit(f"stages.stage{number}.0.reduce", f"{theirs}.conv", f"{theirs}.norm")
        for index in range(count):
            ours = f"stages.stage{number}.{index + transitions}"
            theirs = f"features.denseblock{number}.denselayer{index + 1}"
            yield Unit(f"{ours}.reduce", f"{theirs}.conv1", f"{theirs}.norm1")
            yield Unit(f"{ours}.grow", f"{theirs}.conv2", f"{theirs}.norm2")


def _torchvision(eps: float) -> Sources:
    ours, theirs = "stages.norm5.norm", "features.norm5"
    sources = torch_notation(_units(), "classifier")
    sources |= plain_notation({ours: theirs})
    for leaf in ("running_mean", "running_var", "num_batches_tracked"):
        sources[f"{ours}.{leaf}"] = Source((f"{theirs}.{leaf}",), as_it_is)
    return sources


def _newer_name(key: str) -> str:
    return _OLDER.sub(r"\1\2.", key)


TORCHVISION = Layout(
    name="torchvision DenseNet",
    family="DenseNet",
    form={},
    sources=_torchvision,
    preprocessing=IMAGENET,
    origin="torchvision.models.densenet121, BSD-3-Clause",
    rename=_newer_name,
)

LAYOUTS = (TORCHVISION,)
