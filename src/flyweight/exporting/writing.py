"""An export from start to end: lower, write, read back, compare, and only then be there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from flyweight.errors import UsageError
from flyweight.exporting.checking import compare
from flyweight.exporting.describing import Description
from flyweight.exporting.formats import Target, UncheckedError
from flyweight.exporting.images import Images, image_format, photographs, random_images
from flyweight.exporting.result import Exported
from flyweight.exporting.source import Source
from flyweight.graph import check_runs
from flyweight.native.plan import ImageFormat
from flyweight.nn import Network
from flyweight.zoo.preprocessing import IMAGENET
from flyweight.zoo.weights import class_names

MOST_IMAGES = 32
RANDOM_BATCHES = (1, 3)


def write(
    source: Source,
    target: Target,
    input_size: Sequence[int],
    images: Sequence[Path],
    lowered: bool,
    commit: str | None,
    merged: bool = False,
) -> Exported:
    """Write a network to files that are there only if they compute what the network does.

    Args:
        source: the network.
        target: the format and the file.
        input_size: (batch, channels, height, width); the file takes any number of images.
        images: files of photographs to compare on, of which at most `MOST_IMAGES` are taken,
            evenly spread.
        lowered: write the network as `flyweight.lower` rewrites it for the format's engine.
        commit: of this package, for the file's metadata.
        merged: with `lowered`: make one convolution of 1x1 convolutions that read the same.

    Raises:
        UsageError: a network that doesn't run on this input, or images that it can't take.
        CaptureError: a network that can't be captured, lowered or written in this format.
        FlyweightError: images that can't be read, a file that can't be written, or one that
            differs from the network.
    """
    _, channels, height, width = input_size
    shape = (channels, height, width)
    source = source.at(height, width)
    wanted = target.choices
    image = image_format(
        wanted.pixels, wanted.layout, source.preprocessing, channels, source.network
    )
    prepared = _photographs(source, shape, images, image)
    example = torch.from_numpy(
        np.random.default_rng(0).standard_normal(tuple(input_size), np.float32)
    )
    check_runs(source.model, example)
    module = source.model
    if lowered:
        module = _lowered(module, example, target.format.engine, merged)
    description = Description(
        network=source.network,
        options=source.options,
        weights=source.weights,
        preprocessing=source.preprocessing,
        class_names=source.classes or _class_names(source.model, example),
        input_shape=shape,
        lowered=lowered,
        commit=commit,
        image=image,
        cpu=(wanted.cpu or "native") if target.format.source else None,
    )
    generator = np.random.default_rng(0)
    random = [
        random_images(batch, shape, image, source.preprocessing, generator)
        for batch in RANDOM_BATCHES
    ]
    writer = target.format.load()
    check, unchecked = None, None
    with target.replaced() as file:
        entries = writer.write(module, example, description, file)
        try:
            check = compare(source.model, writer.load(file), random, prepared)
        except UncheckedError as error:
            unchecked = str(error)
    files = target.written()
    size = sum(file.stat().st_size for file in files)
    return Exported(target.format.name, target.path, files, size, entries, check, unchecked)


def _lowered(model: nn.Module, example: Tensor, engine: str | None, merged: bool) -> nn.Module:
    from flyweight.lowering import lower

    return lower(model, example, engine=engine, merge_siblings=merged)


def _photographs(
    source: Source, shape: tuple[int, ...], images: Sequence[Path], image: ImageFormat
) -> Images | None:
    """Some of the photographs; prepared as ImageNet's where the network doesn't say how."""
    if not images:
        return None
    channels, height, width = shape
    if channels != 3 or height != width:
        raise UsageError(
            f"photographs are prepared as 3 x side x side, and the input is {channels} x {height} x"
            f" {width}: leave --images out"
        )
    how = source.preprocessing or IMAGENET.at(height)
    count = min(len(images), MOST_IMAGES)
    chosen = [images[i * len(images) // count] for i in range(count)]
    return photographs(chosen, how, image)


def _class_names(model: nn.Module, example: Tensor) -> tuple[str, ...] | None:
    """ImageNet's, for a network of the zoo with as many outputs."""
    if not isinstance(model, Network):
        return None
    with torch.no_grad():
        (scores,) = tree_leaves(model(example[:1]))
    return class_names() if scores.shape[1:] == (len(class_names()),) else None
