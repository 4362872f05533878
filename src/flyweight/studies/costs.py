"""What a case costs by the paper's formulas: FLOPs, memory access and its lower bound."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from flyweight.counting import count_model
from flyweight.studies.study import Case


@dataclass(frozen=True)
class CaseCost:
    """Of one image.

    Attributes:
        madds: multiply-adds.
        params: weights.
        memory_access: elements that its convolutions and linear layers read and write: feature maps
            and weights (ShuffleNet V2, the equations before Eq. 1 and in Eq. 2).
        bound: the least that each could have at its FLOPs B: 2 sqrt(hwB) + B / hw for a 1x1
            convolution (Eq. 1); with k x k taps, by the same argument, 2 sqrt(hwB) / k + B / hw. A
            linear layer is a 1x1 convolution at one position.
        whole_access: elements that all its operations read and write, as `flyweight cost` counts.
    """

    madds: int
    params: int
    memory_access: int
    bound: float
    whole_access: int

    @property
    def over_bound(self) -> float:
        """Memory access over its lower bound."""
        return self.memory_access / self.bound


def case_cost(case: Case) -> CaseCost:
    """Count a case.

    Args:
        case: whose network is counted, without weights.

    Raises:
        ValueError: a case whose network isn't known.
    """
    if case.build is None:
        raise ValueError(f"{case.label}: no network")
    return _counted(case.build, case.shape)


@functools.cache
def _counted(build: Callable[[], nn.Module], shape: tuple[int, int, int]) -> CaseCost:
    with torch.device("meta"):
        network = build()
    counted = count_model(network, (1, *shape))
    costly = [one for one in counted.operations if one.madds]
    bound = 0.0
    for one in costly:
        positions = math.prod(one.output[2:])
        layer = network.get_submodule(one.module)
        taps = math.prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1
        bound += 2 * math.sqrt(positions * one.madds / taps) + one.madds / positions
    accessed = sum(one.memory_access for one in costly)
    return CaseCost(counted.madds, counted.params, accessed, bound, counted.memory_access)
