"""Checkpoints: written whole or not at all, with a checksum; the last two are kept."""

import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

import torch

from flyweight.errors import FlyweightError, first_line
from flyweight.files import replaced

KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{9})\.ckpt")
_HEAD = re.compile(rb"flyweight checkpoint 1 ([0-9a-f]{64})\n")
_HEAD_LENGTH = len(b"flyweight checkpoint 1 \n") + 64


def write_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint, and take away those before the last two.

    Args:
        folder: where to.
        step: steps that are done.
        state: tensors, numbers and text, in lists and dictionaries.

    Raises:
        FlyweightError: it can't be written; the ones before it are as they were.
    """
    content = io.BytesIO()
    torch.save(state, content)
    data = content.getbuffer()
    path = folder / f"checkpoint-{step:09d}.ckpt"
    with replaced(path) as temporary:
        with temporary.open("wb") as file:
            file.write(f"flyweight checkpoint 1 {hashlib.sha256(data).hexdigest()}\n".encode())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # the name must not be there before the content is
    for old in checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the last one first."""
    found = [path for path in folder.glob("checkpoint-*.ckpt") if _NAME.fullmatch(path.name)]
    return sorted(found, reverse=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What was written. Nothing but tensors and plain values is ever unpickled.

    Raises:
        FlyweightError: it can't be read, or isn't what was written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FlyweightError(f"can't read {path}: {error.strerror or error}") from None
    head = _HEAD.match(data[:_HEAD_LENGTH])
    content = memoryview(data)[_HEAD_LENGTH:]
    if not head or hashlib.sha256(content).hexdigest() != head[1].decode():
        raise FlyweightError(f"{path}: damaged (its checksum is another)")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), "cpu", weights_only=True)
    except Exception as error:  # what isn't plain is refused in many ways
        raise FlyweightError(f"{path}: no checkpoint ({first_line(error)})") from None
    return state


def last_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The last checkpoint that can be read, and why later ones could not; None where none is there.

    Raises:
        FlyweightError: there are some, and none can be read.
    """
    said: list[str] = []
    found = checkpoints(folder)
    for path in found:
        try:
            return read_checkpoint(path), said
        except FlyweightError as error:
            said.append(str(error))
    if found:
        raise FlyweightError(f"no checkpoint in {folder} can be read: {'; '.join(said)}")
    return None, said
