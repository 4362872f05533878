"""PVANET: Deep but Lightweight Neural Networks for Object Detection (Kim et al., 2016)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, Stage
from flyweight.nn.cells import SamePool
from flyweight.nn.init import init_xavier
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "PVANET (Kim, Hong, Roh, Cheon, Park; 2016; arXiv 1608.08021)"


class CReLU(nn.Module):
    """Convolution, concatenation with the negative, scale and shift, ReLU (Figure 1).

    Scale and shift are those of the batch norm after the concatenation: each of the two halves has
    its own, which is what the paper adds to C.ReLU.

    Args:
        in_channels: channels read.
        channels: outputs of the convolution, half of what is put out.
        kernel: kernel size in pixels.
        stride: stride in pixels.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, 2 channels, height / s, width / s)."""
        y = self.conv(x)
        activated: Tensor = self.norm(torch.cat((y, -y), 1)).relu()
        return activated


class Residual(nn.Module):
    """A block and its shortcut, added without an activation after it.

    Args:
        block: from `in_channels` to `out_channels`.
        in_channels: channels read.
        out_channels: channels put out; others than `in_channels` take a projection.
        stride: of the block.
    """

    def __init__(self, block: nn.Module, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.block = block
        self.projection = (
            ConvNormAct(in_channels, out_channels, stride=stride, activation=None)
            if in_channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        added: Tensor = self.projection(x) + self.block(x)
        return added


class Inception(nn.Module):
    """1x1, 3x3 and twice 3x3 beside each other, concatenated, and a 1x1 convolution (Figure 2).

    Args:
        channels: channels read.
        one: outputs of the 1x1 branch.
        three: outputs of the two convolutions of the 3x3 branch.
        five: outputs of the three convolutions of the branch with two 3x3.
        pool: outputs of the max-pooled branch; 0 for none.
        out: outputs of the last convolution, which has no activation.
        stride: of the first layer of every branch.
    """

    def __init__(
        self,
        channels: int,
        one: int,
        three: tuple[int, int],
        five: tuple[int, int, int],
        pool: int,
        out: int,
        stride: int,
    ) -> None:
        super().__init__()

        def reduce(width: int) -> nn.Module:
            return ConvNormAct(channels, width, stride=stride)

        self.branches = nn.ModuleList(
            [
                reduce(one),
                nn.Sequential(reduce(three[0]), ConvNormAct(three[0], three[1], 3)),
                nn.Sequential(
                    reduce(five[0]),
                    ConvNormAct(five[0], five[1], 3),
                    ConvNormAct(five[1], five[2], 3),
                ),
            ]
        )
        if pool:
            pooled = nn.Sequential(SamePool("max", stride), ConvNormAct(channels, pool))
            self.branches.append(pooled)
        self.out = ConvNormAct(one + three[-1] + five[-1] + pool, out, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        joined: Tensor = self.out(torch.cat([branch(x) for branch in self.branches], 1))
        return joined


def crelu_blocks(
    channels: int, first: int, second: int, out: int, repeats: int, stride: int
) -> Iterator[Residual]:
    """Blocks of a 1x1 convolution, a 3x3 C.ReLU and a 1x1 convolution without activation.

    Args:
        channels: channels read.
        first: outputs of the first convolution.
        second: outputs of the second one, before the negatives double them.
        out: outputs of the last one.
        repeats: how many blocks.
        stride: of the first convolution of the first block.
    """
    for index in range(repeats):
        step = stride if index == 0 else 1
        block = nn.Sequential(
            ConvNormAct(channels, first, stride=step),
            CReLU(first, second, 3),
            ConvNormAct(2 * second, out, activation=None),
        )
        yield Residual(block, channels, out, step)
        channels = out


def inception_blocks(
    channels: int,
    reduced: tuple[int, int],
    three: int,
    five: tuple[int, int, int],
    out: int,
    repeats: int,
) -> Iterator[Residual]:
    """Inception blocks, of which the first has stride 2 and a pooled branch of 128 channels.

    Args:
        channels: channels read.
        reduced: outputs of the 1x1 convolution before the 3x3, in the first block and in others.
        three: outputs of the 3x3 branch.
        five: outputs of the three convolutions of the branch with two 3x3.
        out: outputs of a block.
        repeats: how many blocks.
    """
    first, others = reduced
    yield Residual(Inception(channels, 64, (first, three), five, 128, out, 2), channels, out, 2)
    for _ in range(repeats - 1):
        yield Residual(Inception(out, 64, (others, three), five, 0, out, 1), out, out, 1)


_OTHER = (
    "Megvii's own implementation, of which nothing more is said, and no reading of the authors'"
    " network gives 557 M: its convolutions have 511 M at 224 pixels, with the linear layers 609 M,"
    " and 453 M at 192."
)

VARIANTS = (
    Variant(
        "pvanet",
        {},
        (
            Published(
                "ShuffleNet (arXiv 1707.01083 v1), Table 6",
                mflops=557,
                top1_error=35.3,
                note=_OTHER,
            ),
        ),
        "The classification network of the authors' code (original.pt), with the layers of the"
        " paper's Table 1: modified C.ReLU, Inception, residual connections; two hidden layers of"
        " 4096.",
        "Trained at 192 pixels (pooled=6 gives that network's linear layers); ShuffleNet's table is"
        " for 224. Batch norm of the linear layers is left out: it folds into them. Odd sizes are"
        " rounded up everywhere, where Caffe's pooling and strided convolutions would not match.",
    ),
)


@register("PVANET", PAPER, VARIANTS)
def pvanet(
    num_classes: int = 1000,
    in_channels: int = 3,
    hidden: Sequence[int] = (4096, 4096),
    pooled: int = 7,
    dropout: float = 0.5,
) -> Network:
    """PVANET for classification (Table 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        hidden: outputs of the linear layers before the classifier.
        pooled: side of the last map, in pixels: 7 for inputs of 224, 6 for 192.
        dropout: after each hidden layer.
    """
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", 32, 2), CReLU(in_channels, 16, 7, 2)),
        (
            Stage("stage2", 64, 4),
            nn.Sequential(SamePool("max", 2), *crelu_blocks(32, 24, 24, 64, repeats=3, stride=1)),
        ),
        (
            Stage("stage3", 128, 8),
            nn.Sequential(*crelu_blocks(64, 48, 48, 128, repeats=4, stride=2)),
        ),
        (
            Stage("stage4", 256, 16),
            nn.Sequential(*inception_blocks(128, (48, 64), 128, (24, 48, 48), 256, repeats=4)),
        ),
        (
            Stage("stage5", 384, 32),
            nn.Sequential(*inception_blocks(256, (96, 96), 192, (32, 64, 64), 384, repeats=4)),
        ),
    ]
    network = Network(parts, num_classes, dropout, hidden=hidden, pooled=pooled)
    init_xavier(network)
    return network
