"""Training CondenseNet: the condensing schedule, the group lasso, and the condensed network.

In a training loop, with `model = create_model("condensenet_74_g8", form="train")`::

    follow_schedule(model, step / steps)
    loss = criterion(model(images), labels) + 1e-5 * group_lasso(model)

and when it is over, `condense(model)` is the network to evaluate.
"""

import copy

import torch
from torch import Tensor, nn

from flyweight.errors import UsageError
from flyweight.nn import Network, label
from flyweight.nn.learned_group_conv import LearnedGroupConv, LearnedLinear, condensing_stage
from flyweight.zoo.condensenet import CondenseNet

Learned = LearnedGroupConv | LearnedLinear


def learned_layers(model: nn.Module) -> dict[str, Learned]:
    """The layers that learn which inputs to keep, by their paths.

    Raises:
        UsageError: a network that has none, such as one of the form "test".
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, Learned)}
    if not layers:
        raise UsageError(
            f"{label(model)} has no layers to condense: create a CondenseNet with form='train'"
        )
    return layers


def condenses(model: nn.Module) -> bool:
    """Whether a network has layers that learn which inputs to keep."""
    return any(isinstance(module, Learned) for module in model.modules())


def follow_schedule(model: nn.Module, progress: float) -> None:
    """Prune what the schedule wants pruned by now (Section 3.1); call it before every step.

    Each learned group convolution loses 1 / C of its inputs at the end of each of C - 1 stages,
    which share the first half of training equally. The classifier loses half of them at its end.

    Args:
        model: of the form "train".
        progress: the part of training that is over, from 0 to 1.

    Raises:
        UsageError: another form, or a progress that is none.
    """
    if not 0 <= progress <= 1:
        raise UsageError(f"progress must be from 0 to 1, not {progress}")
    for layer in learned_layers(model).values():
        layer.mask.prune(layer.weight, condensing_stage(progress, layer.mask.condense))


def group_lasso(model: nn.Module) -> Tensor:
    """The sum of the group lasso terms of the convolutions that are still condensing.

    The authors' training on ImageNet adds 1e-5 times it to the loss.

    Raises:
        UsageError: another form than "train".
    """
    terms = [
        layer.mask.group_lasso(layer.weight)
        for layer in learned_layers(model).values()
        if isinstance(layer, LearnedGroupConv) and not layer.mask.finished
    ]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def condense(model: Network) -> Network:
    """The network of the form "test" that gives the same scores as a fully condensed one.

    The model stays as it is.

    Raises:
        UsageError: another form than "train", or layers that aren't fully condensed.
    """
    layers = learned_layers(model)
    left = [name for name, layer in layers.items() if not layer.mask.finished]
    if left:
        raise UsageError(
            f"{label(model)} is not fully condensed ({len(left)} of {len(layers)} layers are not,"
            f" such as {left[0]}): follow_schedule(model, 0.5) prunes what is left"
        )
    condensed = copy.deepcopy(model)
    for name, layer in layers.items():
        parent, _, child = name.rpartition(".")
        setattr(condensed.get_submodule(parent), child, layer.condensed())
    if isinstance(condensed, CondenseNet):
        condensed.form = "test"
    condensed.options = {**model.options, "form": "test"}
    return condensed
