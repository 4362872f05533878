"""The formats there are. A new one is an entry here and its module."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from torch import Tensor, nn

from flyweight.engines import Array, engine_named
from flyweight.errors import FlyweightError, UsageError, unknown
from flyweight.exporting.describing import Description
from flyweight.files import check_writable

Run: TypeAlias = Callable[[Array], tuple[Array, ...]]
"""A file that was loaded: images (batch, channels, height, width) to all outputs."""


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
            path: the file to open; others of its name may lie beside it.

        Raises:
            CaptureError: the network can't be written so.
        """
        ...

    def load(self, path: Path) -> Run:
        """Read what was written and make it ready to run, in float32.

        Raises:
            FlyweightError: its own engine refuses the file.
        """
        ...


@dataclass(frozen=True)
class Format:
    """A format that networks can be written in.

    Attributes:
        name: what the user calls it by.
        suffix: how the file's name ends.
        module: where `write` and `load` are.
        engine: the engine that it is for, and that must be installed; None for PyTorch itself.
        beside: suffixes of further files of the same name.
    """

    name: str
    suffix: str
    module: str
    engine: str | None = None
    beside: tuple[str, ...] = ()

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
    )
}


@dataclass(frozen=True)
class Target:
    """A format and where to write it; both were checked."""

    format: Format
    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is written, the one to open last."""
        return (*(self.path.with_suffix(suffix) for suffix in self.format.beside), self.path)


def target_of(path: Path, name: str | None, force: bool) -> Target:
    """Find out whether a network can be written there, before the work.

    Args:
        path: the file to write.
        name: of the format; None for the one that the file's name ends like.
        force: whether files may be overwritten.

    Raises:
        UsageError: an unknown format, a suffix that isn't its, or a file that is there already.
        FlyweightError: the folder can't be written to, or the format's engine isn't installed.
    """
    suffixes = ", ".join(f"{one.suffix} for {one.name}" for one in FORMATS.values())
    if name is None:
        name = next((one.name for one in FORMATS.values() if one.suffix == path.suffix), None)
        if name is None:
            raise UsageError(f"{path}: which format? Give --format, or a name with {suffixes}")
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    found = FORMATS[name]
    if path.suffix != found.suffix:
        raise UsageError(
            f"{path}: a file in format {name} ends in {found.suffix}"
            f" (--out {path.with_suffix(found.suffix)})"
        )
    target = Target(found, path)
    for file in target.files:
        check_writable(file)
        if file.exists() and not file.is_file():
            raise FlyweightError(f"can't write {file}: it is no ordinary file")
        if file.exists() and not force:
            raise UsageError(f"{file} is there already: --force overwrites it")
    found.load()
    return target
