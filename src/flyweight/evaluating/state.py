"""A file that remembers how far an evaluation is: a line on what is evaluated, a line a batch."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flyweight.errors import FlyweightError, UsageError
from flyweight.evaluating.data import Labelled
from flyweight.evaluating.result import Answer
from flyweight.files import check_writable

VERSION = 1


class Answers:
    """The answers so far, in memory."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.right = 0
        self.skipped = 0
        self.seconds = 0.0

    def add(self, images: Sequence[Labelled], answers: Sequence[Answer], seconds: float) -> None:
        """Remember the answers on the next images, and what they took."""
        for image, answer in zip(images, answers, strict=True):
            self.right += answer.top[:1] == (image.label,)
            self.skipped += bool(answer.reason)
        self.answers += answers
        self.seconds += seconds

    def close(self) -> None:
        """Let go of what holds them."""


class State(Answers):
    """The answers so far, in a JSON Lines file that grows by a line a batch.

    What was there is read; a last line that a killed run left unfinished is cut off.

    Args:
        path: the file; made where there is none.
        about: what is evaluated and how, by what it is called in messages.
        images: all that is evaluated.

    Raises:
        UsageError: the file belongs to another evaluation, or is no such file.
        FlyweightError: it is damaged, or can't be written.
    """

    def __init__(self, path: Path, about: Mapping[str, object], images: Sequence[Labelled]) -> None:
        super().__init__()
        self.path = path
        check_writable(path)
        try:
            path.touch()
            self._file = path.open("r+b")
            lines = self._file.read().splitlines(keepends=True)
        except OSError as error:
            raise self._failed(error) from None
        head = {"flyweight": "evaluation", "version": VERSION, "about": dict(about)}
        first = json.dumps(head).encode() + b"\n"
        try:
            if lines and not (len(lines) == 1 and first.startswith(lines[0])):
                self._check_head(lines[0], about)
            whole = [line for line in lines if line.endswith(b"\n")]
            for number, line in enumerate(whole[1:], start=2):
                self._read(number, line, images)
            self._file.seek(sum(map(len, whole)))
            self._file.truncate()
            if not whole:
                self._write(first)
        except BaseException:
            self.close()
            raise

    def add(self, images: Sequence[Labelled], answers: Sequence[Answer], seconds: float) -> None:
        """Remember the answers on the next images, and what they took.

        Raises:
            FlyweightError: they can't be written.
        """
        entries = [
            {"name": image.name, "label": image.label}
            | ({"skipped": answer.reason} if answer.reason else {"top": answer.top})
            for image, answer in zip(images, answers, strict=True)
        ]
        self._write(json.dumps({"seconds": seconds, "images": entries}).encode() + b"\n")
        super().add(images, answers, seconds)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # a full disk was told of when it was met
            self._file.close()

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> FlyweightError:
        return FlyweightError(f"can't write {self.path}: {error.strerror or error}")

    def _check_head(self, line: bytes, about: Mapping[str, object]) -> None:
        head = _parsed(line)
        if head.get("flyweight") != "evaluation" or not isinstance(head.get("about"), dict):
            raise UsageError(f"{self.path} is there, and holds no evaluation: it is left as it is")
        if head.get("version") != VERSION:
            raise UsageError(f"{self.path} is of another version of Flyweight")
        theirs = head["about"]
        # As JSON has them: tuples become lists.
        ours = json.loads(json.dumps(dict(about)))
        different = [
            f"{key} ({theirs.get(key)} there, {ours.get(key)} here)"
            for key in {**ours, **theirs}
            if theirs.get(key) != ours.get(key)
        ]
        if different:
            raise UsageError(
                f"{self.path} belongs to another evaluation, which differs in"
                f" {', '.join(different)}: name another file"
            )

    def _read(self, number: int, line: bytes, images: Sequence[Labelled]) -> None:
        batch = _parsed(line)
        start = len(self.answers)
        try:
            entries = batch["images"]
            part = images[start : start + len(entries)]
            answers = []
            for image, entry in zip(part, entries, strict=True):
                answer = Answer(tuple(map(int, entry.get("top", ()))), entry.get("skipped", ""))
                same = (entry["name"], entry["label"]) == (image.name, image.label)
                if not same or bool(answer.top) == bool(answer.reason):
                    raise ValueError
                answers.append(answer)
            super().add(part, answers, float(batch["seconds"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise FlyweightError(
                f"{self.path}, line {number}: damaged, or not the next images of this evaluation"
            ) from None


def _parsed(line: bytes) -> dict[str, Any]:
    """A line's JSON object; an empty one where it holds none."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def digest_of_model(model: nn.Module) -> str:
    """A checksum of a network's form, as far as it is known, and of its weights."""
    digest = hashlib.sha256(repr(sorted(getattr(model, "options", {}).items())).encode())
    for key, value in model.state_dict().items():
        if isinstance(value, Tensor):
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
            plain = value.detach().cpu().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def digest_of_images(images: Iterable[Labelled]) -> str:
    """A checksum of the names and labels of images, in their order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.name}\n{image.label}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
