"""The optimizer of a recipe, and what is averaged over the steps."""

from torch import nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from flyweight.training.recipes import Recipe


def optimizer_of(model: nn.Module, recipe: Recipe, learning_rate: float) -> optim.Optimizer:
    """SGD or RMSprop over two groups: weights that decay, and norms and biases, which don't.

    Args:
        model: parameters that need no gradient are left out.
        recipe: momentum and weight decay.
        learning_rate: at the start.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "rmsprop":
        # TensorFlow's code has decay 0.9 and epsilon 1 (within the root there, outside it here).
        return optim.RMSprop(groups, learning_rate, alpha=0.9, eps=1.0, momentum=recipe.momentum)
    return optim.SGD(groups, learning_rate, recipe.momentum, nesterov=recipe.nesterov)


def average_of(model: nn.Module, decay: float) -> AveragedModel | None:
    """The moving average of a network's parameters and buffers; None for a decay of 0."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
