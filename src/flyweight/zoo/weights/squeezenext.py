"""The layout in which SqueezeNext is published: the layers of its authors' network files (Caffe).

All convolutions are numbered through, in the order in which they run. The files of versions 1 and 5
hold the same names for different networks; the kernel of the first convolution tells them apart.
Caffe splits batch norm into a layer that normalises and one that scales.
"""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from flyweight.zoo.weights.layout import Layout, Source, Sources, as_it_is
from flyweight.zoo.weights.squeezenet import CAFFE

FAMILY = "SqueezeNext"

_FORM = {"aggregated": False, "classifier_bias": False}
FORMS: dict[int, dict[str, object]] = {
    7: {"depths": (6, 6, 8, 1), "projection": "parallel", **_FORM},
    5: {"depths": (2, 4, 14, 1), "projection": "series", **_FORM},
}
"""By the kernel size of the first convolution."""


def _convolutions(depths: tuple[int, ...]) -> Iterator[str]:
    """Our names of the convolutions' blocks, in the order in which they run."""
    yield "stages.stem.0"
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            ours = f"stages.stage{stage}.{block}"
            if block == 0:
                yield f"{ours}.projection"
            for index in range(5):
                yield f"{ours}.branch.{index}"
    yield "stages.last"


def _averaged(total: Tensor, factor: Tensor) -> Tensor:
    """A running statistic: Caffe keeps a sum and the factor it grew by, both 0 before training."""
    return total / (factor + 1e-30)  # changes no other factor than 0


def _caffe(depths: tuple[int, ...]) -> Callable[[float], Sources]:
    sources = {"classifier.weight": Source(("fc1000.weight",), as_it_is)}
    for number, ours in enumerate(_convolutions(depths), start=1):
        norm, scale = f"BatchNorm{number}", f"Scale{number}"
        sources[f"{ours}.conv.weight"] = Source((f"Convolution{number}.weight",), as_it_is)
        # A layer's tensors have no names of their own: the first is its weight, the second its
        # bias, whatever they hold.
        for leaf, theirs in (("running_mean", "weight"), ("running_var", "bias")):
            sources[f"{ours}.norm.{leaf}"] = Source((f"{norm}.{theirs}", f"{norm}.2"), _averaged)
        for leaf in ("weight", "bias"):
            sources[f"{ours}.norm.{leaf}"] = Source((f"{scale}.{leaf}",), as_it_is)
    return lambda eps: sources


def _first_kernel(size: int) -> Callable[[Mapping[str, Tensor]], bool]:
    name = "Convolution1.weight"
    return lambda tensors: name not in tensors or tuple(tensors[name].shape[2:]) == (size, size)


LAYOUTS = tuple(
    Layout(
        name="Caffe SqueezeNext",
        family=FAMILY,
        form=FORMS[kernel],
        sources=_caffe(depths),
        preprocessing=CAFFE,
        origin="the files linked from github.com/amirgholami/SqueezeNext, BSD-2-Clause",
        matches=_first_kernel(kernel),
    )
    for kernel, depths in ((7, (6, 6, 8, 1)), (5, (2, 4, 14, 1)))
)
