"""The tools that quantise, one for each engine. A new one is an entry here and its module."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import onnx

from flyweight.engines import Array, Runner
from flyweight.errors import FlyweightError, unknown
from flyweight.quantizing.photographs import Calibration
from flyweight.quantizing.settings import Settings


class Quantizer(Protocol):
    """What a tool's module offers."""

    def write_float(self, proto: onnx.ModelProto, path: Path) -> None:
        """Write the network in float32, in the form that this engine reads.

        Args:
            proto: the lowered network, for any number of images.
            path: the file to open; others of its name may lie beside it.

        Raises:
            CaptureError: the engine refuses the network.
        """
        ...

    def write_int8(
        self,
        proto: onnx.ModelProto,
        calibration: Calibration,
        settings: Settings,
        entries: Mapping[str, Any],
        path: Path,
    ) -> None:
        """Quantise a network and write it.

        Args:
            proto: as for `write_float`.
            calibration: the images that ranges are found on.
            settings: what is chosen.
            entries: what the file is to say of itself.
            path: the file to open.

        Raises:
            UsageError: `settings` names a layer that there isn't.
            FlyweightError: the tool fails.
        """
        ...

    def load(self, path: Path, network: str, example: Array, threads: int, dtype: str) -> Runner:
        """A runner of a file that was written here, for inputs of the example's shape.

        Raises:
            CaptureError: the engine refuses the file.
        """
        ...

    def about(self, settings: Settings) -> Mapping[str, str]:
        """What the tool does with these settings, in words, and its version."""
        ...


@dataclass(frozen=True)
class Tool:
    """A tool that may be installed.

    Attributes:
        engine: that runs its networks; what the user calls it by.
        module: where the functions of `Quantizer` are.
        needs: packages that must be importable.
        install: the command that installs them.
        suffix: of its files; the first is the one to open.
    """

    engine: str
    module: str
    needs: tuple[str, ...]
    install: str
    suffixes: tuple[str, ...]

    @property
    def missing(self) -> str | None:
        """The first package that isn't there; None where all are."""
        return next((name for name in self.needs if not importlib.util.find_spec(name)), None)

    def load(self) -> Quantizer:
        """Its functions.

        Raises:
            FlyweightError: a package isn't installed; the message has the command.
        """
        if self.missing:
            raise FlyweightError(
                f"int8 for engine {self.engine!r} needs {self.missing}, which is not installed:"
                f" {self.install}"
            )
        return cast(Quantizer, importlib.import_module(self.module))

    def files(self, path: Path) -> tuple[Path, ...]:
        """All files of a network, by the one to open, which comes first."""
        return tuple(path.with_suffix(suffix) for suffix in self.suffixes)


TOOLS = {
    tool.engine: tool
    for tool in (
        Tool(
            "onnxruntime", "flyweight.quantizing.onnx_runtime", ("onnxruntime",),
            "pip install onnxruntime", (".onnx",),
        ),
        Tool(
            "openvino", "flyweight.quantizing.open_vino", ("openvino", "nncf"),
            "pip install 'flyweight[int8]'", (".xml", ".bin"),
        ),
    )
}  # fmt: skip


def scores_of(runner: Runner, x: Array) -> Array:
    """A network's scores: its first output."""
    found = runner(x)
    return found[0] if isinstance(found, tuple) else found


def tools_named(engines: Sequence[str]) -> tuple[Tool, ...]:
    """The tools of these engines, all of them installed.

    Raises:
        UsageError: an engine that there is no tool for.
        FlyweightError: a tool that isn't installed.
    """
    for engine in engines:
        if engine not in TOOLS:
            raise unknown("engine for int8", engine, TOOLS)
        TOOLS[engine].load()
    return tuple(TOOLS[engine] for engine in dict.fromkeys(engines))
