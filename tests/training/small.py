"""A network that learns in a second, and images for it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from flyweight.training.distributed import Team
from flyweight.training.images import Data, ImageSet
from flyweight.training.recipes import Recipe
from flyweight.training.running import Run
from flyweight.training.settings import Settings
from flyweight.training.sources import in_memory
from flyweight.zoo.preprocessing import Preprocessing

SIDE = 12
CLASSES = ("bottom", "middle", "top")
PIXELS = Preprocessing(crop=SIDE, resize=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)
RECIPE = Recipe(
    "small", "this file", "", 0.2, 16, epochs=4, label_smoothing=0.1, smallest=0.8, colour=0.3
)


class Small(nn.Module):
    """Two convolutions with batch norm, dropout, a linear layer."""

    def __init__(self, classes: int = len(CLASSES), norm: bool = True, dropout: float = 0.2):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.second = nn.Conv2d(8, 8, 3, 2, 1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(8 * 9, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.norm(self.first(x)).relu()).relu()
        return self.classifier(self.dropout(x.flatten(1)))


def pixels(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, brighter at the bottom, in the middle or at the top: a flip changes nothing of it."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    images = random.integers(0, 120, (count, SIDE, SIDE, 3))
    half = SIDE // 2
    images[labels == 0, half:] += 100
    images[labels == 1, :, half // 2 : -half // 2] += 100
    images[labels == 2, :half] += 100
    return images.astype(np.uint8), labels


def image_set(count: int, seed: int = 0) -> ImageSet:
    return in_memory(*pixels(count, seed), CLASSES, f"seed{seed}")


def data(count: int = 72) -> Data:
    return Data(image_set(count), image_set(30, 1), "noise")


def image_folder(folder: Path, count: int, seed: int = 0) -> Path:
    """The same as files, in a folder for each class."""
    for number, (image, label) in enumerate(zip(*pixels(count, seed), strict=True)):
        path = folder / CLASSES[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def run_of(model: nn.Module, images: Data, **settings: object) -> Run:
    given = {"recipe": RECIPE, "steps": 12, "batch": 16, **settings}
    return Run("tests.training.small:Small", model, PIXELS, images, Settings(**given), "fresh")


ALONE = Team(0, 1, torch.device("cpu"))
