"""Where a capture failed, in the user's terms: the module, the line, the reason and the remedy."""

import linecache
import logging
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from flyweight.errors import first_line

_TORCH = os.path.dirname(torch.__file__) + os.sep
_HERE = os.path.dirname(__file__) + os.sep
_INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))
_LONGEST = 80
"""Letters of a source line that a message shows."""

Frames = Sequence[tuple[FrameType, int]]
"""Frames of a stack and the line that each is at, the innermost last."""


@dataclass(frozen=True)
class Place:
    """A module of a network, and a line of its code or of a function that it called.

    Attributes:
        path: the module's name within the network; empty for the network itself.
        kind: the module's class.
        file: the line's file; empty where only PyTorch's own code ran.
        line: its number.
    """

    path: str
    kind: str
    file: str = ""
    line: int = 0

    @property
    def source(self) -> str:
        """The line itself."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        module = f"{self.path} ({self.kind})" if self.path else ""
        if not self.file:
            return module or self.kind
        code = self.source
        code = f" `{code[:_LONGEST]}{'…' if len(code) > _LONGEST else ''}`" if code else ""
        return f"{module}{' at ' if module else ''}{_short(self.file)}:{self.line}{code}"


@dataclass(frozen=True)
class _Cause:
    """A kind of failure: how its error and its line look, what it is, what helps."""

    error: str
    line: str
    reason: str
    remedy: str
    otherwise: str = "run it with engine 'eager'"


_DATA = r"data-dependent|GuardOnDataDependent|[Dd]ynamic control flow"
_BATCH = r"Constraints violated|ConstraintViolation|specialized it to be a constant"
_UNLOWERED = "run it without lowering, for one number of images"

# The first entry whose two patterns are found in "ErrorType: message" and in the line counts.
_CAUSES = (
    _Cause(_DATA, r"\bassert\b", "checks the data", "leave that check out of forward"),
    _Cause(
        _DATA, r"\b(if|while)\b", "depends on the data", "use torch.where or torch.cond there"
    ),
    _Cause(
        _DATA, r"\.item\(|\.tolist\(|\b(int|float|bool|range|max|min)\(",
        "turns data into a Python number", "keep it a tensor there",
    ),
    _Cause(_DATA, "", "depends on the data", "use torch.where or torch.cond there"),
    _Cause(
        r"\.numpy\(\) is not supported|[Cc]an't call numpy\(\)", "",
        "leaves PyTorch for NumPy", "use PyTorch's operations there",
    ),
    _Cause(
        _BATCH, r"\bfor\b",
        "loops over the images, so it fixes how many there are",
        "use operations on the whole batch", _UNLOWERED,
    ),
    _Cause(
        _BATCH, r"\b(if|while|assert)\b",
        "depends on the number of images", "treat every number of images alike", _UNLOWERED,
    ),
    _Cause(
        _BATCH, r"squeeze\(\s*\)", "drops the batch dimension of one image",
        "give squeeze the dimensions to drop", _UNLOWERED,
    ),
    _Cause(
        _BATCH, "", "fixes the number of images",
        "take it from the tensor (x.shape[0], or -1 in a view)", _UNLOWERED,
    ),
    _Cause(
        r"in output, which is not a known type", "", "returns more than tensors",
        "return tensors, or tuples, lists and dictionaries of them",
    ),
    _Cause(
        r"__format__|FakeTensor.*format", "", "prints or formats a tensor's values",
        "leave that out of forward",
    ),
    _Cause(
        r"data pointer|data_ptr|[Ff]ake (impl|kernel)|no fake", "",
        "runs an operation whose shapes PyTorch can't tell",
        "register them with torch.library.register_fake",
    ),
    _Cause(
        r"ScriptModule", "", "is a ScriptModule, which has no Python to follow",
        "give the module that it was made from",
    ),
)  # fmt: skip


def explanation(error: BaseException, place: Place | None) -> str:
    """A sentence of where, why and what to do, without its full stop."""
    found = f"{type(error).__name__}: {error}"
    source = place.source if place else ""
    for cause in _CAUSES:
        if re.search(cause.error, found) and re.search(cause.line, source):
            reason, remedy = cause.reason, f"{cause.remedy}, or {cause.otherwise}"
            return f"{place or 'it'} {reason}; {remedy}"
    where = f"{place}: " if place else ""
    return f"{where}{first_line(error)}; engine 'eager' runs what can't be captured"


def is_about_batch(error: BaseException) -> bool:
    """Whether the number of images couldn't stay open."""
    return re.search(_BATCH, f"{type(error).__name__}: {error}") is not None


def place_of(error: BaseException, model: nn.Module) -> Place | None:
    """Where in the network an error, or one behind it, was raised; None where that doesn't show."""
    for one in _chain(error):
        frames = []
        traceback = one.__traceback__
        while traceback is not None:
            frames.append((traceback.tb_frame, traceback.tb_lineno))
            traceback = traceback.tb_next
        place = place_in(frames, model)
        if place:
            return place
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def place_in(frames: Frames, model: nn.Module) -> Place | None:
    """The innermost module of the network in a stack, and the innermost line that is its author's.

    PyTorch's own modules count only where no other one is, and lines of installed packages only
    where the module itself is installed.

    Args:
        frames: a stack, the innermost frame last.
        model: the network.
    """
    names = {id(module): name for name, module in model.named_modules()}
    ours = [i for i, (frame, _) in enumerate(frames) if frame.f_code.co_filename.startswith(_HERE)]
    frames = frames[ours[-1] + 1 :] if ours else frames  # what called the capture is no part of it
    inside = [
        (index, module)
        for index, (frame, _) in enumerate(frames)
        if id(module := _owner(frame)) in names
    ]
    if not inside:
        return None
    own = [(index, module) for index, module in inside if not _is_torch(frames[index][0])]
    start, module = (own or inside)[-1]
    path, kind = names[id(module)], type(module).__name__
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in frames[start:]
        if not _is_torch(frame) and os.path.isfile(frame.f_code.co_filename)
    ]
    if not own or not lines:
        return Place(path, kind)
    if not lines[0][0].startswith(_INSTALLED):
        lines = [at for at in lines if not at[0].startswith(_INSTALLED)]
    return Place(path, kind, *lines[-1])


def _owner(frame: FrameType) -> object:
    """What a method's frame calls "self"; None in a function."""
    names = frame.f_code.co_varnames
    method = frame.f_code.co_argcount > 0 and names[0] == "self"
    return frame.f_locals.get("self") if method else None


def _is_torch(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith((_TORCH, "<"))


def _short(file: str) -> str:
    """A file's path as people write it: from the current folder, or from where packages are."""
    path = Path(file)
    for folder in (Path.cwd(), *map(Path, _INSTALLED[1:])):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)


class GuardWatch(logging.Handler):
    """While it is entered, notes the first line of a network that poses a condition on a shape.

    PyTorch reports that a batch was specialised when the network's code is no longer running; it
    logs each condition while it is.

    Args:
        model: the network that is being captured.
    """

    _LOGGER = logging.getLogger("torch.fx.experimental.symbolic_shapes")

    def __init__(self, model: nn.Module) -> None:
        super().__init__(logging.INFO)
        self.place: Place | None = None
        self._model = model

    def emit(self, record: logging.LogRecord) -> None:
        """Look at the stack, where the record is of a new condition."""
        if self.place is not None or "[guard added]" not in record.getMessage():
            return
        frames: list[tuple[FrameType, int]] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frames or _is_torch(frame):  # the first ones are of the logging
                frames.append((frame, frame.f_lineno))
            frame = frame.f_back
        self.place = place_in(frames[::-1], self._model)

    def __enter__(self) -> "GuardWatch":
        log = self._LOGGER
        self._propagate, log.propagate = log.propagate, False
        # All else stays as quiet as it is: this logger alone is let through.
        vars(log)["isEnabledFor"] = lambda level: level >= logging.INFO
        log.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        log = self._LOGGER
        log.removeHandler(self)
        del vars(log)["isEnabledFor"]
        log.propagate = self._propagate
