"""What has to be known before a network is quantised: that it and the images belong together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch

from flyweight.engines import Array
from flyweight.errors import UsageError, WeightsError
from flyweight.evaluating import Labelled, labelled_images, outputs
from flyweight.exporting import Source
from flyweight.exporting.describing import Description
from flyweight.exporting.onnx_file import described
from flyweight.lowering import lower
from flyweight.measuring.environment import commit
from flyweight.quantizing.photographs import Calibration, Photographs, calibration, check_apart
from flyweight.quantizing.settings import Settings
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing, list_images


@dataclass(frozen=True)
class Subject:
    """A network that can be quantised, and images for it.

    Attributes:
        source: the network.
        preprocessing: what it expects.
        classes: how many.
        images: those that accuracy is counted on.
        calibration: those that ranges are found on.
    """

    source: Source
    preprocessing: Preprocessing
    classes: int
    images: tuple[Labelled, ...]
    calibration: Calibration

    @property
    def example(self) -> Array:
        """The first image to calibrate on, as an input."""
        return next(self.calibration.inputs())


def prepared(source: Source, photographs: Photographs, settings: Settings) -> Subject:
    """Find out whether a network and images belong together, before the work.

    Raises:
        UsageError: they don't, or images are in both sets.
        WeightsError: weights that are not finite.
        FlyweightError: images that can't be read.
    """
    channels, height, width = source.input_shape
    if channels != 3 or height != width:
        raise UsageError(
            f"{source.network} reads {channels} x {height} x {width}: only networks that read"
            " squares of 3 channels can be calibrated on photographs"
        )
    for name, tensor in source.model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{source.network}: {name} holds values that are not finite")
    preprocessing = source.preprocessing or IMAGENET.at(height)
    classes = outputs(source.model, preprocessing.crop)
    if photographs.limit is not None and photographs.limit < 1:
        raise UsageError(f"accuracy is counted on 1 image or more, not {photographs.limit}")
    found = labelled_images(photographs.data, classes, photographs.labels, source.classes)
    limit = photographs.limit
    images = found.images if limit is None else found.spread(limit)
    files = list_images(photographs.calibrate)
    count = min(settings.images, len(files))
    chosen = [files[i * len(files) // count] for i in range(count)]
    check_apart(chosen, images)
    read = calibration(chosen, count, preprocessing, photographs.squares)
    return Subject(source, preprocessing, classes, images, read)


def lowered_onnx(subject: Subject, engine: str) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """A network lowered for an engine, as ONNX for any number of images, and what to say of it.

    Raises:
        CaptureError: it can't be captured, lowered or written.
    """
    source = subject.source
    # Random numbers, since the lowered network is compared with the original on them.
    shape = (1, *subject.example.shape[1:])
    example = torch.from_numpy(np.random.default_rng(0).standard_normal(shape, np.float32))
    module = lower(source.model, example, engine=engine)
    description = Description(
        network=source.network,
        options=source.options,
        weights=source.weights,
        preprocessing=subject.preprocessing,
        class_names=source.classes or None,
        input_shape=shape[1:],
        lowered=True,
        commit=commit(),
    )
    return described(module, example, description)
