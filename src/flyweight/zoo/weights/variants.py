"""Which network of the zoo some weights belong to."""

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from flyweight.nn import Network
from flyweight.zoo.registry import create_model, list_models, lookup, model_info

Shapes = Mapping[str, Sequence[int]]

# They make no difference to what trained weights compute.
_IRRELEVANT = ("num_classes", "in_channels", "dropout")


def family_of(model: nn.Module) -> str:
    """The family of a network that `create_model` made; empty for other modules."""
    variant = getattr(model, "variant", "")
    return model_info(variant).family if variant else ""


def all_options(name: str, options: Mapping[str, object]) -> dict[str, object]:
    """Every option of a network that matters to trained weights, the defaults included."""
    family, variant = lookup(name)
    parameters = inspect.signature(family.build).parameters
    settings = {key: parameter.default for key, parameter in parameters.items()}
    settings |= {**variant.options, **options}
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in settings.items()
        if key not in _IRRELEVANT
    }


def differing(wanted: Mapping[str, object], settings: Mapping[str, object]) -> dict[str, object]:
    """Those of the wanted options that the settings don't have."""
    return {key: value for key, value in wanted.items() if settings.get(key) != value}


def written(options: Mapping[str, object]) -> str:
    """Options as they are written in a call."""
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def call_of(name: str, options: Mapping[str, object]) -> str:
    """The call that creates a network with these options, without those that it has anyway."""
    extra = differing(options, all_options(name, {}))
    return f"create_model({', '.join([repr(name), *filter(None, [written(extra)])])})"


def outline(
    name: str, options: Mapping[str, object], num_classes: int = 1000, in_channels: int = 3
) -> Network:
    """A network without values: only its names and shapes are real, and it costs no memory."""
    with torch.device("meta"):
        return create_model(name, num_classes, in_channels, **options)


def image_channels(shapes: Shapes) -> int:
    """How many channels the first convolution reads; 3 where that doesn't show."""
    for key, shape in shapes.items():
        if key.startswith("stages.stem.") and key.endswith("conv.weight") and len(shape) == 4:
            return shape[1] or 3
    return 3


def fitting(family: str, form: Mapping[str, object], shapes: Shapes) -> str | None:
    """The variant of a family that has these shapes; of several, the nearest to the form as it is.

    Args:
        family: as the registry calls it.
        form: options that the weights need.
        shapes: of our tensors as the weights give them; the classifier's don't count.
    """
    channels = image_channels(shapes)
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith("classifier.")}
    names = [name for name in list_models() if model_info(name).family == family]
    names.sort(key=lambda name: len(differing(form, all_options(name, {}))))
    for name in names:
        state = outline(name, form, in_channels=channels).state_dict()
        if all(key in state and state[key].shape == shape for key, shape in shapes.items()):
            return name
    return None
