"""Labelled images: which files there are, and which class each one shows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flyweight.errors import FlyweightError, UsageError
from flyweight.zoo.preprocessing import SUFFIXES, list_images
from flyweight.zoo.weights.classes import class_names, class_synsets

_LINE = re.compile(r"(?P<name>.+?)(?:\s*,\s*|\s+)(?P<label>[0-9]{1,9})")
_SYNSET = re.compile(r"(n[0-9]{8})(?![0-9])")


@dataclass(frozen=True)
class Labelled:
    """An image file and the class that it shows.

    Attributes:
        folder: the folder of all images.
        name: the file's path within it, with slashes.
        label: the class, as the position among the network's outputs.
    """

    folder: Path
    name: str
    label: int

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / self.name


@dataclass(frozen=True)
class LabelledImages:
    """The images of a folder, always in the same order.

    Attributes:
        images: the images.
        rule: where the labels come from, in words.
        names: what the folder calls the classes, where it does.
    """

    images: tuple[Labelled, ...]
    rule: str
    names: Mapping[int, str] = field(default_factory=dict)

    def spread(self, limit: int) -> tuple[Labelled, ...]:
        """At most `limit` images, evenly spread over all: the first ones show few classes."""
        count = min(limit, len(self.images))
        return tuple(self.images[i * len(self.images) // count] for i in range(count))


def labelled_images(
    folder: str | Path,
    classes: int,
    labels: str | Path | None = None,
    names: Sequence[str] = (),
) -> LabelledImages:
    """Find the images of a folder and the class of each.

    With a file of labels, those that it names. Otherwise one folder a class, called by the number
    of the class, or by the synset or the name of a class of ImageNet where the network has 1000;
    else, where there are as many folders as classes, the folders in sorted order. Or files alone,
    whose names begin with ImageNet's synsets.

    Args:
        folder: where the images are.
        classes: outputs of the network.
        labels: a text file with "NAME LABEL" or "NAME,LABEL" in each line: a file of the folder,
            and its class counted from 0.
        names: what the weights call the classes, where they do; folders of these names are those
            classes, before any other rule.

    Raises:
        UsageError: labels that can't be read or understood.
        FlyweightError: no such folder, or no images in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        kind = "it is not a folder" if folder.exists() else "no such folder"
        raise FlyweightError(f"can't read images from {folder}: {kind}")
    if labels is not None:
        images = _from_file(Path(labels), folder, classes)
        return LabelledImages(images, f"labels from {labels}")
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise FlyweightError(f"can't read images from {folder}: {error.strerror}") from None
    inside = [path for path in paths if path.is_dir()]
    found = {path.name: _images_in(path) for path in inside}
    if any(found.values()):
        return _from_folders(folder, found, classes, names)
    return _from_file_names(folder, list_images([folder]), classes)


def _images_in(folder: Path) -> list[Path]:
    try:
        return list_images([folder])
    except FlyweightError:
        return []  # a class without images is still a class


def _from_folders(
    folder: Path, found: Mapping[str, Sequence[Path]], classes: int, names: Sequence[str]
) -> LabelledImages:
    if set(found) <= set(names):
        numbers = {name: names.index(name) for name in found}
        rule = "labels: the folders' names are the classes that the network was trained on"
    else:
        numbers, rule = _numbers(folder, list(found), classes)
    images = tuple(
        Labelled(folder, path.relative_to(folder).as_posix(), numbers[name])
        for name, paths in found.items()
        for path in paths
    )
    beside = sum(path.suffix.lower() in SUFFIXES for path in folder.iterdir() if path.is_file())
    if beside:
        rule += f"; left out, because they are in no folder of a class: {beside}"
    return LabelledImages(images, rule, {number: name for name, number in numbers.items()})


def _numbers(folder: Path, names: list[str], classes: int) -> tuple[dict[str, int], str]:
    """The class of each folder, and how it was found."""
    if all(re.fullmatch("[0-9]{1,9}", name) for name in names):
        numbers = {name: int(name) for name in names}
        for name, number in numbers.items():
            if number >= classes:
                raise UsageError(
                    f"{folder}: no class {name}: the network's {classes} classes are 0 to"
                    f" {classes - 1}"
                )
        return _distinct(folder, numbers), "labels: the folders' names are the classes' numbers"
    known = _imagenet() if classes == len(class_names()) else {}
    matches = {name: known.get(_plain(name), []) for name in names}
    if all(len(found) == 1 for found in matches.values()):
        numbers = {name: found[0] for name, found in matches.items()}
        return _distinct(folder, numbers), "labels: the folders' names are ImageNet's classes"
    if len(names) == classes:
        ends = f"{names[0]} = 0 to {names[-1]} = {classes - 1}"
        rule = f"labels: the folders in sorted order, from {ends}"
        return {name: number for number, name in enumerate(names)}, rule
    for name, found in matches.items():
        if len(found) > 1:
            both = " or ".join(class_synsets()[number] for number in found)
            raise UsageError(f"{folder}: two classes are called {name!r}: name the folder {both}")
    odd = next(name for name, found in matches.items() if not found)
    ways = "a number from 0" if not known else "a synset (n01440764), a name (tench) or a number"
    raise UsageError(
        f"{folder}: which class is the folder {odd!r}? A folder is called by {ways}, or there are"
        f" as many as classes ({classes}, not {len(names)}), or --labels FILE names the images'"
    )


def _imagenet() -> dict[str, list[int]]:
    """The classes by synset and by name; two pairs share a name."""
    known: dict[str, list[int]] = {}
    for names in (class_synsets(), class_names()):
        for number, name in enumerate(names):
            known.setdefault(_plain(name), []).append(number)
    return known


def _plain(name: str) -> str:
    """A class's name without what differs between spellings."""
    return name.replace("_", " ").casefold()


def _distinct(folder: Path, numbers: dict[str, int]) -> dict[str, int]:
    first: dict[int, str] = {}
    for name, number in numbers.items():
        if first.setdefault(number, name) != name:
            raise UsageError(f"{folder}: {first[number]} and {name} are both class {number}")
    return numbers


def _from_file_names(folder: Path, paths: Sequence[Path], classes: int) -> LabelledImages:
    synsets = {synset: number for number, synset in enumerate(class_synsets())}
    images = []
    for path in paths:
        match = _SYNSET.match(path.name)
        if classes != len(synsets) or not match or match[1] not in synsets:
            raise UsageError(
                f"{folder}: which class does {path.name} show? Give --labels FILE, or put the"
                " images into one folder a class"
            )
        images.append(Labelled(folder, path.relative_to(folder).as_posix(), synsets[match[1]]))
    return LabelledImages(tuple(images), "labels: the files' names begin with ImageNet's synsets")


def _from_file(file: Path, folder: Path, classes: int) -> tuple[Labelled, ...]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise FlyweightError(f"can't read labels from {file}: {reason}") from None
    images: dict[str, Labelled] = {}
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise UsageError(f"{where}: {line.strip()[:80]!r} is no file name and class from 0 on")
        if _leads_out(match["name"]):
            raise UsageError(f"{where}: {match['name']!r} is not within {folder}")
        name, label = PurePosixPath(match["name"]).as_posix(), int(match["label"])
        if label >= classes:
            raise UsageError(
                f"{where}: no class {label}: the network's {classes} classes are 0 to {classes - 1}"
            )
        if name in images:
            raise UsageError(f"{where}: {name} was in line {line_of[name]} before")
        images[name], line_of[name] = Labelled(folder, name, label), number
    if not images:
        raise UsageError(f"{file} names no images")
    return tuple(images.values())


def _leads_out(name: str) -> bool:
    """Whether a path, as any system writes it, may point out of a folder that it is within."""
    return bool(re.match(r"[/\\]|[A-Za-z]:", name)) or ".." in re.split(r"[/\\]", name)
