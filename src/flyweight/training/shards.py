"""Images in tar files, as WebDataset keeps them: KEY.jpg beside KEY.cls, many to a file."""

import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from flyweight.errors import FlyweightError, UsageError
from flyweight.files import replaced
from flyweight.training.images import Before, ImageSet
from flyweight.zoo.preprocessing import SUFFIXES, decode_image
from flyweight.zoo.weights.fetching import cache

CLASSES = "classes.txt"
"""A file beside the shards with the name of each class in a line."""
FROM_ELSEWHERE = ("pipe:", "http://", "https://", "file://")
TIMEOUT_S = 60.0
_BRACES = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")


@dataclass(frozen=True)
class Member:
    """Where an image lies.

    Attributes:
        shard: the position of its file.
        name: in the file.
        start: of its bytes.
        size: of them.
    """

    shard: int
    name: str
    start: int
    size: int


def expanded(text: str) -> list[str]:
    """The shards that "train-{000..146}.tar" names, in order; others as they are.

    Raises:
        UsageError: braces that count down.
    """
    match = _BRACES.search(text)
    if not match:
        return [text]
    first, last = match[1], match[2]
    if int(first) > int(last):
        raise UsageError(f"{text}: {match[0]} names no shard; write the smaller number first")
    numbers = (f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
    return [
        one for n in numbers for one in expanded(text[: match.start()] + n + text[match.end() :])
    ]


def from_shards(shards: Sequence[str], classes: Sequence[str] | None = None) -> ImageSet:
    """The images of tar files: paths, addresses, or "pipe:COMMAND" that prints one.

    What isn't a file here is copied once into the user's folder for caches, so that images can
    be read in any order, and a run can go on anywhere.

    Args:
        shards: the files, each with images and their classes: a number from 0 in KEY.cls.
        classes: what the classes are called; None for what `classes.txt` beside the first file
            says, or else their numbers.

    Raises:
        UsageError: no images, images without a class, or classes without a name.
        FlyweightError: a file that can't be read.
    """
    paths = [_local(shard) for shard in shards]
    members: list[Member] = []
    labels: list[int] = []
    blocks: list[int] = []
    for shard, path in enumerate(paths):
        before = len(members)
        for member, label in _samples(shard, path):
            members.append(member)
            labels.append(label)
        blocks.append(len(members) - before)
    if not members:
        raise UsageError(f"{shards[0]}: no images with a class (KEY.jpg beside KEY.cls)")
    names = tuple(classes or _names(paths[0]) or map(str, range(max(labels) + 1)))
    if max(labels) >= len(names):
        raise UsageError(f"{shards[0]}: class {max(labels)} of {len(names)} has no name")

    def opened(number: int, before: Before) -> Image.Image:
        member = members[number]
        try:
            with paths[member.shard].open("rb") as file:
                content = os.pread(file.fileno(), member.size, member.start)
        except OSError as error:
            raise FlyweightError(f"can't read {paths[member.shard]}: {error.strerror}") from None
        return decode_image(io.BytesIO(content), called(number), before)

    def called(number: int) -> str:
        member = members[number]
        return f"{Path(shards[member.shard]).name}/{member.name}"

    return ImageSet(names, np.array(labels, np.int64), opened, called, tuple(blocks))


def _samples(shard: int, path: Path) -> Iterator[tuple[Member, int]]:
    """The images of a shard with their classes; files of one key follow each other."""
    key, image, label = "", None, None
    try:
        with tarfile.open(path, "r:") as file:
            for entry in file:
                if not entry.isfile():
                    continue
                folder, _, base = entry.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if (here := f"{folder}/{stem}") != key:
                    key, image, label = here, None, None
                if f".{suffix.lower()}" in SUFFIXES:
                    image = Member(shard, entry.name, entry.offset_data, entry.size)
                elif suffix.lower() == "cls":
                    label = _label(file, entry, path)
                if image is not None and label is not None:
                    yield image, label
                    image, label = None, None
    except (OSError, tarfile.TarError) as error:
        raise FlyweightError(f"can't read {path}: {error}") from None


def _label(file: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> int:
    content = file.extractfile(entry)
    assert content is not None
    text = content.read(32).strip()
    if not re.fullmatch(rb"[0-9]{1,9}", text):
        raise UsageError(f"{path}: {entry.name} holds {text!r}, and no class counted from 0")
    return int(text)


def _names(path: Path) -> tuple[str, ...]:
    file = path.parent / CLASSES
    try:
        return tuple(file.read_text(encoding="utf-8").split("\n")[:-1]) if file.is_file() else ()
    except (OSError, UnicodeDecodeError) as error:
        raise FlyweightError(f"can't read {file}: {error}") from None


def _local(shard: str) -> Path:
    """Where a shard is on this machine; fetched first where it isn't.

    Raises:
        FlyweightError: it can't be fetched.
    """
    if not shard.startswith(FROM_ELSEWHERE):
        return Path(shard)
    folder = cache().parent / "shards"
    path = folder / f"{hashlib.sha256(shard.encode()).hexdigest()[:32]}.tar"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several processes want the same ones
            if not path.is_file():
                with replaced(path) as temporary:
                    _fetch(shard, temporary)
    except OSError as error:
        raise FlyweightError(f"can't keep {shard} in {folder}: {error.strerror}") from None
    return path


def _fetch(shard: str, to: Path) -> None:
    with to.open("wb") as file:
        if shard.startswith("pipe:"):
            # WebDataset's convention: the user's own command, as in "pipe:aws s3 cp s3://… -".
            done = subprocess.run(shard.removeprefix("pipe:"), shell=True, stdout=file, check=False)
            if done.returncode:
                raise FlyweightError(f"{shard}: the command ended with {done.returncode}")
            return
        try:
            with contextlib.closing(urllib.request.urlopen(shard, timeout=TIMEOUT_S)) as answer:
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, TimeoutError) as error:
            raise FlyweightError(f"can't fetch {shard}: {error}") from None
