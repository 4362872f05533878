"""What images a file takes, and the same images as the network reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyweight.engines import Array
from flyweight.errors import UsageError, unknown
from flyweight.native.plan import ImageFormat
from flyweight.zoo.preprocessing import Preprocessing, normalised, open_image, square

PIXELS = ("float32", "uint8")
LAYOUTS = ("NCHW", "NHWC")


def check_kind(pixels: str | None, layout: str | None) -> None:
    """Refuse kinds of images that there are not.

    Raises:
        UsageError: unknown names, or bytes whose channels lie apart.
    """
    if pixels not in (None, *PIXELS):
        raise unknown("kind of pixels", str(pixels), PIXELS)
    if layout not in (None, *LAYOUTS):
        raise unknown("layout", str(layout), LAYOUTS)
    if pixels == "uint8" and layout == "NCHW":
        raise UsageError("uint8 images are NHWC, as cameras give them: leave the layout NCHW out")


def image_format(
    pixels: str | None,
    layout: str | None,
    preprocessing: Preprocessing | None,
    channels: int,
    network: str,
) -> ImageFormat:
    """The format of the images that a network is to take.

    Args:
        pixels: "float32" as the network reads them, or "uint8": RGB bytes as they come from a
            camera or a file. None is "float32".
        layout: "NCHW" or "NHWC"; None is what is usual for the pixels.
        preprocessing: what bytes become.
        channels: that the network reads.
        network: what it is called.

    Raises:
        UsageError: unknown names, bytes whose channels lie apart, or bytes for a network of which
            it isn't known what they become.
    """
    check_kind(pixels, layout)
    if pixels != "uint8":
        return ImageFormat(layout or "NCHW")
    if preprocessing is None:
        raise UsageError(
            f"uint8 images: nothing says how bytes become the inputs of {network}; take weights"
            " that know it, or give flyweight.export or flyweight.compile a preprocessing"
        )
    if channels != len(preprocessing.mean):
        raise UsageError(
            f"uint8 images have {len(preprocessing.mean)} channels, and {network} reads {channels}:"
            " take float32 images"
        )
    scale, shift = preprocessing.affine()
    return ImageFormat("NHWC", "uint8", scale, shift, preprocessing.colour == "BGR")


@dataclass(frozen=True)
class Images:
    """The same images twice.

    Attributes:
        given: as a file takes them.
        read: as the network reads them: float32 (batch, channels, height, width).
    """

    given: NDArray[Any]
    read: Array


def random_images(
    batch: int,
    shape: tuple[int, ...],
    image: ImageFormat,
    preprocessing: Preprocessing | None,
    random: np.random.Generator,
) -> Images:
    """Random numbers around 0, or random bytes.

    Args:
        batch: how many images.
        shape: (channels, height, width).
        image: the format of the images that the file takes.
        preprocessing: what bytes become.
        random: where they are taken from.
    """
    if image.dtype == "uint8":
        assert preprocessing is not None
        channels, height, width = shape
        pixels = random.integers(0, 256, (batch, height, width, channels), np.uint8)
        return Images(pixels, normalised(pixels, preprocessing))
    return _floats(random.standard_normal((batch, *shape), np.float32), image)


def photographs(
    paths: Sequence[Path], preprocessing: Preprocessing, image: ImageFormat
) -> Images | None:
    """Image files, prepared; None where there are none.

    Raises:
        FlyweightError: a file that can't be read.
    """
    if not paths:
        return None
    squares = np.stack([square(open_image(path), preprocessing) for path in paths])
    read = normalised(squares, preprocessing)
    return Images(squares, read) if image.dtype == "uint8" else _floats(read, image)


def _floats(read: Array, image: ImageFormat) -> Images:
    given = read if image.planes else np.ascontiguousarray(read.transpose(0, 2, 3, 1))
    return Images(given, read)
