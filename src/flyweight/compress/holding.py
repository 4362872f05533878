"""Training that keeps zeros zero, and shared weights shared.

Both are what is done to gradients: a pruned weight has none, and weights that share a value have
the sum of theirs (Deep Compression, Figure 3). Steps, decay and momentum are then the same for all
weights of a cluster, so `training` needs to know nothing of it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from flyweight.compress.coded import Coded
from flyweight.compress.pruning import layers


@contextmanager
def zeros_held(model: nn.Module) -> Iterator[None]:
    """Weights of layers that are zero stay so while the model is trained."""
    handles = []
    for weight in layers(model).values():
        mask = weight.detach() != 0

        def masked(gradient: Tensor, mask: Tensor = mask) -> Tensor:
            return gradient * mask.to(gradient.device)

        handles.append(weight.register_hook(masked))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def sharing_held(model: nn.Module, coded: Mapping[str, Coded]) -> Iterator[None]:
    """Weights of layers that share a value have one gradient while the model is trained.

    Args:
        model: its layers have the values of `coded`.
        coded: by layer.
    """
    handles = []
    for name, weight in layers(model).items():
        codes = torch.from_numpy(coded[name].codes.astype("int64"))
        values = len(coded[name].codebook)

        def summed(gradient: Tensor, codes: Tensor = codes, values: int = values) -> Tensor:
            own = codes.to(gradient.device)
            sums = gradient.new_zeros(values)
            sums.index_add_(0, own.reshape(-1), gradient.reshape(-1))
            sums[0] = 0.0
            return sums[own]

        handles.append(weight.register_hook(summed))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
