"""The formats there are. A new one is an entry here and its module."""

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from numpy.typing import NDArray
from torch import Tensor, nn

from flyweight.engines import Array, engine_named
from flyweight.errors import FlyweightError, UsageError, unknown
from flyweight.exporting.describing import Description
from flyweight.exporting.images import check_kind
from flyweight.files import check_folder, check_writable, replaced_folder, replaced_together

Run: TypeAlias = Callable[[NDArray[Any]], tuple[Array, ...]]
"""A file that was loaded: images, as the file takes them, to all outputs."""


class UncheckedError(FlyweightError):
    """What would read a file back isn't there. The file is written all the same, and this said."""


@dataclass(frozen=True)
class Choices:
    """What is asked for beside the format; None for what is usual.

    Attributes:
        cpu: instructions that source code is written for: "native", or one of `native.isa.ISAS`.
        pixels: "float32" or "uint8".
        layout: "NCHW" or "NHWC".
    """

    cpu: str | None = None
    pixels: str | None = None
    layout: str | None = None

    def __post_init__(self) -> None:
        check_kind(self.pixels, self.layout)


class Writer(Protocol):
    """What a format's module offers."""

    def write(
        self, model: nn.Module, example: Tensor, description: Description, path: Path
    ) -> Mapping[str, Any]:
        """Write the files of a network for any number of images; what is described in them.

        Args:
            model: in evaluation mode; it is not changed.
            example: (batch, channels, height, width).
            description: what the file is to say of the network.
            path: the file to open; others of its name may lie beside it. Or an empty folder.

        Raises:
            CaptureError: the network can't be written so.
        """
        ...

    def load(self, path: Path) -> Run:
        """Read what was written and make it ready to run, in float32.

        Raises:
            UncheckedError: what it takes to run it isn't there.
            FlyweightError: its own engine refuses the file.
        """
        ...


@dataclass(frozen=True)
class Format:
    """A format that networks can be written in.

    Attributes:
        name: what the user calls it by.
        suffix: how the file's name ends; empty for a folder of files.
        module: where `write` and `load` are.
        engine: the engine that it is for, and that must be installed; None for PyTorch itself.
        beside: suffixes of further files of the same name.
        source: whether it is source code, for which there are `Choices`.
    """

    name: str
    suffix: str
    module: str
    engine: str | None = None
    beside: tuple[str, ...] = ()
    source: bool = False

    def load(self) -> Writer:
        """Its `write` and `load`.

        Raises:
            FlyweightError: its engine isn't installed; the message has the command.
        """
        if self.engine is not None:
            engine_named(self.engine).load()
        return cast(Writer, importlib.import_module(self.module))


FORMATS = {
    one.name: one
    for one in (
        Format("onnx", ".onnx", "flyweight.exporting.onnx_file", "onnxruntime"),
        Format("openvino", ".xml", "flyweight.exporting.openvino_file", "openvino", (".bin",)),
        Format("torch", ".pt2", "flyweight.exporting.torch_file"),
        Format("c", "", "flyweight.exporting.c_folder", "native", source=True),
    )
}


@dataclass(frozen=True)
class Target:
    """A format and where to write it; both were checked.

    Attributes:
        format: which.
        path: the file to open, or the folder.
        choices: what was asked for beside that.
    """

    format: Format
    path: Path
    choices: Choices = Choices()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is written, the one to open last; none where it is a folder."""
        if not self.format.suffix:
            return ()
        return (*(self.path.with_suffix(suffix) for suffix in self.format.beside), self.path)

    @contextlib.contextmanager
    def replaced(self) -> Iterator[Path]:
        """Where to write; all of it takes its place when the block ends without an error.

        Raises:
            FlyweightError: it can't be written.
        """
        if self.files:
            with replaced_together(self.files) as folder:
                yield folder / self.path.name
        else:
            with replaced_folder(self.path, files_of(self.path)) as folder:
                yield folder

    def written(self) -> tuple[Path, ...]:
        """The files that are there now, the one to open first."""
        return self.files[::-1] or tuple(self.path / name for name in files_of(self.path))


METADATA = "metadata.json"


def files_of(folder: Path) -> tuple[str, ...]:
    """The names of the files of a folder that an export wrote; none where it is another's."""
    try:
        about = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        names = about["files"] if about["flyweight"] else []
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    if not isinstance(names, list) or METADATA not in names:
        return ()
    return tuple(name for name in names if isinstance(name, str) and Path(name).name == name)


def target_of(path: Path, name: str | None, force: bool, choices: Choices | None = None) -> Target:
    """Find out whether a network can be written there, before the work.

    Args:
        path: the file to write, or the folder.
        name: of the format; None for the one that the file's name ends like.
        force: whether files may be overwritten.
        choices: what is asked for beside that.

    Raises:
        UsageError: an unknown format, a suffix that isn't its, choices that it hasn't, or a file
            that is there already.
        FlyweightError: the folder can't be written to, or the format's engine isn't installed.
    """
    found = _format_of(path, name)
    target = Target(found, path, choices or Choices())
    if target.choices != Choices() and not found.source:
        raise UsageError(
            f"format {found.name} has float32 images, NCHW, and no CPU of its own: cpu, pixels and"
            " layout are for format c"
        )
    if found.suffix:
        _check_files(target, force)
    else:
        _check_folder(target, force)
    check = getattr(found.load(), "check", None)
    if check is not None:  # a format that takes all choices has none
        check(target.choices)
    return target


def _format_of(path: Path, name: str | None) -> Format:
    by_suffix = {one.suffix: one.name for one in FORMATS.values() if one.suffix}
    if name is None:
        name = by_suffix.get(path.suffix)
        if name is None:
            known = ", ".join(f"{suffix} for {one}" for suffix, one in by_suffix.items())
            raise UsageError(
                f"{path}: which format? Give --format, or a name with {known}; --format c writes a"
                " folder"
            )
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    found = FORMATS[name]
    if found.suffix and path.suffix != found.suffix:
        raise UsageError(
            f"{path}: a file in format {name} ends in {found.suffix}"
            f" (--out {path.with_suffix(found.suffix)})"
        )
    if not found.suffix and path.suffix in by_suffix:
        raise UsageError(
            f"{path}: format {name} writes a folder, and this is a name for format"
            f" {by_suffix[path.suffix]} (--out {path.with_suffix('')})"
        )
    return found


def _check_files(target: Target, force: bool) -> None:
    for file in target.files:
        check_writable(file)
        if file.exists() and not file.is_file():
            raise FlyweightError(f"can't write {file}: it is no ordinary file")
        if file.exists() and not force:
            raise UsageError(f"{file} is there already: --force overwrites it")


def _check_folder(target: Target, force: bool) -> None:
    folder = target.path
    check_folder(folder)
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not files_of(folder):
        raise UsageError(
            f"{folder} is there already, and no export made it: name a folder that isn't there, or"
            " an empty one"
        )
    if not force:
        raise UsageError(f"{folder} is there already: --force overwrites its files")
