"""The layouts in which ShuffleNet V2 is published."""

from collections.abc import Iterator

from flyweight.zoo.preprocessing import IMAGENET, Preprocessing
from flyweight.zoo.weights.layout import Layout, Sources, Unit, torch_notation

FAMILY = "ShuffleNet V2"
REPEATS = {"stage2": 4, "stage3": 8, "stage4": 4}


def _torchvision_units() -> Iterator[Unit]:
    yield Unit("stages.stem.0", "conv1.0", "conv1.1")
    for stage, count in REPEATS.items():
        for index in range(count):
            ours, theirs = f"stages.{stage}.{index}", f"{stage}.{index}"
            if index == 0:
                yield from _branch(f"{ours}.projection", f"{theirs}.branch1", ((0, 1), (2, 3)))
            yield from _branch(f"{ours}.main", f"{theirs}.branch2", ((0, 1), (3, 4), (5, 6)))
    yield Unit("stages.conv5", "conv5.0", "conv5.1")


def _megvii_stages(classifier: bool, prefix: str = "") -> Iterator[Unit]:
    """The whole network numbers its units through; the backbone by stage."""
    yield Unit("stages.stem.0", f"{prefix}first_conv.0", f"{prefix}first_conv.1")
    number = 0
    for stage, count in REPEATS.items():
        for index in range(count):
            ours = f"stages.{stage}.{index}"
            theirs = f"features.{number}" if classifier else f"{prefix}{stage}.{index}"
            if index == 0:
                yield from _branch(f"{ours}.projection", f"{theirs}.branch_proj", ((0, 1), (2, 3)))
            yield from _branch(f"{ours}.main", f"{theirs}.branch_main", ((0, 1), (3, 4), (5, 6)))
            number += 1
    if classifier:
        yield Unit("stages.conv5", "conv_last.0", "conv_last.1")


def _branch(ours: str, theirs: str, positions: tuple[tuple[int, int], ...]) -> Iterator[Unit]:
    """The convolutions of a branch, by their and their norms' positions in a sequence."""
    for index, (conv, norm) in enumerate(positions):
        yield Unit(f"{ours}.{index}", f"{theirs}.{conv}", f"{theirs}.{norm}")


def _torchvision(eps: float) -> Sources:
    return torch_notation(_torchvision_units(), "fc")


def _megvii(eps: float) -> Sources:
    return torch_notation(_megvii_stages(classifier=True), "classifier.0", bias=False)


def _megvii_backbone(eps: float) -> Sources:
    return torch_notation(_megvii_stages(classifier=False))


def _fastestdet(eps: float) -> Sources:
    return torch_notation(_megvii_stages(classifier=False, prefix="backbone."))


_TRAINED_ON_176 = Preprocessing(resize=232, mean=IMAGENET.mean, std=IMAGENET.std)

TORCHVISION = Layout(
    name="torchvision ShuffleNet V2",
    family=FAMILY,
    form={"form": "halved", "classifier_bias": True},
    sources=_torchvision,
    preprocessing=IMAGENET,
    origin="torchvision.models.shufflenet_v2_x*, BSD-3-Clause",
    sized=(
        ("shufflenet_v2_x1_5*", _TRAINED_ON_176),
        ("shufflenet_v2_x2_0*", _TRAINED_ON_176),
    ),
)

MEGVII = Layout(
    name="Megvii ShuffleNet V2",
    family=FAMILY,
    form={"form": "paper", "classifier_bias": False},
    sources=_megvii,
    preprocessing=Preprocessing(colour="BGR", scale=255.0),
    origin="github.com/megvii-model/ShuffleNet-Series, which resizes with OpenCV; MIT",
)

MEGVII_BACKBONE = Layout(
    name="Megvii ShuffleNet V2 backbone",
    family=FAMILY,
    form={"form": "paper"},
    sources=_megvii_backbone,
    preprocessing=Preprocessing(colour="BGR"),
    origin="module/shufflenetv2.pth of github.com/dog-qiuqiu/FastestDet, BSD-3-Clause",
)

FASTESTDET = Layout(
    name="FastestDet's ShuffleNet V2 backbone",
    family=FAMILY,
    form={"form": "paper"},
    sources=_fastestdet,
    preprocessing=Preprocessing(colour="BGR").at(352),
    origin="weights/ of github.com/dog-qiuqiu/FastestDet, BSD-3-Clause",
)

LAYOUTS = (TORCHVISION, MEGVII, MEGVII_BACKBONE, FASTESTDET)
