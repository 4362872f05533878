"""The engines there are. A new one is an entry here and its module."""

import importlib
import importlib.util
from dataclasses import dataclass
from typing import cast

from flyweight.engines.cuda import why_no_gpu
from flyweight.engines.protocol import Options, Prepare
from flyweight.errors import FlyweightError, UsageError, unknown
from flyweight.lowering.rules import rules_for
from flyweight.native.plan import ImageFormat


@dataclass(frozen=True)
class Engine:
    """An engine that may be installed.

    Attributes:
        name: what the user calls it by.
        module: where its `prepare` is.
        needs: the package that must be importable.
        install: the command that installs it.
        images: whether it takes images in other formats than float32, NCHW.
        gpu: whether it runs on an NVIDIA GPU.
    """

    name: str
    module: str
    needs: str
    install: str
    images: bool = False
    gpu: bool = False

    @property
    def installed(self) -> bool:
        """Whether its package is there, and the GPU if it needs one."""
        there = importlib.util.find_spec(self.needs) is not None
        return there and not (self.gpu and why_no_gpu())

    def load(self) -> Prepare:
        """Its `prepare` function.

        Raises:
            FlyweightError: it isn't installed, and the message has the command that installs it;
                or it needs a GPU, and there is none.
        """
        if not self.installed:
            raise FlyweightError(
                f"engine {self.name!r} needs an NVIDIA GPU: {why_no_gpu()}"
                if self.gpu
                else f"engine {self.name!r} is not installed: {self.install}"
            )
        return cast(Prepare, importlib.import_module(self.module).prepare)

    def check(self, options: Options, lowered: bool = False) -> None:
        """Find out whether it runs with these options, before any network is prepared.

        Raises:
            FlyweightError: it isn't installed.
            UsageError: it has no such precision on this CPU, or takes no lowered networks or no
                such images.
        """
        self.load()
        if options.image != ImageFormat() and not self.images:
            raise UsageError(
                f"engine {self.name!r} takes float32 NCHW images, not {options.image.dtype}"
                f" {options.image.layout} ones: prepare them so, or use engine 'native'"
            )
        if lowered:
            rules_for(self.name)
        check = getattr(importlib.import_module(self.module), "check", None)
        if check is not None:  # an engine that takes all options has none
            check(options)


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("eager", "flyweight.engines.torch_eager", "torch", "pip install torch"),
        Engine("compile", "flyweight.engines.torch_compile", "torch", "pip install torch"),
        Engine(
            "onnxruntime", "flyweight.engines.onnx_runtime", "onnxruntime",
            "pip install onnxruntime",
        ),
        Engine(
            "openvino", "flyweight.engines.open_vino", "openvino",
            "pip install 'flyweight[openvino]'",
        ),
        Engine(
            "native", "flyweight.engines.native", "flyweight", "pip install flyweight",
            images=True,
        ),
        *(
            Engine(
                f"cuda-{form}", f"flyweight.engines.cuda_{form}", "torch", "pip install torch",
                gpu=True,
            )
            for form in ("eager", "graph", "compile")
        ),
    )
}  # fmt: skip


def engine_named(name: str) -> Engine:
    """The engine of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    return ENGINES[name]
