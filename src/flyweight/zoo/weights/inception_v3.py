"""The layout in which Inception V3 is published."""

from collections.abc import Iterator

from flyweight.zoo.preprocessing import TENSORFLOW
from flyweight.zoo.weights.layout import Layout, Sources, Unit, torch_notation


def _numbered(name: str, ours: int, count: int) -> dict[str, str]:
    """A branch of convolutions one after another: our position in it to torchvision's number."""
    return {f"{ours}.{index}": f"{name}_{index + 1}" for index in range(count)}


# By kind of module: our name of a convolution to torchvision's.
_35 = {
    "0.0": "branch1x1",
    **_numbered("branch5x5", 1, 2),
    **_numbered("branch3x3dbl", 2, 3),
    "3.1": "branch_pool",
}
_TO_17 = {"0.0": "branch3x3", **_numbered("branch3x3dbl", 1, 3)}
_17 = {
    "0.0": "branch1x1",
    **_numbered("branch7x7", 1, 3),
    **_numbered("branch7x7dbl", 2, 5),
    "3.1": "branch_pool",
}
_TO_8 = {**_numbered("branch3x3", 0, 2), **_numbered("branch7x7x3", 1, 4)}
_8 = {
    "0.0": "branch1x1",
    "1.0": "branch3x3_1",
    "1.1.0": "branch3x3_2a",
    "1.1.1": "branch3x3_2b",
    "2.0": "branch3x3dbl_1",
    "2.1": "branch3x3dbl_2",
    "2.2.0": "branch3x3dbl_3a",
    "2.2.1": "branch3x3dbl_3b",
    "3.1": "branch_pool",
}

MODULES = {
    "stage3.1": ("Mixed_5b", _35),
    "stage3.2": ("Mixed_5c", _35),
    "stage3.3": ("Mixed_5d", _35),
    "stage4.0": ("Mixed_6a", _TO_17),
    "stage4.1": ("Mixed_6b", _17),
    "stage4.2": ("Mixed_6c", _17),
    "stage4.3": ("Mixed_6d", _17),
    "stage4.4": ("Mixed_6e", _17),
    "stage5.0": ("Mixed_7a", _TO_8),
    "stage5.1": ("Mixed_7b", _8),
    "stage5.2": ("Mixed_7c", _8),
}


def _names() -> Iterator[tuple[str, str]]:
    """Our name of every convolution with its batch norm, and torchvision's."""
    yield "stages.stem.0", "Conv2d_1a_3x3"
    yield "stages.stem.1", "Conv2d_2a_3x3"
    yield "stages.stem.2", "Conv2d_2b_3x3"
    yield "stages.stage2.1", "Conv2d_3b_1x1"
    yield "stages.stage2.2", "Conv2d_4a_3x3"
    for ours, (theirs, parts) in MODULES.items():
        for our_part, their_part in parts.items():
            yield f"stages.{ours}.{our_part}", f"{theirs}.{their_part}"


def _torchvision(eps: float) -> Sources:
    units = (Unit(ours, f"{theirs}.conv", f"{theirs}.bn") for ours, theirs in _names())
    return torch_notation(units, "fc")


TORCHVISION = Layout(
    name="torchvision Inception V3",
    family="Inception",
    form={"norm_eps": 1e-3},
    sources=_torchvision,
    # torchvision normalises with ImageNet's mean and deviation, and the network undoes it.
    preprocessing=TENSORFLOW.at(299),
    origin="torchvision.models.inception_v3, BSD-3-Clause; converted from TensorFlow",
    ignored=("AuxLogits.*",),
)

LAYOUTS = (TORCHVISION,)
