"""A network of two branches with a channel shuffle, small enough to quantise in a second."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from flyweight.exporting import Source, from_module
from flyweight.zoo.preprocessing import Preprocessing

SIDE = 16
CLASSES = 8
PIXELS = Preprocessing(crop=SIDE, resize=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)


class Tiny(nn.Module):
    """Stem, a depthwise and a pointwise convolution beside a shortcut, shuffled; a classifier.

    There is no batch norm and no bias but the classifier's. The scales of the depthwise layer's
    channels differ by a factor of ten, and the next layer's weights undo it.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.stem = nn.Conv2d(3, 16, 3, 2, 1)
            self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
            self.pointwise = nn.Conv2d(8, 8, 1)
            self.classifier = nn.Linear(16, CLASSES)
            with torch.no_grad():
                for module in (self.stem, self.depthwise, self.pointwise, self.classifier):
                    module.weight.normal_(0, 1.5 / module.weight[0].numel() ** 0.5)
                    module.bias.zero_()
                wide = 10 ** torch.linspace(-0.5, 0.5, 8)
                self.depthwise.weight.mul_(wide[:, None, None, None])
                self.pointwise.weight.div_(wide[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.relu(self.stem(x)).chunk(2, 1)
        right = torch.relu(self.pointwise(self.depthwise(right)))
        joined = torch.cat([left, right], 1)
        n, c, h, w = joined.shape
        joined = joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.classifier(joined.mean((2, 3)))


def source(model: nn.Module | None = None) -> Source:
    """To be quantised, at its input size."""
    from dataclasses import replace

    return replace(from_module(model or Tiny().eval(), "tiny"), preprocessing=PIXELS)


def image_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Smooth colourful noise."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        colour = random.integers(0, 200, 3)  # without it, all look alike on the average
        small = Image.fromarray((colour + random.integers(0, 56, (4, 4, 3))).astype(np.uint8))
        found.append(folder / f"{number:03}.png")
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(found[-1])
    return found


def labelled_by(model: nn.Module, folder: Path, count: int, seed: int) -> None:
    """Images in folders by the class that a network gives them: it is right on all of them."""
    from flyweight.zoo.preprocessing import open_image, prepare

    for file in image_files(folder / "all", count, seed):
        x = torch.from_numpy(prepare(open_image(file), PIXELS)[None])
        with torch.no_grad():
            label = int(model(x).argmax())
        (folder / str(label)).mkdir(exist_ok=True)
        file.rename(folder / str(label) / file.name)
    (folder / "all").rmdir()


def make_tiny() -> nn.Module:
    """A factory for the command line."""
    return Tiny().eval()
