"""What is to be exported: a network, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from flyweight.files import sha256
from flyweight.graph import frozen_copy
from flyweight.nn import Network
from flyweight.zoo import create_model, model_info
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing
from flyweight.zoo.weights import Loaded, load_pretrained, load_weights
from flyweight.zoo.weights.variants import all_options, differing

SEED = 0


@dataclass(frozen=True)
class Source:
    """A network to export.

    Attributes:
        model: in evaluation mode, a copy of the caller's.
        network: its name in the zoo, its factory, or its class.
        weights: the file's name, checksum and layout, or a sentence where there is none.
        preprocessing: how images become inputs, where that is known.
        classes: what the outputs stand for; empty where the weights don't say.
    """

    model: nn.Module
    network: str
    weights: Mapping[str, str] | str
    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] = ()

    @property
    def options(self) -> Mapping[str, object]:
        """Options of `create_model` that differ from the network's own."""
        if not isinstance(self.model, Network) or not self.model.variant:
            return {}
        variant = self.model.variant
        settings = all_options(variant, self.model.options)
        return differing(settings, all_options(variant, {}))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) as its weights or its paper have it; 3 x 224 x 224 else."""
        side = self.preprocessing.crop if self.preprocessing else 224
        first = next((one for one in self.model.modules() if isinstance(one, nn.Conv2d)), None)
        return (first.in_channels if first is not None else 3, side, side)

    def at(self, height: int, width: int) -> "Source":
        """The same for another input size; the preprocessing is for squares."""
        if self.preprocessing is None or height != width:
            return self
        return replace(self, preprocessing=self.preprocessing.at(height))


def from_zoo(name: str, weights: Path | None = None) -> Source:
    """A network of the zoo with the weights of a file, or with fresh ones, always the same.

    Raises:
        UsageError: an unknown name.
        WeightsError: weights that can't be read, or don't fit.
    """
    info = model_info(name)
    if weights is not None:
        pretrained = load_pretrained(name, weights)
        model = frozen_copy(pretrained.model)
        loaded = pretrained.loaded
        return Source(model, name, _said(weights, loaded), loaded.preprocessing, loaded.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = create_model(name).eval().requires_grad_(False)
    fresh = f"none: fresh initialisation, seed {SEED}"
    return Source(model, name, fresh, IMAGENET.at(info.resolution))


def from_module(model: nn.Module, network: str, weights: Path | None = None) -> Source:
    """A module with its own weights, or with those of a file; the module is not changed.

    Args:
        model: any module.
        network: what to call it.
        weights: a file of its state, or of any layout that its network of the zoo has.

    Raises:
        WeightsError: weights that can't be read, or don't fit.
        CaptureError: the module can't be copied.
    """
    own = frozen_copy(model)
    if weights is None:
        return Source(own, network, "as the module had them")
    loaded = load_weights(own, weights)
    # The state of a module that isn't ours says nothing of preprocessing.
    known = loaded.preprocessing if isinstance(own, Network) and own.variant else None
    return Source(own, network, _said(weights, loaded), known, loaded.classes)


def _said(file: Path, loaded: Loaded) -> dict[str, str]:
    published = {"published": loaded.public} if loaded.public else {}
    return {"file": file.name, "sha256": sha256(file), "layout": loaded.layout, **published}
