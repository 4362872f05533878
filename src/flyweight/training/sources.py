"""Where images are kept: folders, arrays, shards, tables, or nowhere."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flyweight.errors import FlyweightError, UsageError
from flyweight.training.images import Before, Data, ImageSet, held_out
from flyweight.training.shards import FROM_ELSEWHERE, expanded, from_shards
from flyweight.training.tables import from_tables
from flyweight.zoo.preprocessing import decode_image, list_images

VAL = ("val", "valid", "validation", "test", "dev")
"""What the part that isn't learned from is called."""
SYNTHETIC_SIDE = 48


def load_data(data: str, val: str | None = None, hold_out: float = 0.1) -> Data:
    """Find the images to learn from, and those to measure the accuracy on.

    Args:
        data: a folder with a folder for each class, or with such folders named "train" and "val";
            tar shards (a path, an address, or "pipe:COMMAND", with {000..146} for several) or a
            folder of train-*.tar; a parquet file or a folder of train-*.parquet; a .npz file of
            small images; or "synthetic", or "synthetic:COUNT".
        val: the same for the validation; None for what is beside the training images, or else a
            share of them.
        hold_out: that share, of each class.

    Raises:
        UsageError: unknown kinds, or classes that don't agree.
        FlyweightError: no such files, or none that can be read.
    """
    if not 0 < hold_out < 1:
        raise UsageError(f"the share to hold out must be between 0 and 1, not {hold_out:g}")
    train, beside = _parts(data)
    if val is not None:
        other, more = _parts(val, train.classes)
        beside = more or other
    if beside is None:
        train, beside = held_out(train, hold_out)
        where = f"{data}, {hold_out:.0%} of each class held out for the validation"
    else:
        where = data if val is None else f"{data}, validation {val}"
    for part, what in ((train, "to learn from"), (beside, "for the validation")):
        if not len(part):
            raise FlyweightError(f"{data}: no images {what}")
    said = f"{where}: {len(train)} images of {len(train.classes)} classes, {len(beside)} to check"
    return Data(train, beside, said)


def _parts(data: str, classes: Sequence[str] | None = None) -> tuple[ImageSet, ImageSet | None]:
    """The images to learn from, and those beside them, if there are any."""
    if match := re.fullmatch(r"synthetic(?::([0-9]{1,8}))?", data):
        return synthetic(int(match[1] or 1024), 0), synthetic(256, 1)
    if data.startswith(FROM_ELSEWHERE) or data.endswith(".tar"):
        return from_shards(expanded(data), classes), None
    path = Path(data)
    if path.suffix == ".npz":
        return arrays(path)
    if path.suffix == ".parquet":
        return from_tables([path], classes), None
    if not path.is_dir():
        raise FlyweightError(f"can't read images from {data}: no such folder")
    if (path / "train").is_dir():
        train = from_folder(path / "train", classes)
        beside = next((path / name for name in VAL if (path / name).is_dir()), None)
        return train, None if beside is None else from_folder(beside, train.classes)
    for suffix, read in ((".tar", _shards), (".parquet", from_tables)):
        if files := sorted(path.glob(f"*{suffix}")):
            return _split(files, read, classes)
    return from_folder(path, classes), None


def _shards(files: Sequence[Path], classes: Sequence[str] | None) -> ImageSet:
    return from_shards([str(file) for file in files], classes)


def _split(
    files: Sequence[Path],
    read: Callable[[Sequence[Path], Sequence[str] | None], ImageSet],
    classes: Sequence[str] | None,
) -> tuple[ImageSet, ImageSet | None]:
    """Files to learn from, and those whose names begin with a word for validation."""
    beside = [file for file in files if file.name.lower().startswith(VAL)]
    train = read([file for file in files if file not in beside] or files, classes)
    return train, read(beside, train.classes) if 0 < len(beside) < len(files) else None


def from_folder(folder: Path, classes: Sequence[str] | None = None) -> ImageSet:
    """The images of a folder with a folder for each class, in sorted order.

    Args:
        folder: where they are.
        classes: what the classes are called; None for what the folders are called.

    Raises:
        UsageError: a folder that is none of the classes, or fewer than two folders.
        FlyweightError: no images.
    """
    if not folder.is_dir():
        raise FlyweightError(f"can't read images from {folder}: no such folder")
    inside = [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    names = sorted((path.name for path in inside), key=_natural)
    if classes is None and len(names) < 2:
        raise UsageError(f"{folder}: a folder of images for each class, two or more, is needed")
    known = {name: label for label, name in enumerate(classes or names)}
    files: list[Path] = []
    labels: list[int] = []
    for name in names:
        if name not in known:
            raise UsageError(f"{folder / name}: no class to learn is called {name!r}")
        found = _images(folder / name)
        files += found
        labels += [known[name]] * len(found)
    if not files:
        raise FlyweightError(f"no images in the folders of {folder}")
    return ImageSet(
        tuple(known),
        np.array(labels, np.int64),
        open=lambda number, before: decode_image(files[number], str(files[number]), before),
        called=lambda number: files[number].relative_to(folder).as_posix(),
        blocks=(len(files),),
    )


def _natural(name: str) -> tuple[int, int, str]:
    """The order of classes: numbers by their value, before names."""
    return (0, int(name), name) if re.fullmatch("[0-9]{1,9}", name) else (1, 0, name)


def _images(folder: Path) -> list[Path]:
    try:
        return list_images([folder])
    except FlyweightError:
        return []  # a class without images is still a class


def arrays(path: Path) -> tuple[ImageSet, ImageSet | None]:
    """Small images in arrays: x_train, y_train, and x_test, y_test or x_val, y_val.

    Pixels are uint8 (images, height, width) or (images, height, width, 3), labels whole numbers.
    "classes" may be their names.

    Raises:
        UsageError: other arrays.
        FlyweightError: it can't be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise FlyweightError(f"can't read {path}: {error}") from None
    for name in ("x_train", "y_train"):
        if name not in content:
            raise UsageError(f"{path} has no array {name!r}: it has {', '.join(content)}")
    names = content.get("classes")
    count = int(content["y_train"].max(initial=0)) + 1
    classes = tuple(map(str, range(count) if names is None else names.tolist()))
    train = in_memory(content["x_train"], content["y_train"], classes, f"{path.name}:train")
    for part in VAL:
        if f"x_{part}" in content and f"y_{part}" in content:
            pixels, labels = content[f"x_{part}"], content[f"y_{part}"]
            return train, in_memory(pixels, labels, classes, f"{path.name}:{part}")
    return train, None


def in_memory(
    pixels: NDArray[np.uint8], labels: NDArray[np.integer], classes: Sequence[str], called: str
) -> ImageSet:
    """Decoded images: uint8 (images, height, width) or (images, height, width, 3).

    Raises:
        UsageError: other shapes or types, or labels that are no classes.
    """
    colour = pixels.ndim == 4 and pixels.shape[-1] == 3
    if pixels.dtype != np.uint8 or not (pixels.ndim == 3 or colour):
        raise UsageError(
            f"{called}: images must be uint8 (images, height, width[, 3]), not {pixels.dtype}"
            f" {pixels.shape}"
        )
    if labels.shape != pixels.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(f"{called}: {len(pixels)} images need as many whole numbers as labels")
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise UsageError(f"{called}: labels must be from 0 to {len(classes) - 1}")

    def opened(number: int, before: Before) -> Image.Image:
        return Image.fromarray(pixels[number]).convert("RGB")

    return ImageSet(
        tuple(classes), labels.astype(np.int64), opened, lambda number: f"{called}:{number}",
        (len(pixels),),
    )  # fmt: skip


def synthetic(count: int, seed: int, classes: int = 10) -> ImageSet:
    """Noise over stripes whose direction is the class: for tests, and to time a run without data.

    Args:
        count: of images.
        seed: of their noise; the classes look alike for all.
        classes: how many.
    """
    across, down = np.meshgrid(*[np.arange(SYNTHETIC_SIDE)] * 2)

    def opened(number: int, before: Before) -> Image.Image:
        random = np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64)))
        angle = np.pi * (number % classes) / classes
        phase = 2 * np.pi * random.random()
        wave = np.sin((across * np.cos(angle) + down * np.sin(angle)) / 2 + phase)
        noise = random.normal(0, 30, (SYNTHETIC_SIDE, SYNTHETIC_SIDE, 3))
        pixels = 128 + 60 * wave[:, :, None] + noise
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    return ImageSet(
        tuple(f"stripes{index}" for index in range(classes)),
        np.arange(count, dtype=np.int64) % classes,
        opened,
        lambda number: f"synthetic:{seed}:{number}",
        (count,),
    )
