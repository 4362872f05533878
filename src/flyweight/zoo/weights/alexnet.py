"""The layout in which AlexNet is published."""

from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights.layout import Layout, Sources, plain_notation

_NAMES = {
    "stages.stem.0.conv": "features.0",
    "stages.stage2.0.conv": "features.3",
    "stages.stage3.0.conv": "features.6",
    "stages.stage4.0.conv": "features.8",
    "stages.stage5.0.conv": "features.10",
    "hidden.0": "classifier.1",
    "hidden.3": "classifier.4",
    "classifier": "classifier.6",
}


def _torchvision(eps: float) -> Sources:
    return plain_notation(_NAMES)


TORCHVISION = Layout(
    name="torchvision AlexNet",
    family="AlexNet",
    form={"groups": 1, "local_norm": False, "padding": 2, "round_up": False},
    sources=_torchvision,
    preprocessing=IMAGENET,
    origin="torchvision.models.alexnet, BSD-3-Clause",
)

LAYOUTS = (TORCHVISION,)
