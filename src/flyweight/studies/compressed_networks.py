"""SqueezeNet's Table 2: its compressed networks, to be timed. Their weights are random ones."""

from collections.abc import Sequence

from torch import nn

from flyweight.compress.pruning import layers, pruned, put
from flyweight.compress.sharing import shared
from flyweight.zoo import create_model


def pruned_network(
    name: str, densities: Sequence[float], bits: tuple[int, int] | None = None
) -> nn.Module:
    """A network of the zoo with zeros, and with weights that share values, as they are decoded.

    Args:
        name: of the network.
        densities: shares of the weights that are left, of its layers in their order.
        bits: of a convolution's code and of another layer's; None where no values are shared.
    """
    network = create_model(name)
    for (key, weight), density in zip(layers(network).items(), densities, strict=True):
        if weight.is_meta:  # only to be counted
            continue
        values = pruned(weight.detach().numpy(), density)
        if bits is not None:
            values = shared(values, bits[0] if weight.dim() > 2 else bits[1]).values()
        put(network, {key: values})
    return network


def factored_network(name: str, left: float) -> nn.Module:
    """A network of the zoo whose linear layers are products of two, as an SVD leaves them.

    Args:
        name: of the network.
        left: the share of the network's parameters that is left. All linear layers keep the same
            share of their weights.
    """
    network = create_model(name)
    linear = {path: one for path, one in network.named_modules() if isinstance(one, nn.Linear)}
    weights = sum(one.weight.numel() for one in linear.values())
    whole = sum(one.numel() for one in network.parameters())
    share = 1 - (1 - left) * whole / weights
    for path, one in linear.items():
        rank = round(share * one.weight.numel() / (one.in_features + one.out_features))
        parent, _, own = path.rpartition(".")
        halves = nn.Sequential(
            nn.Linear(one.in_features, rank, bias=False), nn.Linear(rank, one.out_features)
        )
        network.get_submodule(parent).add_module(own, halves)
    return network
