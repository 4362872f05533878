"""Weight sharing: k-means in one dimension, layer by layer (Deep Compression, Section 3)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flyweight.compress.coded import Coded, Floats, exact
from flyweight.errors import UsageError

ROUNDS = 100
"""Of k-means at most; it ends when no weight changes its cluster."""


def shared(weights: Floats, bits: int) -> Coded:
    """Give a layer's weights few values: zeros stay zero, and k-means finds the others.

    The first centroids lie at equal distances between the smallest and the largest weight
    ("linear" in Section 3.2, which keeps the few large weights, and was the most accurate). A layer
    that has few enough values already keeps them exactly.

    Args:
        weights: of any shape, finite.
        bits: of a code: 1 to 8, for 2^bits values of which one is zero.

    Raises:
        UsageError: other bits.
    """
    if not 1 <= bits <= 8:
        raise UsageError(f"weights can be shared with 1 to 8 bits, not {bits}")
    own = exact(weights)
    if own is not None and len(own.codebook) <= 1 << bits:
        return own
    ordered = np.sort(weights[weights != 0].astype(np.float64))
    centroids = k_means(ordered, np.linspace(ordered[0], ordered[-1], (1 << bits) - 1))
    codebook = np.concatenate([np.zeros(1), centroids]).astype(np.float32)
    nearest = np.searchsorted(_borders(centroids), weights.astype(np.float64)) + 1
    return Coded(codebook, np.where(weights == 0, 0, nearest).astype(np.uint8))


def k_means(ordered: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lloyd's algorithm in one dimension.

    A cluster is what lies between two borders, so a round takes as many steps as there are
    centroids, and not weights. An empty cluster keeps its centroid.

    Args:
        ordered: the weights, rising.
        centroids: to begin with, rising.

    Returns:
        The centroids, rising.
    """
    sums = np.concatenate([np.zeros(1), np.cumsum(ordered)])
    before: NDArray[np.int64] | None = None
    for _ in range(ROUNDS):
        inner = np.searchsorted(ordered, _borders(centroids))
        ends = np.concatenate([[0], inner, [len(ordered)]])
        if before is not None and np.array_equal(ends, before):
            break
        before = ends
        counts = np.diff(ends)
        means = np.diff(sums[ends]) / np.maximum(counts, 1)
        centroids = np.where(counts > 0, means, centroids)
    return centroids


def _borders(centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    return (centroids[1:] + centroids[:-1]) / 2


def shared_layers(weights: Mapping[str, Floats], bits: int) -> dict[str, Coded]:
    """The same for several layers, each with values of its own."""
    return {name: shared(one, bits) for name, one in weights.items()}


def resnapped(coded: Coded, weights: Floats) -> Coded:
    """The codes as they were, with the values that training has moved them to.

    Weights that share a value have the same gradient, and so move together; what rounding has made
    of them is averaged.

    Args:
        coded: as training began.
        weights: as it ended, of the same shape.
    """
    flat = coded.codes.reshape(-1)
    kinds = len(coded.codebook)
    counts = np.bincount(flat, minlength=kinds)
    means = np.bincount(flat, weights.reshape(-1).astype(np.float64), kinds) / np.maximum(counts, 1)
    codebook = np.where(counts > 0, means, coded.codebook).astype(np.float32)
    codebook[0] = 0.0
    return Coded(codebook, coded.codes)
