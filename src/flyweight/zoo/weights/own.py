"""Our own layout: a network's state as it is, beside it what the tensors don't say."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from flyweight.errors import UsageError, WeightsError
from flyweight.files import replaced
from flyweight.nn import Network
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing
from flyweight.zoo.registry import list_models, model_info
from flyweight.zoo.weights.layout import Layout, Source, as_it_is
from flyweight.zoo.weights.variants import all_options, differing, outline

NAME = "flyweight"


@dataclass(frozen=True)
class Saved:
    """What the metadata of our files holds.

    Attributes:
        variant: the network, as `create_model` knows it.
        options: further options that it was created with.
        preprocessing: what its weights were trained with.
        classes: what the outputs stand for; empty where that isn't known.
    """

    variant: str
    options: Mapping[str, object]
    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()


def save_weights(
    model: Network,
    file: str | Path,
    preprocessing: Preprocessing = IMAGENET,
    classes: Sequence[str] = (),
) -> None:
    """Write a network's weights to a safetensors file, with its form and its preprocessing.

    Args:
        model: made by `create_model`.
        file: where to; what was there is replaced once all is written.
        preprocessing: what the weights were trained with.
        classes: what the outputs stand for, where that is known.

    Raises:
        UsageError: a network that `create_model` didn't make.
        FlyweightError: the file can't be written.
    """
    if not model.variant:
        raise UsageError("save_weights needs a network that create_model made")
    metadata = metadata_of(model.variant, model.options, preprocessing, classes)
    state = {key: tensor.contiguous().cpu() for key, tensor in model.state_dict().items()}
    with replaced(Path(file)) as temporary:
        save_file(state, temporary, metadata)


def metadata_of(
    variant: str,
    options: Mapping[str, object],
    preprocessing: Preprocessing,
    classes: Sequence[str] = (),
) -> dict[str, str]:
    """What a file says of a network beside its tensors.

    Args:
        variant: as `create_model` knows it.
        options: that it was created with.
        preprocessing: what the weights were trained with.
        classes: what the outputs stand for, where that is known.
    """
    saved = {
        "variant": variant,
        "options": differing(all_options(variant, options), all_options(variant, {})),
        "preprocessing": dataclasses.asdict(preprocessing),
        **({"classes": list(classes)} if classes else {}),
    }
    return {NAME: json.dumps(saved)}


def read_saved(path: Path, metadata: Mapping[str, str]) -> Saved | None:
    """What `save_weights` wrote about a file; None where it has no metadata of ours.

    Raises:
        WeightsError: metadata that this version doesn't understand.
    """
    if NAME not in metadata:
        return None
    try:
        saved = json.loads(metadata[NAME])
        options = {
            str(key): tuple(value) if isinstance(value, list) else value
            for key, value in saved["options"].items()
        }
        accepted = model_info(saved["variant"]).accepts
        unknown = [key for key in options if key not in accepted]
        if unknown:
            raise ValueError(f"{saved['variant']} has no option {unknown[0]!r}")
        given = saved["preprocessing"]
        preprocessing = Preprocessing(
            **{**given, "mean": tuple(given["mean"]), "std": tuple(given["std"])}
        )
        outline(saved["variant"], options)
        classes = tuple(map(str, saved.get("classes", ())))
        return Saved(saved["variant"], options, preprocessing, classes)
    except Exception as error:  # anything can be in there
        raise WeightsError(
            f"{path}: its metadata is not of this version of Flyweight ({error})"
        ) from None


def own_layout(family: str, keys: Iterable[str]) -> Layout:
    """Our layout for a network with these keys.

    Without metadata nothing is known of the form, and the preprocessing is taken as ImageNet's.
    """
    sources = {key: Source((key,), as_it_is) for key in keys}
    return Layout(
        name=NAME,
        family=family,
        form={},
        sources=lambda eps: sources,
        preprocessing=IMAGENET,
        origin="flyweight.zoo.weights.save_weights",
    )


def saved_layout(saved: Saved) -> Layout:
    """Our layout with the form and the preprocessing that a file's metadata names."""
    model = outline(saved.variant, saved.options)
    return dataclasses.replace(
        own_layout(model_info(saved.variant).family, model.state_dict()),
        form=all_options(saved.variant, saved.options),
        preprocessing=saved.preprocessing,
    )


@functools.cache
def own_layouts() -> tuple[Layout, ...]:
    """Our layout for the first network of each family, to tell whose weights a file holds."""
    first: dict[str, nn.Module] = {}
    for name in list_models():
        family = model_info(name).family
        if family not in first:
            first[family] = outline(name, {})
    return tuple(own_layout(family, model.state_dict()) for family, model in first.items())
