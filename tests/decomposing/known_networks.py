"""Networks of known make-up, and peaks of a machine that doesn't exist."""

import torch
from torch import Tensor, nn

from flyweight.decomposing import Peaks

PEAKS = Peaks(1, 50e9, (1 << 16, 1 << 24), (100e9, 20e9))


WIDTH = 16
"""ONNX Runtime pads channels to whole blocks: of 8 with AVX2, of 16 with AVX-512."""


class TenAndTen(nn.Module):
    """Ten convolutions, then ten products of two of their results, which no engine can fuse.

    Every result is read by two products, and every product is an output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv2d(3 if i == 0 else WIDTH, WIDTH, 3, padding=1) for i in range(10)]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for conv in self.convs:
            x = conv(x)
            maps.append(x)
        return [maps[i] * maps[(i + 1) % 10] for i in range(10)]


TEN_SIZE = (1, 3, 12, 10)
TEN_MADDS = 12 * 10 * WIDTH * 9 * (3 + 9 * WIDTH)


class Mixed(nn.Module):
    """One of each class: a dense and a depthwise convolution, a norm, a shuffle, a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.last = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        a, b = x.chunk(2, 1)
        x = self.dw(torch.cat((b, a), 1))
        return self.last(x.mean((2, 3)))
