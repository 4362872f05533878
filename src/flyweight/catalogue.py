"""The papers' figures beside ours, for every network of the zoo."""

import functools
from dataclasses import dataclass

from flyweight.api import cost
from flyweight.zoo import Published, model_info


@dataclass(frozen=True)
class Counts:
    """What a network of the zoo costs at an input size.

    Attributes:
        madds: multiply-adds of convolutions and linear layers.
        params: parameters.
        memory_access: elements read and written.
        uncounted: operations that no rule of counting covers.
    """

    madds: int
    params: int
    memory_access: int
    uncounted: tuple[str, ...]


@functools.cache
def counts(name: str, size: int) -> Counts:
    """Count a network of the zoo for one image, once.

    Args:
        name: one of `list_models()`.
        size: side of the input in pixels.

    Raises:
        UsageError: an unknown name.
    """
    found = cost(name, (1, 3, size, size))
    return Counts(found.madds, found.params, found.memory_access, tuple(found.uncounted))


@dataclass(frozen=True)
class Beside:
    """What one source prints about a network, and what is counted here at its input size."""

    published: Published
    counted: Counts

    @property
    def madds_off(self) -> float | None:
        """Our multiply-adds over the printed ones, less 1; None where none are printed."""
        printed = self.published.mflops
        return None if printed is None else self.counted.madds / 1e6 / printed - 1

    @property
    def params_off(self) -> float | None:
        """Our parameters over the printed ones, less 1; None where none are printed."""
        printed = self.published.params_m
        return None if printed is None else self.counted.params / 1e6 / printed - 1


def beside(name: str) -> list[Beside]:
    """Every source's figures for a network beside our counts, in the order of its row.

    A network of which no source prints anything gives one line without figures.

    Raises:
        UsageError: an unknown name.
    """
    info = model_info(name)
    published = info.published or (Published("no source prints figures", info.resolution),)
    return [Beside(row, counts(name, row.resolution)) for row in published]
