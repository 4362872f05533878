"""Compressed files by what they are, and back to weights that every command takes."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from flyweight.compress import container, published
from flyweight.compress.coded import Packed
from flyweight.files import replaced

SUFFIXES = (container.SUFFIX, published.SUFFIX)


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is compressed."""
    return path.suffix in SUFFIXES


def read_packed(path: Path) -> Packed:
    """The tensors of a .fwc file, or of the published stream of SqueezeNet (.net).

    Raises:
        WeightsError: no such file, another kind of file, or a damaged one.
    """
    if path.suffix == published.SUFFIX:
        return published.read_published(path)
    return container.read_container(path)


def write_packed(packed: Packed, path: Path) -> int:
    """Write a .fwc file, or a .net file where the name ends so.

    Returns:
        Its bytes.

    Raises:
        FlyweightError: it can't be written, or a .net file can't hold the tensors.
    """
    if path.suffix == published.SUFFIX:
        return published.write_published(packed, path)
    return container.write_container(packed, path)


def decompress(packed: Packed, path: Path) -> int:
    """Write tensors as a safetensors file, which `flyweight evaluate` and the others take.

    Returns:
        Its bytes.

    Raises:
        FlyweightError: it can't be written.
    """
    values = {name: np.require(one, requirements="C") for name, one in packed.values().items()}
    with replaced(path) as temporary:
        save_file(values, temporary, dict(packed.metadata))
        return temporary.stat().st_size
