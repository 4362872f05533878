"""The layout in which GoogLeNet is published."""

from collections.abc import Iterator

from flyweight.zoo.googlenet import MODULES
from flyweight.zoo.preprocessing import TENSORFLOW
from flyweight.zoo.weights.layout import Layout, Sources, Unit, torch_notation

# Our names of a module's convolutions, and torchvision's.
PARTS = (
    ("one", "branch1"),
    ("three.0", "branch2.0"),
    ("three.1", "branch2.1"),
    ("five.0", "branch3.0"),
    ("five.1", "branch3.1"),
    ("pool.1", "branch4.1"),
)


def _names() -> Iterator[tuple[str, str]]:
    """Our name of every convolution with its batch norm, and torchvision's."""
    yield "stages.stem", "conv1"
    yield "stages.stage2.1", "conv2"
    yield "stages.stage2.2", "conv3"
    for stage, rows in MODULES.items():
        for index, letter in zip(range(1, len(rows) + 1), "abcde", strict=False):
            theirs = f"inception{stage[-1]}{letter}"
            for our_part, their_part in PARTS:
                yield f"stages.{stage}.{index}.{our_part}", f"{theirs}.{their_part}"


def _torchvision(eps: float) -> Sources:
    units = (Unit(ours, f"{theirs}.conv", f"{theirs}.bn") for ours, theirs in _names())
    return torch_notation(units, "fc")


TORCHVISION = Layout(
    name="torchvision GoogLeNet",
    family="GoogLeNet",
    form={"form": "batch_norm", "norm_eps": 1e-3},
    sources=_torchvision,
    # torchvision normalises with ImageNet's mean and deviation, and the network undoes it.
    preprocessing=TENSORFLOW,
    origin="torchvision.models.googlenet, BSD-3-Clause; converted from TensorFlow",
    ignored=("aux1.*", "aux2.*"),
)

LAYOUTS = (TORCHVISION,)
