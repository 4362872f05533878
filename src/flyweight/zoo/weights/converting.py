"""From a file of any known layout to one of ours, with its form and its preprocessing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import nn

from flyweight.errors import WeightsError
from flyweight.files import replaced
from flyweight.nn import Network
from flyweight.zoo.registry import list_models, model_info
from flyweight.zoo.weights.fitting import converted_shapes
from flyweight.zoo.weights.layout import Layout
from flyweight.zoo.weights.loading import Pretrained, load_pretrained
from flyweight.zoo.weights.own import read_saved, save_weights
from flyweight.zoo.weights.reading import read_tensors
from flyweight.zoo.weights.recognising import LAYOUTS, Recognised, few, recognise
from flyweight.zoo.weights.variants import all_options, differing, image_channels, outline

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Converted:
    """What was converted.

    Attributes:
        pretrained: the network with the file's weights, and what was read; its preprocessing is
            what was written.
        options: what `create_model` needs beside the network's name, as the new file says it.
    """

    pretrained: Pretrained
    options: Mapping[str, object]


def convert(file: str | Path, out: str | Path, name: str = "") -> Converted:
    """Write weights of any known layout to a safetensors file of ours.

    The new file is read back before it takes its place: the network it gives must compute the same
    logits, bit for bit.

    Args:
        file: as for `load_weights`.
        out: where to; what was there is replaced.
        name: the network; empty to find it by the file's tensors.

    Raises:
        UsageError: an unknown name.
        WeightsError: as for `load_weights`, and where it doesn't show which network it is.
        FlyweightError: `out` can't be written.
    """
    path, out = Path(file), Path(out)
    pretrained = load_pretrained(name or network_of(path), path)
    model, preprocessing = pretrained.model, pretrained.loaded.preprocessing
    with replaced(out) as temporary:
        save_weights(model, temporary, preprocessing, pretrained.loaded.classes)
        again = load_pretrained(model.variant, temporary)
        same = torch.equal(*(_logits(it, preprocessing.crop) for it in (model, again.model)))
        if not same or again.loaded.preprocessing != preprocessing:
            raise WeightsError(f"{out} would not give what {path} gives: not written")
    options = differing(all_options(model.variant, model.options), all_options(model.variant, {}))
    return Converted(pretrained, options)


def _logits(model: Network, side: int) -> torch.Tensor:
    channels = image_channels({key: tensor.shape for key, tensor in model.state_dict().items()})
    image = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits: torch.Tensor = model(image)
    return logits


def network_of(path: Path) -> str:
    """The network whose tensors a file holds, all of them and with these shapes.

    Raises:
        WeightsError: as for `read_tensors`; no network, or several that the tensors fit alike.
    """
    tensors, metadata = read_tensors(path)
    saved = read_saved(path, metadata)
    if saved:
        return saved.variant
    if any(key.startswith("stages.") for key in tensors):
        raise WeightsError(
            f"{path}: tensors of a network of ours, whose name save_weights would have written"
            " beside them: say which it is for, with --model NAME"
        )
    found: dict[str, int] = {}
    for layout in LAYOUTS:
        if not layout.matches(tensors):
            continue
        renamed = {layout.rename(key): tensor for key, tensor in tensors.items()}
        for name in _fitting(Recognised(path, layout, renamed, {})):
            count = len(differing(layout.form, all_options(name, {})))
            found[name] = min(count, found.get(name, count))
    nearest = [name for name, count in found.items() if count == min(found.values())]
    if len(nearest) == 1:
        return nearest[0]
    if not nearest:
        layout = recognise(path, tensors, None, nn.Module()).layout
        raise WeightsError(
            f"{path} ({layout.name}): no network has just these tensors: say which it is for,"
            " with --model NAME"
        )
    raise WeightsError(
        f"{path}: these tensors fit {few(nearest)} alike: say which it is, with --model NAME"
    )


def _fitting(file: Recognised) -> Iterator[str]:
    """The networks of a layout's family that have a file's tensors and no others."""
    layout = file.layout
    names = {key for source in layout.sources(0.0).values() for key in source.keys}
    if not all(key in names or key.endswith(_COUNTER) or _ignored(layout, key)
               for key in file.tensors):  # fmt: skip
        return
    try:
        shapes = _body(converted_shapes(file))
    except WeightsError:
        return
    for name in list_models():
        if shapes and model_info(name).family == layout.family:
            state = outline(name, layout.form, in_channels=image_channels(shapes)).state_dict()
            if _body({key: tensor.shape for key, tensor in state.items()}) == shapes:
                yield name


def _ignored(layout: Layout, key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in layout.ignored)


def _body(shapes: Mapping[str, torch.Size]) -> dict[str, torch.Size]:
    """All but the classifier, which may be for other classes, and the counters of batches."""
    return {
        key: shape
        for key, shape in shapes.items()
        if not key.startswith("classifier.") and not key.endswith(_COUNTER)
    }
