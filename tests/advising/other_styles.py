"""Networks in the styles that other people write, made anew and small."""

import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 64
SHAPE = (1, 3, SIDE, SIDE)


# Blocks from strings, keyword arguments handed down, as in collections of image models.


def read_blocks(lines: list[str]) -> Iterator[dict[str, Any]]:
    """E.g. "ir_r2_k3_s2_e4_c24_se": kind, repeats, kernel, stride, expansion, channels."""
    for line in lines:
        kind, *options = line.split("_")
        found: dict[str, Any] = {"kind": kind, "se": "se" in options}
        for option in options:
            if match := re.fullmatch(r"([rksec])(\d+)", option):
                found[match[1]] = int(match[2])
        for index in range(found.pop("r")):
            yield {**found, "s": found["s"] if index == 0 else 1}


class Excite(nn.Module):
    """Squeeze and excite, written with a mean and 1x1 convolutions."""

    def __init__(self, channels: int, gate: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, max(channels // 4, 4), 1)
        self.expand = nn.Conv2d(max(channels // 4, 4), channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.expand(F.relu(self.reduce(scale), inplace=True)))


class Inverted(nn.Module):
    """Expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, **options: Any) -> None:
        super().__init__()
        middle, out, kernel = inputs * options["e"], options["c"], options["k"]
        act = options.get("act", nn.ReLU6)
        norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        layers: list[tuple[str, nn.Module]] = []
        if options["e"] != 1:
            layers += [("pw", nn.Conv2d(inputs, middle, 1, bias=False)), ("bn1", norm(middle)),
                       ("act1", act(inplace=True))]  # fmt: skip
        layers += [("dw", nn.Conv2d(middle, middle, kernel, options["s"], kernel // 2,
                                    groups=middle, bias=False)),
                   ("bn2", norm(middle)), ("act2", act(inplace=True))]  # fmt: skip
        if options["se"]:
            layers.append(("se", Excite(middle)))
        layers += [("pwl", nn.Conv2d(middle, out, 1, bias=False)), ("bn3", norm(out))]
        for name, layer in layers:
            self.add_module(name, layer)
        self.order = [name for name, _ in layers]
        self.adds, self.drop = inputs == out and options["s"] == 1, options.get("drop", 0.0)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for name in self.order:
            y = getattr(self, name)(y)
        if not self.adds:
            return y
        if self.drop > 0.0 and self.training:
            kept = 1 - self.drop
            y = y.div(kept) * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(kept)
        return y + x


class FromStrings(nn.Module):
    """EfficientNet-like; feature maps and scores have methods of their own."""

    def __init__(self, act: type[nn.Module] = nn.ReLU6, **options: Any) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(16), act(inplace=True)
        blocks, width = [], 16
        lines = ["ds_r1_k3_s1_e1_c16", "ir_r2_k3_s2_e6_c24", "ir_r2_k5_s2_e6_c40_se"]
        for one in read_blocks(lines):
            blocks.append(Inverted(width, act=act, drop=0.1, **one, **options))
            width = one["c"]
        self.blocks = nn.Sequential(*blocks)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, 10)

    def forward_features(self, x: Tensor) -> Tensor:
        y = self.act1(self.bn1(self.conv_stem(x)))
        found: Tensor = self.blocks(y)
        return found

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        y: Tensor = self.global_pool(x).flatten(1)
        return y if pre_logits else self.classifier(y)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class LastNorm(nn.LayerNorm):
    """Layer norm over the channels of images that lie channels first."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return y.permute(0, 3, 1, 2)


class NextBlock(nn.Module):
    """A 7x7 depthwise convolution and a perceptron, channels last, scaled by a vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({
            "fc1": nn.Linear(width, 4 * width), "act": nn.GELU(), "fc2": nn.Linear(4 * width, width)
        })  # fmt: skip
        self.gamma = nn.Parameter(1e-2 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv_dw(x).permute(0, 2, 3, 1).contiguous())
        for layer in self.mlp.values():
            y = layer(y)
        return x + self.gamma.reshape(1, -1, 1, 1) * y.permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    """ConvNeXt-like."""
    return nn.Sequential(
        nn.Conv2d(3, 24, 4, 4), LastNorm(24), NextBlock(24), NextBlock(24), LastNorm(24),
        nn.Conv2d(24, 48, 2, 2), NextBlock(48), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.LayerNorm(48), nn.Linear(48, 10),
    )  # fmt: skip


class RepBlock(nn.Module):
    """RepVGG-like, as it is trained: 3x3, 1x1 and identity, each with its norm."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.point = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
        same = inputs == outputs and stride == 1
        self.identity = nn.BatchNorm2d(inputs) if same else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.dense(x) + self.point(x)
        return F.relu(y if self.identity is None else y + self.identity(x))


def repvgg() -> nn.Module:
    """RepVGG-like."""
    stages = nn.Sequential(RepBlock(3, 16, 2), RepBlock(16, 16), RepBlock(16, 32, 2),
                           RepBlock(32, 32), RepBlock(32, 32))  # fmt: skip
    return nn.Sequential(stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(32, 10))


class Ghost(nn.Module):
    """Some channels by a convolution, the others cheaply from them; what is too much is cut off."""

    def __init__(self, inputs: int, outputs: int, relu: bool = True) -> None:
        super().__init__()
        self.outputs = outputs
        first = math.ceil(outputs / 2)
        act = partial(nn.ReLU, inplace=True) if relu else nn.Identity
        self.primary = nn.Sequential(
            nn.Conv2d(inputs, first, 1, bias=False), nn.BatchNorm2d(first), act()
        )
        self.cheap = nn.Sequential(
            nn.Conv2d(first, first, 3, 1, 1, groups=first, bias=False), nn.BatchNorm2d(first), act()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.primary(x)
        return torch.cat((y, self.cheap(y)), dim=1)[:, : self.outputs, :, :]


class GhostNet(nn.Module):
    """GhostNet-like, with odd widths."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        gate = F.hardsigmoid
        self.first = nn.Sequential(Ghost(16, 49), Excite(49, gate), Ghost(49, 16, False))
        self.second = nn.Sequential(Ghost(16, 72), Ghost(72, 24, False))
        self.short = nn.Conv2d(16, 24, 1)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.stem(x))
        x = x + self.first(x)
        x = self.second(x) + self.short(x)
        found: Tensor = self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))
        return found


class Exchange(nn.Module):
    """HRNet-like: several sizes side by side, each made of all."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(RepBlock(width, width) for width in widths)
        rows = []
        for i, out in enumerate(widths):
            row: list[nn.Module | None] = []
            for j, width in enumerate(widths):
                if j > i:
                    row.append(nn.Sequential(nn.Conv2d(width, out, 1), nn.BatchNorm2d(out)))
                elif j == i:
                    row.append(None)
                else:
                    steps = [nn.Conv2d(width, width, 3, 2, 1) for _ in range(i - j - 1)]
                    row.append(nn.Sequential(*steps, nn.Conv2d(width, out, 3, 2, 1)))
            rows.append(nn.ModuleList(row))  # type: ignore[arg-type]
        self.fuse = nn.ModuleList(rows)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        x = [branch(one) for branch, one in zip(self.branches, x, strict=True)]
        found = []
        for i in range(len(x)):
            y: Tensor | int = 0
            for j in range(len(x)):
                if j == i:
                    y = y + x[j]
                elif j > i:
                    up = self.fuse[i][j](x[j])  # type: ignore[index]
                    y = y + F.interpolate(up, size=x[i].shape[-2:], mode="bilinear",
                                          align_corners=True)  # fmt: skip
                else:
                    y = y + self.fuse[i][j](x[j])  # type: ignore[index]
            assert isinstance(y, Tensor)
            found.append(F.relu(y))
        return found


class HighResolution(nn.Module):
    """HRNet-like; all sizes are put together at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.down = nn.ModuleList([nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)])
        self.exchange = Exchange((16, 32, 64))
        self.last = nn.Conv2d(112, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [F.relu(self.stem(x))]
        for layer in self.down:
            maps.append(F.relu(layer(maps[-1])))
        maps = self.exchange(maps)
        h, w = maps[0].size(2), maps[0].size(3)
        same = [maps[0]] + [F.interpolate(one, (h, w), mode="nearest") for one in maps[1:]]
        found: Tensor = self.last(torch.cat(same, 1))
        return found


class Res2(nn.Module):
    """Res2Net-like: every part gets what came out of the one before."""

    def __init__(self, width: int, scale: int = 4) -> None:
        super().__init__()
        self.width, self.scale = width, scale
        self.conv1 = nn.Conv2d(width * scale, width * scale, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width * scale)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, 1, 1, bias=False) for _ in range(scale - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(scale - 1))
        self.conv3 = nn.Conv2d(width * scale, width * scale, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.split(F.relu(self.bn1(self.conv1(x))), self.width, 1)
        found: list[Tensor] = []
        for i, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
            y = parts[i] if i == 0 else found[-1] + parts[i]
            found.append(F.relu(bn(conv(y))))
        found.append(parts[self.scale - 1])
        return F.relu(self.conv3(torch.cat(found, 1)) + x)


def res2net() -> nn.Module:
    """Res2Net-like."""
    return nn.Sequential(nn.Conv2d(3, 56, 7, 2, 3), nn.MaxPool2d(3, 2, 1), Res2(14), Res2(14),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(56, 10))  # fmt: skip


# A detector whose layers are a table, each saying which ones it reads.


class ConvAct(nn.Module):
    """A convolution, its norm, and SiLU."""

    default_act = nn.SiLU(inplace=True)

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = self.default_act

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.act(self.bn(self.conv(x)))
        return found


class C2f(nn.Module):
    """A split, bottlenecks whose results are all kept, and a concatenation."""

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False) -> None:
        super().__init__()
        self.c = c2 // 2
        self.cv1, self.cv2 = ConvAct(c1, 2 * self.c), ConvAct((2 + n) * self.c, c2)
        self.m = nn.ModuleList(
            nn.Sequential(ConvAct(self.c, self.c, 3), ConvAct(self.c, self.c, 3)) for _ in range(n)
        )
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.cv1(x).chunk(2, 1))
        y.extend(y[-1] + m(y[-1]) if self.shortcut else m(y[-1]) for m in self.m)
        found: Tensor = self.cv2(torch.cat(y, 1))
        return found


class SPPF(nn.Module):
    """The same pool again and again."""

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__()
        self.cv1, self.cv2 = ConvAct(c1, c1 // 2), ConvAct(c1 * 2, c2)
        self.m = nn.MaxPool2d(k, 1, k // 2)

    def forward(self, x: Tensor) -> Tensor:
        y = [self.cv1(x)]
        y.extend(self.m(y[-1]) for _ in range(3))
        found: Tensor = self.cv2(torch.cat(y, 1))
        return found


class Concat(nn.Module):
    """A concatenation as a layer."""

    def __init__(self, dimension: int = 1) -> None:
        super().__init__()
        self.d = dimension

    def forward(self, x: list[Tensor]) -> Tensor:
        return torch.cat(x, self.d)


class Detect(nn.Module):
    """Boxes as a distribution over distances, and scores; anchors are kept from call to call."""

    def __init__(self, nc: int, ch: list[int]) -> None:
        super().__init__()
        self.nc, self.reg_max, self.no = nc, 4, nc + 16
        self.stride = [8.0, 16.0]
        self.cv2 = nn.ModuleList(nn.Sequential(ConvAct(c, 16, 3), nn.Conv2d(16, 16, 1)) for c in ch)
        self.cv3 = nn.ModuleList(
            nn.Sequential(ConvAct(c, c, 3, g=c), ConvAct(c, 16), nn.Conv2d(16, nc, 1)) for c in ch
        )
        self.shape: tuple[int, ...] | None = None
        self.anchors = torch.empty(0)
        self.strides = torch.empty(0)

    def forward(self, x: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        x = [torch.cat((a(one), b(one)), 1)
             for a, b, one in zip(self.cv2, self.cv3, x, strict=True)]  # fmt: skip
        shape = x[0].shape
        joined = torch.cat([one.view(shape[0], self.no, -1) for one in x], 2)
        if self.shape != shape:
            points, strides = [], []
            for one, stride in zip(x, self.stride, strict=True):
                h, w = one.shape[2:]
                sy, sx = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
                points.append(torch.stack((sx, sy), -1).view(-1, 2))
                strides.append(torch.full((h * w, 1), stride))
            self.anchors, self.strides = (torch.cat(y).transpose(0, 1) for y in (points, strides))
            self.shape = shape
        box, scores = joined.split((self.reg_max * 4, self.nc), 1)
        b, _, a = box.shape
        weights = box.view(b, 4, self.reg_max, a).transpose(2, 1).softmax(1)
        steps = torch.arange(self.reg_max, dtype=torch.float).view(1, -1, 1, 1)
        distance = (weights * steps).sum(1)
        lt, rb = distance.chunk(2, 1)
        low, high = self.anchors.unsqueeze(0) - lt, self.anchors.unsqueeze(0) + rb
        boxes = torch.cat(((low + high) / 2, high - low), 1) * self.strides
        return torch.cat((boxes, scores.sigmoid()), 1), x


LAYERS: list[tuple[Any, int, str, list[Any]]] = [
    (-1, 1, "ConvAct", [16, 3, 2]), (-1, 1, "ConvAct", [32, 3, 2]), (-1, 1, "C2f", [32, True]),
    (-1, 1, "ConvAct", [48, 3, 2]), (-1, 2, "C2f", [48, True]), (-1, 1, "ConvAct", [64, 3, 2]),
    (-1, 1, "SPPF", [64, 5]), (-1, 1, "nn.Upsample", [None, 2, "nearest"]),
    ([-1, 4], 1, "Concat", [1]), (-1, 1, "C2f", [48]), (-1, 1, "ConvAct", [48, 3, 2]),
    ([-1, 6], 1, "Concat", [1]), (-1, 1, "C2f", [64]), ([9, 12], 1, "Detect", [7]),
]  # fmt: skip


class FromTable(nn.Module):
    """YOLO-like: forward goes through the table."""

    def __init__(self) -> None:
        super().__init__()
        ch, layers, save = [3], [], set()
        for i, (f, n, m, args) in enumerate(LAYERS):
            cls = getattr(nn, m[3:]) if m.startswith("nn.") else globals()[m]
            if cls in (ConvAct, C2f, SPPF):
                c1, c2 = ch[f], args[0]
                given = [c1, c2, *([n] if cls is C2f else []), *args[1:]]
            elif cls is Concat:
                c2, given = sum(ch[x if x < 0 else x + 1] for x in f), args
            elif cls is Detect:
                c2, given = 0, [*args, [ch[x + 1] for x in f]]
            else:
                c2, given = ch[f], args
            layer = cls(*given)
            layer.i, layer.f, layer.type = i, f, m
            save.update(x % i for x in ([f] if isinstance(f, int) else f) if x != -1)
            layers.append(layer)
            ch.append(c2)
        self.model, self.save = nn.Sequential(*layers), sorted(save)

    def forward(self, x: Tensor, profile: bool = False, **kwargs: Any) -> Any:
        y: list[Any] = []
        at: Any = x
        for m in self.model:
            if m.f != -1:
                at = y[m.f] if isinstance(m.f, int) else [at if j == -1 else y[j] for j in m.f]
            at = m(at)
            y.append(at if m.i in self.save else None)
        return at


# Other tasks, other operations.


class Segmenter(nn.Module):
    """DeepLab-like: rates side by side, maps brought to the image's size, results by name."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({
            "low": nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(True)),
            "high": nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(True)),
        })  # fmt: skip
        self.rates = nn.ModuleList(
            nn.Conv2d(32, 16, 3, padding=rate, dilation=rate) for rate in (1, 2, 4)
        )
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 16, 1), nn.ReLU())
        self.project = nn.Conv2d(64, 24, 1)
        self.up = nn.ConvTranspose2d(24, 24, 2, 2)
        self.classify, self.aux = nn.Conv2d(40, 5, 1), nn.Conv2d(32, 5, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        size = x.shape[-2:]
        low = self.backbone["low"](x)
        high = self.backbone["high"](low)
        found = [F.relu(rate(high)) for rate in self.rates]
        found.append(F.interpolate(self.pooled(high), size=high.shape[-2:], mode="bilinear",
                                   align_corners=False))  # fmt: skip
        y = self.up(self.project(torch.cat(found, dim=1)))
        y = self.classify(torch.cat([y, low], dim=1))
        resize = partial(F.interpolate, size=size, mode="bilinear", align_corners=False)
        return {"out": resize(y), "aux": resize(self.aux(high))}


class Attend(nn.Module):
    """Attention over positions, all three matrices in one, with a bias for each distance."""

    def __init__(self, dim: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)
        self.table = nn.Parameter(torch.zeros(positions * 2 - 1, heads))
        at = torch.arange(positions)
        self.register_buffer("index", at[:, None] - at[None, :] + positions - 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        batch, positions, channels = x.shape
        qkv = self.qkv(x).reshape(batch, positions, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        bias = self.table[self.index.view(-1)].view(positions, positions, -1).permute(2, 0, 1)
        weights = self.drop(((q @ k.transpose(-2, -1)) * self.scale + bias).softmax(dim=-1))
        y = (weights @ v).transpose(1, 2).reshape(batch, positions, channels)
        found: Tensor = self.proj(y)
        return found


class Hybrid(nn.Module):
    """Convolutions, then a transformer on their maps, with a token and positions, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*(ConvAct(c, d, 3, 2) for c, d in ((3, 16), (16, 32), (32, 32))))
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.position = nn.Parameter(torch.randn(1, 65, 32))
        self.norm, self.attend = nn.LayerNorm(32), Attend(32, 4, 65)
        self.mlp = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 96), nn.GELU(), nn.Linear(96, 32))
        self.out = ConvAct(64, 32, 3)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stem(x)
        b, c, h, w = maps.shape
        y = maps.flatten(2).transpose(1, 2)
        y = torch.cat((self.token.expand(b, -1, -1), y), dim=1) + self.position
        y = y + self.attend(self.norm(y))
        y = y + self.mlp(y)
        token, y = y[:, 0], y[:, 1:]
        y = y.transpose(1, 2).reshape(b, c, h, w)
        y = self.out(torch.cat([maps, y], 1)).mean(dim=[2, 3])
        found: Tensor = self.head(torch.cat([token, y], -1))
        return found


class Windows(nn.Module):
    """Swin-like: windows cut out of a rolled map."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 4, 4)
        self.attend = Attend(32, 2, 16)
        self.merge = nn.Linear(128, 64, bias=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x).permute(0, 2, 3, 1)
        b, h, w, c = y.shape
        y = torch.roll(y, shifts=(-2, -2), dims=(1, 2))
        parts = y.view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        parts = self.attend(parts).view(b, h // 4, w // 4, 4, 4, c)
        y = torch.roll(parts.permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c), (2, 2), (1, 2))
        quarters = [y[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        found: Tensor = self.head(self.merge(torch.cat(quarters, -1)).mean((1, 2)))
        return found


class StandardConv(nn.Conv2d):
    """Its weights are standardised every time."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        mean, var = weight.mean((1, 2, 3), keepdim=True), weight.var((1, 2, 3), keepdim=True)
        weight = (weight - mean) / torch.sqrt(var + 1e-5)
        return self._conv_forward(x, weight, self.bias)


class Chosen(nn.Module):
    """CondConv-like: the weights are mixed for each image."""

    def __init__(self, width: int, experts: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(experts, width * width * 9) * 0.05)
        self.route = nn.Linear(width, experts)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        mixed = torch.sigmoid(self.route(x.mean((2, 3)))) @ self.weight
        y = F.conv2d(x.reshape(1, b * c, h, w), mixed.view(b * c, c, 3, 3), padding=1, groups=b)
        return y.view(b, c, h, w)


def oddments() -> nn.Module:
    """Weights that are computed, norms over groups, weight norm, pixels shuffled."""
    return nn.Sequential(
        StandardConv(3, 24, 3, 2, 1), nn.GroupNorm(4, 24), nn.Hardswish(True), Chosen(24),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(24, 24, 3, 1, 1)), nn.PReLU(24),
        nn.InstanceNorm2d(24, affine=True), nn.PixelShuffle(2), nn.ReflectionPad2d(1),
        nn.Conv2d(6, 8, 3), nn.Softplus(), nn.PixelUnshuffle(2),
    )  # fmt: skip


class Sequence(nn.Module):
    """Rows of a map read one after another by an LSTM, as text is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, (8, 2), 1)
        self.rows = nn.LSTM(128, 16, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x)).permute(0, 3, 1, 2).flatten(2)
        y, _ = self.rows(y)
        found: Tensor = self.head(y)
        return found


class Nested(nn.Module):
    """Results of several kinds, nested; None among them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> dict[str, Any]:
        y = self.conv(x)
        if mask is not None:
            y = y * mask
        return {"maps": [y, F.relu(y)], "more": (y.amax((2, 3)), None), **kwargs}


class Early(nn.Module):
    """An exit for images that are easy."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x).relu()
        if y.mean().item() > 0.5:
            return y.mean((2, 3))
        found: Tensor = self.second(y).mean((2, 3))
        return found


class Wrapped(nn.Module):
    """Somebody else's module inside."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(*inputs)


def scripted() -> nn.Module:
    """TorchScript."""
    found: nn.Module = torch.jit.script(repvgg().eval())
    return found


def traced() -> nn.Module:
    """TorchScript, from a trace."""
    found: nn.Module = torch.jit.trace(repvgg().eval(), torch.randn(SHAPE))
    return found


def scripted_part() -> nn.Module:
    """TorchScript within Python."""
    return Wrapped(torch.jit.script(RepBlock(3, 8).eval()))


class ToNumpy(nn.Module):
    """NumPy in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).numpy()
        return torch.from_numpy(y.clip(0, None))


class Dictionary(nn.Module):
    """Takes a dictionary."""

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["image"] * 2


class Lazy(nn.Module):
    """Its weights aren't there before the first image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.LazyConv2d(8, 3), nn.LazyLinear(5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.conv(x).mean((2, 3)))
        return found


def doubled() -> nn.Module:
    """Weights in double precision."""
    return nn.Sequential(nn.Conv2d(3, 8, 3)).double()


class Nothing(nn.Module):
    """Puts out no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> float:
        self.conv(x)
        return 1.0


READ: dict[str, Callable[[], nn.Module]] = {
    "blocks from strings": FromStrings, "ConvNeXt": convnext, "RepVGG": repvgg,
    "GhostNet": GhostNet, "HRNet": HighResolution, "Res2Net": res2net, "YOLO": FromTable,
    "segmentation": Segmenter, "attention": Hybrid, "windows": Windows, "oddments": oddments,
    "LSTM": Sequence, "nested outputs": Nested,
    "wrapped": lambda: Wrapped(nn.DataParallel(repvgg())),
}  # fmt: skip
"""Networks that get advice."""

PARTLY: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "early exit": (Early, "depends on the data|turns data into a Python number"),
    "scripted": (scripted, "ScriptModule"),
    "traced": (traced, "ScriptModule"),
    "scripted within": (scripted_part, "ScriptModule"),
    "NumPy": (ToNumpy, "leaves PyTorch for NumPy"),
    "no tensor": (Nothing, "returns no tensor"),
}
"""Networks that run, but can't be captured: what is said."""

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a dictionary": (Dictionary, "doesn't run on an input"),
    "lazy": (Lazy, "uninitialized|lazy|before the first"),
    "double": (doubled, "doesn't run on an input"),
}
"""Networks that can't be run here, and what is said."""
