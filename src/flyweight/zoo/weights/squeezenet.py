"""The layouts in which SqueezeNet is published.

The names of Caffe's layers are those of both versions of the network; the kernel of the first
convolution tells them apart. Weights for the simple bypass have the names and shapes of those
without one, and are not known here.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from flyweight.zoo.preprocessing import IMAGENET, Preprocessing
from flyweight.zoo.squeezenet import FIRES
from flyweight.zoo.weights.layout import Layout, Sources, plain_notation

FAMILY = "SqueezeNet"

# The layers that pooling follows.
POOLS = {"1.0": (1, 4, 8), "1.1": (1, 3, 5)}

CAFFE = Preprocessing(crop=227, resize=256, colour="BGR", scale=255.0, mean=(104.0, 117.0, 123.0))
"""What Caffe's networks of that time expect."""


def _form(version: str) -> Mapping[str, object]:
    return {"pools": POOLS[version], "bypass": "none", "ceil_mode": True}


def _stage(fire: int, pools: tuple[int, ...]) -> int:
    """Which of our stages holds a Fire module."""
    return sum(pool < fire for pool in pools)


def _torchvision(version: str) -> Callable[[float], Sources]:
    pools = POOLS[version]
    names = {"stages.stem.conv": "features.0", "classifier": "classifier.1"}
    for fire in FIRES:
        ours = f"stages.stage{_stage(fire, pools)}.fire{fire}"
        # Conv1 and its ReLU are 0 and 1, and pools are counted among the Fire modules.
        theirs = f"features.{fire + _stage(fire, pools)}"
        for part in ("squeeze", "expand1x1", "expand3x3"):
            names[f"{ours}.{part}.conv"] = f"{theirs}.{part}"
    return lambda eps: plain_notation(names)


def _caffe(version: str) -> Callable[[float], Sources]:
    names = {"stages.stem.conv": "conv1", "classifier": "conv10"}
    for fire in FIRES:
        ours = f"stages.stage{_stage(fire, POOLS[version])}.fire{fire}"
        for part, theirs in (
            ("squeeze", "squeeze1x1"),
            ("expand1x1", "expand1x1"),
            ("expand3x3", "expand3x3"),
        ):
            names[f"{ours}.{part}.conv"] = f"fire{fire}/{theirs}"
    return lambda eps: plain_notation(names)


def _first_kernel(size: int) -> Callable[[Mapping[str, Tensor]], bool]:
    """Whether the first convolution has kernels of this size, where it is there."""
    return lambda tensors: (
        "conv1.weight" not in tensors or tuple(tensors["conv1.weight"].shape[2:]) == (size, size)
    )


LAYOUTS = (
    *(
        Layout(
            name="torchvision SqueezeNet",
            family=FAMILY,
            form=_form(version),
            sources=_torchvision(version),
            preprocessing=IMAGENET,
            origin=f"torchvision.models.squeezenet{version.replace('.', '_')}, BSD-3-Clause",
        )
        for version in POOLS
    ),
    *(
        Layout(
            name="Caffe SqueezeNet",
            family=FAMILY,
            form=_form(version),
            sources=_caffe(version),
            preprocessing=CAFFE,
            origin=f"SqueezeNet_v{version} of github.com/forresti/SqueezeNet, BSD-2-Clause",
            matches=_first_kernel(kernel),
        )
        for version, kernel in (("1.0", 7), ("1.1", 3))
    ),
)
