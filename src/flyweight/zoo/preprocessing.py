"""From image files to what a network reads. Every weights file has its own convention for it."""

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from flyweight.errors import FlyweightError, UsageError, first_line

Colour = Literal["RGB", "BGR"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]
Mode = Literal["crop", "squash"]

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""How the names of image files end, in lower case."""

# Only formats that Pillow decodes by itself: its reader of PostScript starts another program.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

# A centre crop reads nothing beyond this ratio, and resizing all of a 1 x 100,000 strip would
# take the memory of a small disk.
_LONGEST_RATIO = 8


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the input that some weights were trained for.

    Attributes:
        crop: side of the square that the network reads, in pixels.
        resize: what the shorter side is resized to before a square is cut from the centre.
        colour: order of the three channels.
        scale: what the pixel value 255 becomes before mean and std, such as 1.0 or 255.0.
        mean: subtracted, per channel in the order of `colour`, on the range of `scale`.
        std: divided by, likewise.
        interpolation: of the resizing; smoothed when it shrinks, as Pillow does.
    """

    crop: int = 224
    resize: int = 256
    colour: Colour = "RGB"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize:
            raise UsageError(
                f"can't crop {self.crop} pixels from an image resized to {self.resize}:"
                " crop must be 1 or more, and at most resize"
            )
        if self.colour not in ("RGB", "BGR") or self.interpolation not in _RESAMPLING:
            raise UsageError(
                "colour must be RGB or BGR, and interpolation nearest, bilinear or bicubic,"
                f" not {self.colour!r} and {self.interpolation!r}"
            )

    def affine(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What bytes are multiplied by, and what is added then, in the order of `colour`."""
        scale = tuple(self.scale / 255 / deviation for deviation in self.std)
        shift = tuple(-m / deviation for m, deviation in zip(self.mean, self.std, strict=True))
        return scale, shift

    def at(self, size: int) -> "Preprocessing":
        """The same for another input size: the shorter side becomes `size` / 0.875, rounded."""
        if size == self.crop:
            return self
        return replace(self, crop=size, resize=round(size / 0.875))


IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What most PyTorch weights expect: the mean and deviation of ImageNet's pixels."""

TENSORFLOW = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""From -1 to 1, as TensorFlow's MobileNets expect: x / 127.5 - 1."""


def open_image(path: str | Path) -> Image.Image:
    """Read an image file as RGB, 8 bits a channel, turned upright where its EXIF data says so.

    Grey, palette, CMYK and 16-bit images are converted; transparency is dropped.

    Raises:
        FlyweightError: no such file, not an image, a damaged one, or one too large to be safe.
    """
    path = Path(path)
    if not path.is_file():
        kind = "it is a folder" if path.is_dir() else "no such file"
        raise FlyweightError(f"can't read {path}: {kind}")
    return decode_image(path, str(path))


def decode_image(
    file: Path | BinaryIO,
    called: str,
    before: Callable[[Image.Image], object] = lambda image: None,
) -> Image.Image:
    """The same for a file, or for bytes of one that are somewhere else.

    Args:
        file: where it is, or a file that is open.
        called: what to call it in messages.
        before: done with the image before it is decoded, such as `Image.draft`.

    Raises:
        FlyweightError: not an image, a damaged one, or one too large to be safe.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata in images that it reads all the same.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_FORMATS) as image:
                before(image)
                image.load()
                ImageOps.exif_transpose(image, in_place=True)  # a copy takes longer than the rest
                return image if image.mode == "RGB" else _to_rgb(image)
    except UnidentifiedImageError:
        reason = "unknown format"
    except Exception as error:  # decoders of damaged files raise all kinds
        reason = first_line(error)
    raise FlyweightError(f"{called}: not an image that Pillow can read ({reason})")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel; deeper pixels keep their upper bits, where Pillow would clip them."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip(deep >> 8, 0, 255).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("its pixels are fractions of an unknown range")
    return image.convert("RGB")


def prepare(
    image: Image.Image, preprocessing: Preprocessing, mode: Mode = "crop"
) -> NDArray[np.float32]:
    """An RGB image as a network's input: (3, crop, crop), without the batch dimension.

    Args:
        image: as `open_image` gives it.
        preprocessing: what the weights expect.
        mode: as for `square`.
    """
    return normalised(square(image, preprocessing, mode), preprocessing)


def square(
    image: Image.Image, preprocessing: Preprocessing, mode: Mode = "crop"
) -> NDArray[np.uint8]:
    """The part of an RGB image that a network reads, as bytes (crop, crop, 3), still RGB.

    Args:
        image: as `open_image` gives it.
        preprocessing: what the weights expect.
        mode: "crop" resizes the shorter side and cuts a square from the centre, as ImageNet is
            evaluated; "squash" resizes to a square without regard to the image's shape.
    """
    side = preprocessing.crop
    method = _RESAMPLING[preprocessing.interpolation]
    if mode == "squash":
        part = image.resize((side, side), method)
    elif mode == "crop":
        part = _centre(_resize_shorter(image, preprocessing.resize, method), side, side)
    else:
        raise UsageError(f"mode must be 'crop' or 'squash', not {mode!r}")
    return np.array(part.convert("RGB"))


def normalised(rgb: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Bytes (..., height, width, 3) as a network's input: (..., 3, height, width)."""
    pixels = rgb.astype(np.float32)
    if preprocessing.colour == "BGR":
        pixels = pixels[..., ::-1]
    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    values = (pixels * np.float32(preprocessing.scale / 255) - mean) / std
    return np.ascontiguousarray(np.moveaxis(values, -1, -3), dtype=np.float32)


def _resize_shorter(image: Image.Image, shorter: int, method: Image.Resampling) -> Image.Image:
    short = min(image.size)
    longest = short * _LONGEST_RATIO
    if max(image.size) > longest:
        image = _centre(image, min(image.width, longest), min(image.height, longest))
    # Rounded down, as torchvision does: what weights score can change by 1 % with half a pixel.
    width, height = (int(side * shorter / short) for side in image.size)
    return image if (width, height) == image.size else image.resize((width, height), method)


def _centre(image: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of an image; half a pixel is rounded to the even one, as torchvision does."""
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def list_images(paths: Iterable[str | Path]) -> list[Path]:
    """The image files among files and folders, in the order given, each folder's in sorted order.

    Folders are searched at any depth for names that end like an image's; hidden files are left
    out. A file named outright is kept whatever its name.

    Raises:
        FlyweightError: a path that doesn't exist, or a folder without images.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(_images_in(path))
            if not inside:
                raise FlyweightError(f"no images in {path}: no file ends in .jpg, .png or the like")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise FlyweightError(f"no such file or folder: {path}")
    return list(dict.fromkeys(found))


def _images_in(folder: Path) -> Iterable[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)
