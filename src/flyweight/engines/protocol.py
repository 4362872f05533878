"""What engines have in common: `prepare(model, example, options)` gives a runner."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from flyweight.errors import UsageError, unknown
from flyweight.native.plan import ImageFormat
from flyweight.records import NetworkFacts

Array: TypeAlias = NDArray[np.float32]

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Options:
    """How an engine is to run a network."""

    threads: int = 1
    precision: str = "float32"
    """One of `PRECISIONS`. Inputs and outputs are float32 in either."""
    tune: bool = True
    """Whether the native engine measures how to cut convolutions up; others have no such choice."""
    image: ImageFormat = field(default_factory=ImageFormat)
    """What images come as; only the native engine takes others than float32, NCHW."""

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError(f"threads must be 1 or more, not {self.threads}")
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)


@dataclass(frozen=True)
class Runner:
    """A network prepared by an engine for inputs of one shape. Call it with an array.

    Attributes:
        engine: the name it was asked for by.
        network: what it runs.
        threads: CPU threads that it uses.
        example: the input it was prepared with.
        dtype: the precision that really runs, e.g. "float32".
        layout: of the input, "NCHW".
        libraries: versions of the libraries that run it.
        call: takes an array of the example's shape and dtype, returns the output.
        facts: what is known of the network without timing it, for its records.
        lowered: whether it runs the lowered network (see `flyweight.lower`).
        device: what it runs on, "cpu" or "cuda".
        again: on a GPU, what is timed: the network on the example, which lies in the GPU's memory,
            and the result stays there. Elsewhere `call` is timed.
    """

    engine: str
    network: str
    threads: int
    example: Array
    dtype: str
    layout: str
    libraries: Mapping[str, str]
    call: Callable[[Array], Array | tuple[Array, ...]] = field(repr=False)
    facts: NetworkFacts | None = None
    lowered: bool = False
    device: str = "cpu"
    again: Callable[[], object] | None = field(default=None, repr=False)

    def __call__(self, x: Array | Tensor) -> Array | tuple[Array, ...]:
        """Run the network; several outputs come as a tuple.

        Args:
            x: array or tensor of the example's shape and dtype.

        Raises:
            UsageError: another shape or dtype.
        """
        array = x.detach().cpu().numpy() if isinstance(x, Tensor) else x
        if array.shape != self.example.shape or array.dtype != self.example.dtype:
            raise UsageError(
                f"{self.network} on {self.engine} was prepared for {self.example.dtype} inputs of"
                f" {self.example.shape}, not {array.dtype} of {array.shape}"
            )
        return self.call(array)


class Prepare(Protocol):
    """The one function that an engine's module offers."""

    def __call__(self, model: nn.Module, example: Array, options: Options) -> Runner:
        """Make a runner; the model is not changed.

        Args:
            model: any module that takes one tensor.
            example: an input, (batch, channels, height, width).
            options: how to run it.

        Raises:
            UsageError: the engine has no such precision on this CPU.
            CaptureError: the engine can't run this model.
        """
        ...
