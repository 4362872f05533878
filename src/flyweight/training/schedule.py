"""The learning rate of each step, as a share of the recipe's."""

import math

from flyweight.training.recipes import Recipe

WARM_UP_FROM = 1 / 9
"""The share of the learning rate that a warm-up starts with (SqueezeNext's solver: 0.1111)."""


def rate(recipe: Recipe, step: int, steps: int, steps_per_epoch: int) -> float:
    """The share of the learning rate that a step learns with.

    Step i of n has learned i / n of the way: the first step has the whole learning rate, and the
    one after the last would have none (for schedules that end at 0).

    Args:
        recipe: whose schedule.
        step: counted from 0.
        steps: of the whole run.
        steps_per_epoch: steps in which all images are seen.
    """
    progress = step / steps
    share = {
        "linear": lambda: 1 - progress,
        "poly2": lambda: (1 - progress) ** 2,
        "cosine": lambda: (1 + math.cos(math.pi * progress)) / 2,
        "exponential": lambda: recipe.decay ** (step // steps_per_epoch),
        "steps": lambda: 0.1 ** math.floor(3 * progress),
        "constant": lambda: 1.0,
    }[recipe.schedule]()
    rising = recipe.warm_up * steps_per_epoch
    if step < rising:
        share *= WARM_UP_FROM + (1 - WARM_UP_FROM) * step / rising
    return share
