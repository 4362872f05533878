"""Tensors with few values: a codebook, and for each weight which of its values it has."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Plain = NDArray[np.generic]

MOST_VALUES = 256
"""Of a codebook: codes have 8 bits at most, as those of the paper's convolutions."""


@dataclass(frozen=True, eq=False)
class Coded:
    """A tensor whose weights share few values, of which the first is zero.

    Attributes:
        codebook: (values,) the values; the first is 0, and stands for weights that were pruned.
        codes: for each weight the position of its value in the codebook, in the tensor's shape.
    """

    codebook: Floats
    codes: Codes

    @property
    def bits(self) -> int:
        """That a code takes before Huffman coding: 1 to 8."""
        return max((len(self.codebook) - 1).bit_length(), 1)

    @property
    def density(self) -> float:
        """The share of the weights that were not pruned; 0 of an empty tensor."""
        return np.count_nonzero(self.codes) / self.codes.size if self.codes.size else 0.0

    def values(self) -> Floats:
        """The weights."""
        return self.codebook[self.codes]


@dataclass(frozen=True, eq=False)
class Packed:
    """A network's tensors, those with few values by their codes.

    Attributes:
        tensors: by name: coded ones, and others as they are.
        metadata: what else the file says, as in safetensors.
    """

    tensors: Mapping[str, Coded | Plain]
    metadata: Mapping[str, str]

    def coded(self) -> dict[str, Coded]:
        """The tensors that have codes."""
        return {name: one for name, one in self.tensors.items() if isinstance(one, Coded)}

    def values(self) -> dict[str, Plain]:
        """All tensors, as they are run."""
        return {
            name: one.values() if isinstance(one, Coded) else one
            for name, one in self.tensors.items()
        }

    @property
    def bytes_before(self) -> int:
        """What the tensors take as they are run."""
        return sum(
            4 * one.codes.size if isinstance(one, Coded) else one.nbytes
            for one in self.tensors.values()
        )


def exact(values: Floats) -> Coded | None:
    """A tensor with its own values as the codebook; None where there are too many.

    Args:
        values: of any shape.
    """
    own = np.unique(values[values != 0])
    if len(own) >= MOST_VALUES:
        return None
    codebook = np.concatenate([np.zeros(1, np.float32), own.astype(np.float32)])
    codes = np.where(values == 0, 0, np.searchsorted(own, values) + 1)
    return Coded(codebook, codes.astype(np.uint8))
