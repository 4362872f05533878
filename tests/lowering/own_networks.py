"""Networks as people outside the zoo write them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(
    channels: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.SiLU(inplace=True),
    )


class Cross(nn.Module):
    """Half of the channels through two convolutions, all joined and shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.main = nn.Sequential(conv(half, half), conv(half, half, groups=half))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        kept, used = torch.chunk(x, 2, dim=1)
        return self.shuffle(torch.cat([used + self.main(used), kept], dim=1))


class YoloLike(nn.Module):
    """A backbone, a path back up, and three heads of boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 16, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(c, 2 * c, stride=2), Cross(2 * c), Cross(2 * c))
            for c in (16, 32, 64)
        )
        self.lateral = nn.ModuleList(conv(c, 32, 1) for c in (32, 64, 128))
        self.heads = nn.ModuleList(nn.Conv2d(64 if k < 2 else 32, 18, 1) for k in range(3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        tops = [lateral(y) for lateral, y in zip(self.lateral, found, strict=True)]
        up1 = torch.cat([tops[1], F.interpolate(tops[2], scale_factor=2)], 1)
        up0 = torch.cat([tops[0], F.interpolate(tops[1], scale_factor=2)], 1)
        boxes = {}
        for name, head, y in zip("abc", self.heads, (up0, up1, tops[2]), strict=True):
            raw = head(y)  # three anchors of x, y, w, h, object, class
            raw = raw.view(raw.shape[0], 3, 6, *raw.shape[2:]).permute(0, 1, 3, 4, 2)
            boxes[name] = torch.cat([raw[..., :4].sigmoid(), raw[..., 4:]], -1).flatten(1, 3)
        return boxes


class UNet(nn.Module):
    """Down, up by transposed convolutions, concatenations of both."""

    def __init__(self) -> None:
        super().__init__()
        self.down0, self.down1, self.middle = conv(3, 8), conv(8, 16), conv(16, 32)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, 2)
        self.up0 = nn.ConvTranspose2d(16, 8, 2, 2)
        self.merge1, self.merge0 = conv(32, 16), conv(16, 8)
        self.drop = nn.Dropout2d(0.5)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down0(x)
        b = self.down1(F.max_pool2d(a, 2))
        c = self.middle(self.drop(F.max_pool2d(b, 2)))
        b = self.merge1(torch.cat((b, self.up1(c)), 1))
        a = self.merge0(torch.cat((self.up0(b), a), 1))
        return self.out(a).softmax(1)


class OddChannels(nn.Module):
    """Seven and thirteen channels, halves of unequal size, a list that picks twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 7, 3, padding=1)
        self.norm = nn.BatchNorm2d(7)
        self.depthwise = nn.Conv2d(7, 7, 3, padding=1, groups=7)
        self.second = nn.Conv2d(9, 13, 1)
        self.act = nn.PReLU(13)
        self.classifier = nn.Linear(13 * 4, 5)
        self.register_buffer("pick", torch.tensor([6, 0, 3, 3, 5]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x))
        a, b = x.split([3, 4], 1)
        x = self.depthwise(torch.cat((b.flip(1), a), 1))
        x = torch.cat((x[:, self.pick], x[:, -1:], x[:, ::3]), 1)
        x = self.act(self.second(x))
        return self.classifier(F.adaptive_avg_pool2d(x, 2).flatten(1))


class Functional(nn.Module):
    """No layers but parameters; constants, a norm by hand, odd and even channels."""

    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(12, 3, 3, 3) * 0.2)
        self.w2 = nn.Parameter(torch.randn(12, 6, 1, 1) * 0.3)
        self.scale = nn.Parameter(torch.rand(1, 12, 1, 1) + 0.5)
        self.shift = nn.Parameter(torch.randn(12, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = torch.tensor([0.4, 0.5, 0.6], dtype=x.dtype).view(1, 3, 1, 1)
        x = (x - mean) / 0.25
        x = F.conv2d(x, self.w1, stride=2, padding=1) * self.scale + self.shift
        x = F.hardtanh(x, 0.0, 6.0)
        even, odd = x[:, 0::2], x[:, 1::2]
        y = F.conv2d(even * odd.sigmoid(), self.w2)
        y = y.reshape(y.size(0), 3, 4, *y.shape[2:]).transpose(1, 2).reshape_as(y)
        return y.amax((2, 3)), torch.stack((even, odd), 2).flatten(1, 2)


class Decides(nn.Module):
    """Control flow that depends on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if x.mean() > 0:
            x = x * 2
        return x
