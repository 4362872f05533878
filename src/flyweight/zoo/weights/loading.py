"""Weights into networks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from flyweight.nn import Network
from flyweight.zoo.preprocessing import Preprocessing
from flyweight.zoo.registry import create_model, model_info
from flyweight.zoo.weights.fitting import Fitted, converted_shapes, fit
from flyweight.zoo.weights.own import Saved, read_saved
from flyweight.zoo.weights.public import weights_in
from flyweight.zoo.weights.reading import read_tensors
from flyweight.zoo.weights.recognising import Recognised, recognise
from flyweight.zoo.weights.variants import image_channels, outline

# TensorFlow's networks of other input sizes than 224 say so in their names alone.
_SIZE = re.compile(r"mobilenet.*_(96|128|160|192)(?!\d)")


@dataclass(frozen=True)
class Loaded:
    """What was read from a weights file.

    Attributes:
        layout: the name of its layout.
        preprocessing: what the weights were trained with; ImageNet's usual one for a state of our
            own that wasn't written by `save_weights`.
        fresh: the network's own keys that the file had nothing for, and that stayed as they were.
        unused: names in the file that the network has no use for.
        public: the published checkpoint that the file is, where it is one known here.
        classes: what the outputs stand for, where the file says so.
    """

    layout: str
    preprocessing: Preprocessing
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    public: str = ""
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pretrained:
    """A network with weights from a file, in evaluation mode, and what was read."""

    model: Network
    loaded: Loaded


def load_weights(model: nn.Module, file: str | Path, partial: bool = False) -> Loaded:
    """Load a weights file of any known layout into a network, or leave the network as it is.

    Args:
        model: made by `create_model` in the form that the weights need (an error says which), or
            any module whose own state the file holds.
        file: safetensors, a PyTorch checkpoint that holds only tensors, or a .caffemodel.
        partial: load what has a counterpart; the network keeps its own values elsewhere, as it
            does its classifier where that is for another number of classes.

    Raises:
        WeightsError: a missing or damaged file, an unknown layout, or weights that don't fit.
    """
    path = Path(file)
    tensors, metadata = read_tensors(path)
    saved = read_saved(path, metadata)
    recognised = recognise(path, tensors, saved, model)
    fitted = fit(recognised, model, partial)
    model.load_state_dict(fitted.state, strict=False)
    return _loaded(recognised, fitted, getattr(model, "variant", ""), saved)


def load_pretrained(
    name: str, file: str | Path, num_classes: int | None = None, partial: bool = False
) -> Pretrained:
    """Create a network in the form that a weights file needs, and load the file.

    Args:
        name: one of `list_models()`.
        file: as for `load_weights`.
        num_classes: outputs of the classifier; None for as many as the file has. Another number
            gives a fresh classifier (listed in `loaded.fresh`), and 0 gives pooled features.
        partial: as for `load_weights`.

    Raises:
        UsageError: an unknown name.
        WeightsError: as for `load_weights`.
    """
    family = model_info(name).family
    path = Path(file)
    tensors, metadata = read_tensors(path)
    saved = read_saved(path, metadata)
    options = _saved_options(saved, family)
    recognised = recognise(path, tensors, saved, outline(name, options))
    if not saved and recognised.layout.family == family:
        options = recognised.layout.form
    classes, channels = _sizes(recognised)
    # All checks are made on an outline, before a file's sizes can claim any memory.
    fitted = fit(recognised, outline(name, options, classes, channels), partial)
    model = create_model(name, classes, channels, **options)
    model.load_state_dict(fitted.state, strict=False)
    if num_classes is not None and num_classes != classes:
        model.reset_classifier(num_classes)
        kept = [key for key in fitted.fresh if not key.startswith("classifier.")]
        reset = [f"classifier.{key}" for key in model.classifier.state_dict()]
        fitted = replace(fitted, fresh=(*kept, *reset))
    return Pretrained(model.eval(), _loaded(recognised, fitted, name, saved))


def _saved_options(saved: Saved | None, family: str) -> Mapping[str, object]:
    if saved is None or model_info(saved.variant).family != family:
        return {}
    return saved.options


def _sizes(file: Recognised) -> tuple[int, int]:
    """How many classes and how many image channels a file's weights are for."""
    shapes = converted_shapes(file)
    classifier = shapes.get("classifier.weight", ())
    return (classifier[0] if classifier else 0) or 1000, image_channels(shapes)


def _loaded(file: Recognised, fitted: Fitted, variant: str, saved: Saved | None) -> Loaded:
    preprocessing = file.layout.preprocessing_of(variant)
    size = _SIZE.search(file.path.name)
    if size and file.layout.sized_by_name:
        preprocessing = preprocessing.at(int(size[1]))
    public = weights_in(file.path)
    if public and public.preprocessing:
        preprocessing = public.preprocessing
    name = public.name if public else ""
    # A fresh classifier's outputs stand for something else.
    reset = any(key.startswith("classifier.") for key in fitted.fresh)
    classes = saved.classes if saved and not reset else ()
    return Loaded(file.layout.name, preprocessing, fitted.fresh, fitted.unused, name, classes)
