"""How the papers trained: each recipe a row, with its source and what in it is our reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flyweight.errors import unknown

Optimizer = Literal["sgd", "rmsprop"]
Schedule = Literal["linear", "poly2", "cosine", "exponential", "steps", "constant"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: what it is called on the command line.
        source: who says so.
        our_reading: what the source leaves open, and how it is filled here.
        learning_rate: at the start, for the recipe's batch; it follows the total batch.
        batch: images in a step, over all processes.
        steps: how many steps; None where the length is in epochs.
        epochs: how often all images are seen; None where the length is in steps.
        schedule: how the learning rate falls: to 0 linearly, with the square, or along a cosine;
            by a factor each epoch ("exponential"), by 10 after each third ("steps"), or not at
            all.
        decay: the factor of "exponential", for an epoch.
        warm_up: epochs in which the learning rate rises linearly from a ninth of itself.
        optimizer: "sgd" or "rmsprop".
        momentum: of either.
        nesterov: whether SGD looks ahead.
        weight_decay: of weights of convolutions and linear layers; batch norm and biases have none.
        label_smoothing: the share of the target that goes to all classes alike.
        smallest: the smallest part of an image's area that a crop may show; 1 for all of it.
        colour: brightness, contrast and saturation change by up to this share.
        average: decay of the moving average of the weights for each step; 0 for none.
        settle: whether batch norm's statistics are taken anew at the end, with weights at rest.
        lasso: how much of the group lasso is added to the loss of a network that learns which
            inputs to keep (CondenseNet in its form for training).
    """

    name: str
    source: str
    our_reading: str
    learning_rate: float
    batch: int
    steps: int | None = None
    epochs: float | None = None
    schedule: Schedule = "linear"
    decay: float = 1.0
    warm_up: float = 0.0
    optimizer: Optimizer = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 4e-5
    label_smoothing: float = 0.0
    smallest: float = 0.08
    colour: float = 0.0
    average: float = 0.0
    settle: bool = False
    lasso: float = 0.0


_SHUFFLENET_CODE = "the authors' ShuffleNet-Series code"

_ROWS = (
    Recipe(
        "shufflenet_v2",
        "ShuffleNet V1, Section 4 (batch 1024, 300 000 iterations, linear decay from 0.5, weight"
        " decay 4e-5, less aggressive scale augmentation), which V2, Section 4, follows;"
        f" {_SHUFFLENET_CODE}: label smoothing 0.1, no decay of norms and biases, and one more"
        " epoch with learning rate 0 that takes batch norm's statistics anew.",
        "The paper gives no number for the scale: crops show 20 % of an image or more.",
        0.5, 1024, steps=300_000, label_smoothing=0.1, smallest=0.2, settle=True,
    ),
    Recipe(
        "shufflenet_v2_code",
        f"{_SHUFFLENET_CODE}: as above, but crops from 8 % of an image on, and colours that change"
        " by up to 40 %.",
        "",
        0.5, 1024, steps=300_000, label_smoothing=0.1, smallest=0.08, colour=0.4, settle=True,
    ),
    Recipe(
        "mobilenet_v1",
        "MobileNet V1, Section 3.2: RMSprop as for Inception V3, no label smoothing, small crops"
        " limited in size, little or no weight decay on depthwise weights.",
        "It has no numbers: learning rate, its decay and momentum are MobileNet V2's, and crops"
        " show 35 % or more. The authors' workers are asynchronous; here steps are synchronous.",
        0.045, 1536, epochs=300, schedule="exponential", decay=0.98, optimizer="rmsprop",
        smallest=0.35,
    ),
    Recipe(
        "mobilenet_v2",
        "MobileNet V2, Section 6.1: RMSprop with decay and momentum 0.9, weight decay 4e-5,"
        " learning rate 0.045 times 0.98 each epoch, 16 workers with a batch of 96; the authors'"
        " code: label smoothing 0.1, a moving average with decay 0.9999.",
        "The length isn't in the paper. The authors' workers are asynchronous; here steps are"
        " synchronous.",
        0.045, 1536, epochs=300, schedule="exponential", decay=0.98, optimizer="rmsprop",
        label_smoothing=0.1, average=0.9999,
    ),
    Recipe(
        "densenet",
        "DenseNet, Section 4.2: batch 256, 90 epochs, learning rate 0.1, a tenth of it after 30 and"
        " 60, weight decay 1e-4, Nesterov momentum.",
        "",
        0.1, 256, epochs=90, schedule="steps", nesterov=True, weight_decay=1e-4,
    ),
    Recipe(
        "condensenet",
        "CondenseNet, Section 4.2, and its code: batch 256, 120 epochs, cosine from 0.1, Nesterov"
        " momentum, weight decay 1e-4, group lasso 1e-5.",
        "",
        0.1, 256, epochs=120, schedule="cosine", nesterov=True, weight_decay=1e-4, lasso=1e-5,
    ),
    Recipe(
        "squeezenext",
        "the authors' SqueezeNext solver: batch 1024, 120 epochs, polynomial decay of power 2 from"
        " 0.4, weight decay 1e-4, warm-up of 780 iterations from a ninth of the learning rate.",
        "780 iterations are 0.62 of an epoch.",
        0.4, 1024, epochs=120, schedule="poly2", weight_decay=1e-4, warm_up=0.62,
    ),
    Recipe(
        "cosine",
        "no paper: what is usual for small sets of images",
        "The learning rate of an image (0.5 for 1024) and the decay are ShuffleNet's.",
        0.03125, 64, epochs=30, schedule="cosine", warm_up=1.0, label_smoothing=0.1, smallest=0.35,
    ),
    Recipe(
        "finetune",
        "no paper: what is usual for trained weights on other images",
        "Crops show half of an image or more.",
        0.01, 64, epochs=20, schedule="cosine", warm_up=1.0, label_smoothing=0.1, smallest=0.5,
        colour=0.2,
    ),
)  # fmt: skip

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ROWS}


def recipe_named(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        UsageError: an unknown one.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
