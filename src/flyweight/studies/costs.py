"""What a case costs by the paper's formulas: FLOPs, memory access and its lower bound."""

import math
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
        memory_access: elements that its convolutions read and write: feature maps and weights
            (ShuffleNet V2, the equations before Eq. 1 and in Eq. 2).
        bound: the least that each could have at its FLOPs B: 2 sqrt(hwB) + B / hw for a 1x1
            convolution (Eq. 1); with k x k taps, by the same argument, 2 sqrt(hwB) / k + B / hw.
    """

    madds: int
    params: int
    memory_access: int
    bound: float

    @property
    def over_bound(self) -> float:
        """Memory access over its lower bound."""
        return self.memory_access / self.bound


def case_cost(case: Case, size: int) -> CaseCost:
    """Count a case on images of a size.

    Args:
        case: whose network is counted, without weights.
        size: height and width of the image.
    """
    with torch.device("meta"):
        network = case.build()
        counted = count_model(network, (1, case.channels, size, size))
    convolutions = [one for one in counted.operations if one.madds]
    bound = 0.0
    for one in convolutions:
        positions = math.prod(one.output[2:])
        layer = network.get_submodule(one.module)
        assert isinstance(layer, nn.Conv2d)
        taps = math.prod(layer.kernel_size)
        bound += 2 * math.sqrt(positions * one.madds / taps) + one.madds / positions
    return CaseCost(
        counted.madds, counted.params, sum(one.memory_access for one in convolutions), bound
    )
