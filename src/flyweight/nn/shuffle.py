"""Channel shuffle (ShuffleNet V1, Figure 1 and Section 3.1)."""

from torch import Tensor


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channel groups of `x`.

    The channels are read as a `groups` x n matrix, transposed and flattened: output channel
    i * groups + g is input channel g * n + i.

    Args:
        x: (batch, channels, height, width), any dtype.
        groups: number of groups; channels must be divisible by it.

    Raises:
        ValueError: channels are not divisible by groups.
    """
    channels = x.shape[1]
    if channels % groups:
        raise ValueError(f"channel_shuffle: {channels} channels don't divide into {groups} groups")
    shuffled: Tensor = x.unflatten(1, (groups, channels // groups)).transpose(1, 2).flatten(1, 2)
    return shuffled
