"""A fresh network made like one that training leaves, for when only its speed matters."""

import torch
from torch import Tensor, nn

from flyweight.nn.learned_group_conv import CondensedGroupConv, CondensedLinear

BATCH = 4
SIDE = 128
"""Of the images that the statistics come from, in pixels; more where a network needs more."""
LEAST_VARIANCE = 0.01
"""Of a channel, in parts of its layer's average: few values may happen to lie close together."""


@torch.no_grad()
def as_trained(
    network: nn.Module, seed: int = 0, image: tuple[int, int, int] | None = None
) -> None:
    """Give a fresh network what fresh ones lack: norms, biases and choices that differ by channel.

    Engines simplify constants that happen to be equal, or don't: OpenVINO adds a bias of equal
    values in an operation of its own, so a fresh network's time is not a trained one's. Scales
    and shifts of batch norm become random and its statistics those of a small random batch,
    biases of equal values get a little noise, condensed layers choose their inputs. Values stay
    of ordinary size through every depth. Weights of convolutions and linear layers are kept.

    Args:
        network: changed in place; its modes and the global random state are not.
        seed: of the random values; the same one gives the same network.
        image: channels, height, width of the images that the statistics come from; by default
            what the network's first convolution reads, 128 pixels high and wide or more.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            norms.append(module)
            module.weight.uniform_(0.8, 1.2, generator=generator)
            module.bias.normal_(0.0, 0.1, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            bias = module.bias
            if bias is not None and bool((bias == bias[0]).all()):
                bias.add_(torch.randn(bias.shape, generator=generator), alpha=0.01)
        if isinstance(module, CondensedGroupConv):
            module.index.copy_(_choices(module.in_channels, module.index, module.groups, generator))
        elif isinstance(module, CondensedLinear):
            module.index.copy_(_choices(2 * module.in_features, module.index, 1, generator))
    if norms:
        _statistics(network, norms, generator, image or _image(network))


def _choices(inputs: int, index: Tensor, groups: int, generator: torch.Generator) -> Tensor:
    """For each group, as many of the inputs as it reads, in order."""
    count = index.numel() // groups
    picks = [torch.randperm(inputs, generator=generator)[:count] for _ in range(groups)]
    return torch.cat([pick.sort().values for pick in picks])


def _image(network: nn.Module) -> tuple[int, int, int]:
    side = max(SIDE, getattr(network, "min_size", 0))
    return (next(network.parameters()).shape[1], side, side)


def _statistics(
    network: nn.Module,
    norms: list[nn.BatchNorm2d],
    generator: torch.Generator,
    image: tuple[int, int, int],
) -> None:
    """Each norm's mean and variance over one small batch, with the norms before it in place."""
    modes = {module: module.training for module in network.modules()}
    momenta = [norm.momentum for norm in norms]
    network.eval()  # without dropout, which would draw from the global random state
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # the batch's own statistics, not a step towards them
    network(torch.randn(BATCH, *image, generator=generator))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        variance = norm.running_var
        assert variance is not None
        variance.clamp_(min=LEAST_VARIANCE * float(variance.mean()))
    for module, training in modes.items():
        module.training = training
