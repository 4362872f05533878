"""Small networks with one kind of waste each, with several, and without any."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.nn import channel_shuffle

BLOCKS = 4
SIZE = 28


def conv(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)


class Around(nn.Module):
    """A stem to some channels, blocks, and a classifier."""

    def __init__(self, channels: int, block: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.stem = conv(3, channels, 3)
        self.blocks = nn.Sequential(*(block() for _ in range(BLOCKS)))
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(F.relu(self.stem(x)))
        found: Tensor = self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))
        return found


def unequal(ratio: int = 12) -> nn.Module:
    """G1: 16 channels and `ratio` times as many in turn."""
    wide = 16 * ratio
    return Around(16, lambda: nn.Sequential(conv(16, wide), nn.ReLU(), conv(wide, 16), nn.ReLU()))


def grouped(groups: int = 8) -> nn.Module:
    """G2: 1x1 convolutions in groups."""
    return Around(128, lambda: nn.Sequential(conv(128, 128, groups=groups), nn.ReLU()))


class Fragments(nn.Module):
    """Four convolutions of the same input, put together."""

    def __init__(self, joined: str) -> None:
        super().__init__()
        outputs = 16 if joined == "cat" else 64
        self.parts = nn.ModuleList(conv(64, outputs) for _ in range(4))
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        found = [F.relu(part(x)) for part in self.parts]
        if self.joined == "cat":
            return torch.cat(found, 1)
        return found[0] + found[1] + found[2] + found[3]


def four_fragments(joined: str = "cat") -> nn.Module:
    """G3: four convolutions beside each other."""
    return Around(64, lambda: Fragments(joined))


def in_series() -> nn.Module:
    """G3: four convolutions behind each other."""
    return Around(32, lambda: nn.Sequential(*(conv(32, 32) for _ in range(4))))


class Activated(nn.Module):
    """A convolution with activations that no engine fuses with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(32, 32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(F.elu(F.elu(self.conv(x)), 0.5), 0.25)


def activated() -> nn.Module:
    """G4: three activations behind every convolution."""
    return Around(32, Activated)


class Residual(nn.Module):
    """A convolution with shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x) + x
        return y + self.conv.weight.mean() + x


def shortcuts() -> nn.Module:
    """G4: sums of feature maps."""
    return Around(32, Residual)


class Shuffled(nn.Module):
    """A convolution behind a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(channel_shuffle(channel_shuffle(x, 4), 4)))


def shuffled() -> nn.Module:
    """G4: channel shuffles."""
    return Around(32, Shuffled)


class Normed(nn.Module):
    """A batch norm in front of a convolution, where no engine folds it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv, self.next = nn.BatchNorm2d(32), conv(32, 32), conv(32, 32, 3, 32)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.next(F.relu(self.conv(self.norm(x)))))


def normed() -> nn.Module:
    """Batch norms in front of convolutions."""
    return Around(32, Normed)


def misfit() -> nn.Module:
    """Layers of 58 channels."""
    return Around(58, lambda: nn.Sequential(conv(58, 58, 3), nn.ReLU()))


class PingPong(nn.Module):
    """An activation on channels last, between convolutions on channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(32, 32, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x).permute(0, 2, 3, 1).contiguous())
        return y.permute(0, 3, 1, 2).contiguous()


def ping_pong() -> nn.Module:
    """Feature maps that change their layout and back."""
    return Around(32, PingPong)


class Twice(nn.Module):
    """A convolution of the same tensor, two times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(32, 32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.conv(x)


def twice() -> nn.Module:
    """What was just computed is computed again."""
    return Around(32, Twice)


PLANTED = {
    "unequal widths": unequal,
    "groups": grouped,
    "parallel fragments": four_fragments,
    "serial fragments": in_series,
    "activations": activated,
    "shortcuts": shortcuts,
    "channel moves": shuffled,
    "batch norms": normed,
    "channels that don't fit": misfit,
    "layout changes": ping_pong,
    "work done twice": twice,
}


class Mixed(nn.Module):
    """Groups, a shuffle, activations and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(128, 128, groups=8)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(F.elu(channel_shuffle(self.conv(x), 8))) + x


def mixed() -> nn.Module:
    """G2 and G4 at once."""
    return Around(128, Mixed)


class MixedWidths(nn.Module):
    """Unequal widths and a change of layout, then fragments."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.fragments, self.down = conv(64, 256), Fragments("cat"), conv(256, 64)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.up(x).permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2).contiguous()
        found: Tensor = self.fragments(F.relu(self.down(y)))
        return found


def mixed_widths() -> nn.Module:
    """G1, G3 and G4 at once."""
    return Around(64, MixedWidths)


MIXED: dict[str, tuple[Callable[[], nn.Module], frozenset[str]]] = {
    "groups, moves, activations, shortcuts": (
        mixed, frozenset({"groups", "channel moves", "activations", "shortcuts"}),
    ),
    "widths, layouts, fragments": (
        mixed_widths,
        # The activation between two changes of layout is fused with nothing.
        frozenset({"unequal widths", "layout changes", "parallel fragments", "activations"}),
    ),
}  # fmt: skip


def _plain(channels: int, kernel: int, depth: int = 1) -> Callable[[], nn.Module]:
    def block() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [conv(channels, channels, kernel), nn.ReLU()]
        return nn.Sequential(*layers)

    return lambda: Around(channels, block)


def _normed(channels: int) -> nn.Module:
    return Around(
        channels,
        lambda: nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(),
        ),
    )  # fmt: skip


def _separable(channels: int) -> nn.Module:
    return Around(
        channels,
        lambda: nn.Sequential(
            conv(channels, channels, 3, channels), conv(channels, channels), nn.ReLU()
        ),
    )


CLEAN: dict[str, Callable[[], nn.Module]] = {
    "plain 3x3, 16": _plain(16, 3),
    "plain 3x3, 32": _plain(32, 3),
    "plain 3x3, 64": _plain(64, 3),
    "plain 3x3, twice as deep": _plain(32, 3, 2),
    "plain 5x5": _plain(16, 5),
    "pointwise and 3x3": lambda: Around(
        32, lambda: nn.Sequential(conv(32, 32), nn.ReLU(), conv(32, 32, 3), nn.ReLU())
    ),
    "norms behind convolutions, 32": lambda: _normed(32),
    "norms behind convolutions, 64": lambda: _normed(64),
    "depthwise separable, 32": lambda: _separable(32),
    "depthwise separable, 64": lambda: _separable(64),
}
