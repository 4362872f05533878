"""SqueezeNet's Table 2: what compressed weights take, computed from published densities."""

from dataclasses import dataclass

from torch import nn

from flyweight.compress.relative import INDEX_BITS, expected_entries

FLOAT_BITS = 32

# Deep Compression (arXiv 1510.00149), Table 4, as we recall it: they leave the 11 % and, with 32
# bits, the 27 MB that are printed. Its convolutions have codes of 8 bits, its other layers of 5.
ALEXNET = (0.84, 0.38, 0.35, 0.37, 0.37, 0.09, 0.09, 0.25)


@dataclass(frozen=True)
class Sizes:
    """Bytes of a network's weights and biases.

    Attributes:
        pruned: of the weights that are left, in 32 bits each, and all biases.
        shared: with a code and a gap of 4 bits for each entry, fillers included as many as zeros at
            random need, a codebook for each layer, and biases in 32 bits.
    """

    pruned: float
    shared: float


def compressed(
    network: nn.Module, densities: tuple[float, ...], conv_bits: int, linear_bits: int
) -> Sizes:
    """What a network's convolutions and linear layers take at these densities.

    Args:
        network: with biases.
        densities: of its layers, in their order.
        conv_bits: of a convolution's code.
        linear_bits: of another layer's.
    """
    layers = [one for one in network.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    pruned = shared = 0.0
    for layer, density in zip(layers, densities, strict=True):
        bits = conv_bits if isinstance(layer, nn.Conv2d) else linear_bits
        weights = layer.weight.numel()
        biases = FLOAT_BITS * (layer.bias.numel() if layer.bias is not None else 0)
        entries = weights * expected_entries(density, INDEX_BITS)
        pruned += weights * density * FLOAT_BITS + biases
        shared += entries * (bits + INDEX_BITS) + FLOAT_BITS * (1 << bits) + biases
    return Sizes(pruned / 8, shared / 8)
