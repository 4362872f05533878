"""Local response normalisation, of the networks before batch norm."""

import torch.nn.functional as F
from torch import Tensor, nn


class LocalResponseNorm(nn.Module):
    """Values over a power of the squares of their neighbours in channels (AlexNet, Section 3.3).

    x / (1 + alpha / n * sum of squares) ** beta, the sum over n channels around, fewer at the
    ends: Caffe's form. The paper has 2 for the 1 and doesn't divide by n.

    Args:
        size: n, odd.
        alpha: weight of the squares.
        beta: the power.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        # As images of one channel, whose rows are the channels: an average over rows.
        rows = x.square().flatten(2).unsqueeze(1)
        mean = F.avg_pool2d(rows, (self.size, 1), (1, 1), (self.size // 2, 0)).reshape(x.shape)
        return x / (1 + self.alpha * mean).pow(self.beta)
