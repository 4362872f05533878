"""What a layout of weights is: names in a file, and how our tensors are made from them.

Every convolution of the families here is a `ConvNormAct`. So a layout is a list of units (our
name, and theirs for the convolution and its batch norm), the name of the classifier, and a
notation: how tensors are called and stored in PyTorch, in Keras, or in a quantised TensorFlow file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from flyweight.zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class Source:
    """Where one of our tensors comes from: the tensors it is made of, by name, and how."""

    keys: tuple[str, ...]
    make: Callable[..., Tensor]


Sources = dict[str, Source]


@dataclass(frozen=True)
class Unit:
    """A convolution with batch norm: our name of the block, and a layout's names of both."""

    ours: str
    conv: str
    norm: str


def _same_key(key: str) -> str:
    return key


def _any(tensors: Mapping[str, Tensor]) -> bool:
    return True


@dataclass(frozen=True)
class Layout:
    """A way to write down the weights of a family.

    Attributes:
        name: who writes them so, and of which network.
        family: as the registry calls it.
        form: options of `create_model` without which the weights compute something else.
        sources: our keys to where they come from, given the epsilon of the network's batch norm.
        preprocessing: what the weights were trained with.
        origin: where such weights are published, and under which licence.
        sized: (pattern of a variant's name, preprocessing) where it differs from the rest.
        rename: a name in the file to the name that `sources` uses.
        sized_by_name: whether the input size is part of the file's name, as in "_160_quant".
        ignored: patterns of names that files may hold and evaluation has no use for, such as
            those of classifiers that only training uses.
        matches: whether a file's tensors can be of this layout, where another one has the same
            names for a different network.
    """

    name: str
    family: str
    form: Mapping[str, object]
    sources: Callable[[float], Sources]
    preprocessing: Preprocessing
    origin: str
    sized: tuple[tuple[str, Preprocessing], ...] = field(default=())
    rename: Callable[[str], str] = _same_key
    sized_by_name: bool = False
    ignored: tuple[str, ...] = ()
    matches: Callable[[Mapping[str, Tensor]], bool] = _any

    def preprocessing_of(self, variant: str) -> Preprocessing:
        """What the weights of this variant were trained with."""
        for pattern, preprocessing in self.sized:
            if fnmatchcase(variant, pattern):
                return preprocessing
        return self.preprocessing


def as_it_is(tensor: Tensor) -> Tensor:
    """The tensor itself."""
    return tensor


def torch_notation(units: Iterable[Unit], classifier: str = "", bias: bool = True) -> Sources:
    """Names and shapes as `torch.nn` has them; no `classifier` for a file without one."""
    sources: Sources = {}
    for unit in units:
        sources[f"{unit.ours}.conv.weight"] = Source((f"{unit.conv}.weight",), as_it_is)
        for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            sources[f"{unit.ours}.norm.{leaf}"] = Source((f"{unit.norm}.{leaf}",), as_it_is)
    for leaf in ("weight", "bias")[: (1 + bias) if classifier else 0]:
        sources[f"classifier.{leaf}"] = Source((f"{classifier}.{leaf}",), as_it_is)
    return sources


def plain_notation(names: Mapping[str, str]) -> Sources:
    """Layers with a weight and a bias, as `torch.nn` has them: our name to theirs."""
    return {
        f"{ours}.{leaf}": Source((f"{theirs}.{leaf}",), as_it_is)
        for ours, theirs in names.items()
        for leaf in ("weight", "bias")
    }


_KERAS_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def keras_notation(units: Iterable[Unit], classifier: str) -> Sources:
    """Kernels as height, width, in, out, or height, width, channels, 1 where depthwise.

    `Unit.conv` is the whole name of the kernel; the classifier is a 1x1 convolution.
    """
    sources: Sources = {}
    for unit in units:
        order = (2, 3, 0, 1) if unit.conv.endswith("depthwise_kernel") else (3, 2, 0, 1)
        sources[f"{unit.ours}.conv.weight"] = Source((unit.conv,), _permuted(order))
        for leaf, name in _KERAS_NORM.items():
            sources[f"{unit.ours}.norm.{leaf}"] = Source((f"{unit.norm}/{name}",), as_it_is)
    kernel = _permuted((3, 2, 0, 1))
    sources["classifier.weight"] = Source(
        (f"{classifier}/kernel",), lambda tensor: kernel(tensor).flatten(1)
    )
    sources["classifier.bias"] = Source((f"{classifier}/bias",), as_it_is)
    return sources


def _permuted(order: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.permute(order)


def folded_notation(units: Iterable[Unit], classifier: str, eps: float) -> Sources:
    """Weights in 8 bits with scale and zero point, batch norm folded into a bias.

    The batch norm here becomes one that adds the bias and does nothing else, exactly so for the
    epsilon given. The classifier is a 1x1 convolution whose first class ("background") is dropped.
    """

    def filled(value: float) -> Callable[[Tensor], Tensor]:
        return lambda bias: torch.full_like(bias, value)

    sources: Sources = {}
    for unit in units:
        bias = (f"{unit.conv}.bias",)
        sources[f"{unit.ours}.conv.weight"] = Source(_quantised(unit.conv), _dequantised)
        sources[f"{unit.ours}.norm.weight"] = Source(bias, filled(1.0))
        sources[f"{unit.ours}.norm.bias"] = Source(bias, as_it_is)
        sources[f"{unit.ours}.norm.running_mean"] = Source(bias, filled(0.0))
        sources[f"{unit.ours}.norm.running_var"] = Source(bias, filled(1.0 - eps))
    sources["classifier.weight"] = Source(
        _quantised(classifier), lambda *parts: _dequantised(*parts).flatten(1)[1:]
    )
    sources["classifier.bias"] = Source((f"{classifier}.bias",), lambda bias: bias[1:])
    return sources


def _quantised(name: str) -> tuple[str, str, str]:
    return (f"{name}.weight_q", f"{name}.scale", f"{name}.zero_point")


def _dequantised(values: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Scale (q - zero point), with one scale for all or one for each output channel."""
    per_output = (-1, 1, 1, 1)
    return scale.float().reshape(per_output) * (
        values.float() - zero_point.float().reshape(per_output)
    )
