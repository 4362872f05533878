"""Networks with trained weights, by a name and a file or by the folder of a training run."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from flyweight import exporting
from flyweight.api import as_model
from flyweight.errors import UsageError
from flyweight.training.folder import ABOUT, is_run, read_about, weights_of
from flyweight.zoo import list_models, model_info
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing
from flyweight.zoo.weights import load_pretrained, load_weights

USUAL_SIDE = 224
"""Of the input of a network of which nothing says how large it is, in pixels."""


@dataclass(frozen=True)
class Trained:
    """A network with trained weights, in evaluation mode.

    Attributes:
        model: the network.
        name: in the zoo, or "package.module:factory".
        weights: the file that they came from; None where the module had them.
        layout: of that file.
        preprocessing: what they expect.
        classes: what the outputs stand for; empty where nothing says so.
    """

    model: nn.Module
    name: str
    weights: Path | None
    layout: str
    preprocessing: Preprocessing
    classes: tuple[str, ...]


def run_folder(name: str) -> Path | None:
    """The folder of a training run that is meant by a name; a network's own name comes first.

    Raises:
        UsageError: a path, and no run is there.
    """
    path = Path(name)
    if name in list_models():
        return None
    if is_run(path):
        return path
    if path.is_dir() or ("/" in name and ":" not in name):
        raise UsageError(f"no training run in {name}: it has no {ABOUT}")
    return None


def load_trained(name: str, weights: Path | None = None) -> Trained:
    """A network of the zoo with a file of weights, or what a training run has reached.

    Args:
        name: of the zoo, or the folder of a run.
        weights: a file; None for a run's own.

    Raises:
        UsageError: an unknown name, or one without weights.
        WeightsError: weights that can't be read, or don't fit.
        FlyweightError: a run without weights.
    """
    run = run_folder(name)
    if run is None:
        if weights is None:
            model_info(name)
            raise UsageError(f"{name}: give --weights FILE, or the folder of a training run")
        return _pretrained(name, weights)
    about, file = read_about(run), weights or weights_of(run)
    if ":" not in about.network:
        return _pretrained(about.network, file)
    model = as_model(about.network)
    loaded = load_weights(model, file)
    return Trained(
        model.eval(), about.network, file, loaded.layout, about.preprocessing, about.classes
    )


def _pretrained(name: str, file: Path) -> Trained:
    pretrained = load_pretrained(name, file)
    loaded = pretrained.loaded
    return Trained(
        pretrained.model, name, file, loaded.layout, loaded.preprocessing, loaded.classes
    )


def trained_module(name: str, weights: Path | None = None, side: int = USUAL_SIDE) -> Trained:
    """A network by its factory, with the weights that it has or those of a file.

    Nothing says what it expects of images: they are prepared as ImageNet's are.

    Args:
        name: "package.module:factory".
        weights: a file of its state; None for what the factory gives it.
        side: of its input, in pixels.

    Raises:
        UsageError: there is no such factory.
        WeightsError: weights that can't be read, or don't fit.
    """
    model = as_model(name)
    loaded = None if weights is None else load_weights(model, weights)
    layout, classes = ("", ()) if loaded is None else (loaded.layout, loaded.classes)
    return Trained(model.eval(), name, weights, layout, IMAGENET.at(side), classes)


def source_of(name: str, weights: Path | None = None) -> exporting.Source:
    """A network by its name, to be exported or quantised.

    Args:
        name: of the zoo, "package.module:factory", or the folder of a run.
        weights: a file. Without it a run has its own, a factory's network keeps those that it has,
            and one of the zoo has fresh ones.

    Raises:
        UsageError: an unknown name.
        WeightsError: weights that can't be read, or don't fit.
        FlyweightError: a run without weights.
    """
    if run := run_folder(name):
        return source_of_run(run, weights)
    if ":" in name:
        return exporting.from_module(as_model(name), name, weights)
    return exporting.from_zoo(name, weights)


def source_of_run(run: Path, weights: Path | None = None) -> exporting.Source:
    """What a run has reached, to be exported.

    Args:
        run: its folder.
        weights: other weights for its network.

    Raises:
        WeightsError: weights that can't be read, or don't fit.
        FlyweightError: a run without weights.
    """
    about, file = read_about(run), weights or weights_of(run)
    if ":" not in about.network:
        return exporting.from_zoo(about.network, file)
    source = exporting.from_module(as_model(about.network), about.network, file)
    return replace(source, preprocessing=about.preprocessing, classes=about.classes)
