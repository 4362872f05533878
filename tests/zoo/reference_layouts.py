"""The networks as the layouts' own code computes them, on tensors by their own names.

Written from the layouts' descriptions, and independent of Flyweight. A forward pass asks a `Names`
for each tensor by name and shape; the first pass makes them at random, batch norm's statistics
included, and so leaves a complete file of the layout behind.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SHUFFLENET_WIDTHS = {
    "x0_5": (24, 48, 96, 192, 1024),
    "x1_0": (24, 116, 232, 464, 1024),
}


class Names(dict[str, Tensor]):
    """Tensors by name, made when first asked for."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def uniform(self, name: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        if name not in self:
            self[name] = low + (high - low) * torch.rand(shape, generator=self.random)
        return self[name]

    def kernel(self, name: str, shape: tuple[int, ...], fan_in: int) -> Tensor:
        bound = math.sqrt(6 / fan_in)
        return self.uniform(name, shape, -bound, bound)

    def bytes(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if name not in self:
            self[name] = torch.randint(0, 256, shape, generator=self.random).to(torch.uint8)
        return self[name]


# PyTorch's notation


def conv_norm(
    p: Names,
    x: Tensor,
    conv: str,
    norm: str,
    out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
) -> Tensor:
    fan = x.shape[1] // groups
    weight = p.kernel(f"{conv}.weight", (out, fan, kernel, kernel), fan * kernel * kernel)
    x = F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)
    p.setdefault(f"{norm}.num_batches_tracked", torch.tensor(1234))
    return F.batch_norm(
        x,
        p.uniform(f"{norm}.running_mean", (out,), -0.3, 0.3),
        p.uniform(f"{norm}.running_var", (out,), 0.5, 2.0),
        p.uniform(f"{norm}.weight", (out,), 0.5, 1.5),
        p.uniform(f"{norm}.bias", (out,), -0.3, 0.3),
        eps=1e-5,
    )


def linear(p: Names, x: Tensor, name: str, out: int = 1000, bias: bool = True) -> Tensor:
    weight = p.kernel(f"{name}.weight", (out, x.shape[1]), x.shape[1])
    return F.linear(x, weight, p.uniform(f"{name}.bias", (out,), -1, 1) if bias else None)


def torchvision_shufflenet_v2(p: Names, x: Tensor, widths: tuple[int, ...]) -> Tensor:
    def branch(x: Tensor, name: str, middle: int, stride: int) -> Tensor:
        x = F.relu(conv_norm(p, x, f"{name}.0", f"{name}.1", middle))
        x = conv_norm(p, x, f"{name}.3", f"{name}.4", middle, 3, stride, middle)
        return F.relu(conv_norm(p, x, f"{name}.5", f"{name}.6", middle))

    x = F.relu(conv_norm(p, x, "conv1.0", "conv1.1", widths[0], 3, 2))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, repeats, width in zip((2, 3, 4), (4, 8, 4), widths[1:4], strict=True):
        half = width // 2
        for index in range(repeats):
            unit = f"stage{stage}.{index}"
            if index == 0:
                left = conv_norm(
                    p, x, f"{unit}.branch1.0", f"{unit}.branch1.1", x.shape[1], 3, 2, x.shape[1]
                )
                left = F.relu(conv_norm(p, left, f"{unit}.branch1.2", f"{unit}.branch1.3", half))
                right = branch(x, f"{unit}.branch2", half, 2)
            else:
                left, right = x[:, :half], branch(x[:, half:], f"{unit}.branch2", half, 1)
            # Two groups of channels, interleaved.
            x = torch.stack((left, right), 2).flatten(1, 2)
    x = F.relu(conv_norm(p, x, "conv5.0", "conv5.1", widths[4]))
    return linear(p, x.mean((2, 3)), "fc")


def megvii_shufflenet_v2(p: Names, x: Tensor, widths: tuple[int, ...]) -> Tensor:
    def main(x: Tensor, name: str, middle: int, out: int, stride: int) -> Tensor:
        x = F.relu(conv_norm(p, x, f"{name}.0", f"{name}.1", middle))
        x = conv_norm(p, x, f"{name}.3", f"{name}.4", middle, 3, stride, middle)
        return F.relu(conv_norm(p, x, f"{name}.5", f"{name}.6", out))

    def shuffled_halves(x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        pairs = x.reshape(batch * channels // 2, 2, height * width).permute(1, 0, 2)
        return pairs.reshape(2, -1, channels // 2, height, width)

    x = F.relu(conv_norm(p, x, "first_conv.0", "first_conv.1", widths[0], 3, 2))
    x = F.max_pool2d(x, 3, 2, 1)
    number = 0
    for repeats, width in zip((4, 8, 4), widths[1:4], strict=True):
        for index in range(repeats):
            unit = f"features.{number}"
            number += 1
            if index == 0:
                kept, name = x.shape[1], f"{unit}.branch_proj"
                left = conv_norm(p, x, f"{name}.0", f"{name}.1", kept, 3, 2, kept)
                left = F.relu(conv_norm(p, left, f"{name}.2", f"{name}.3", kept))
                right = main(x, f"{unit}.branch_main", width // 2, width - kept, 2)
            else:
                left, right = shuffled_halves(x)
                right = main(right, f"{unit}.branch_main", width // 2, width // 2, 1)
            x = torch.cat((left, right), 1)
    x = F.relu(conv_norm(p, x, "conv_last.0", "conv_last.1", widths[4]))
    return linear(p, F.avg_pool2d(x, x.shape[2:]).flatten(1), "classifier.0", bias=False)


# MobileNetV2: expansion, channels, repeats, stride.
MOBILENET_V2_ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def multiple_of_8(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def torchvision_mobilenet_v2(p: Names, x: Tensor, width: float) -> Tensor:
    stem = multiple_of_8(32 * width)
    x = F.relu6(conv_norm(p, x, "features.0.0", "features.0.1", stem, 3, 2))
    number = 1
    for expansion, full, repeats, first_stride in MOBILENET_V2_ROWS:
        out = multiple_of_8(full * width)
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            conv = f"features.{number}.conv"
            y, step = x, 0
            if expansion > 1:
                wide = expansion * x.shape[1]
                y = F.relu6(conv_norm(p, y, f"{conv}.0.0", f"{conv}.0.1", wide))
                step = 1
            wide = y.shape[1]
            name = f"{conv}.{step}"
            y = F.relu6(conv_norm(p, y, f"{name}.0", f"{name}.1", wide, 3, stride, wide))
            y = conv_norm(p, y, f"{conv}.{step + 1}", f"{conv}.{step + 2}", out)
            x = x + y if stride == 1 and x.shape[1] == out else y
            number += 1
    last = multiple_of_8(1280 * max(1.0, width))
    x = F.relu6(conv_norm(p, x, f"features.{number}.0", f"features.{number}.1", last))
    return linear(p, x.mean((2, 3)), "classifier.1")


# Keras's notation: images and feature maps are (batch, height, width, channels).

# MobileNet V1: stride and channels.
MOBILENET_V1_ROWS = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512), (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024)),
)


def taps(x: Tensor, stride: int) -> list[tuple[int, int, Tensor]]:
    """What each of the nine weights of a 3x3 kernel sees of (batch, height, width, channels)."""
    before = 1 if stride == 1 else 0
    padded = F.pad(x, (0, 0, before, 1, before, 1))
    height, width = x.shape[1] // stride, x.shape[2] // stride
    return [
        (
            row,
            column,
            padded[
                :, row : row + stride * height : stride, column : column + stride * width : stride
            ],
        )
        for row in range(3)
        for column in range(3)
    ]


def keras_norm(p: Names, x: Tensor, name: str) -> Tensor:
    shape = (x.shape[-1],)
    mean = p.uniform(f"{name}/moving_mean", shape, -0.3, 0.3)
    variance = p.uniform(f"{name}/moving_variance", shape, 0.5, 2.0)
    gamma, beta = (
        p.uniform(f"{name}/gamma", shape, 0.5, 1.5),
        p.uniform(f"{name}/beta", shape, -0.3, 0.3),
    )
    return ((x - mean) / torch.sqrt(variance + 1e-3) * gamma + beta).clamp(0, 6)


def keras_mobilenet_v1(p: Names, x: Tensor, width: float) -> Tensor:
    x = x.permute(0, 2, 3, 1)
    stem = int(32 * width)
    kernel = p.kernel("conv1/kernel", (3, 3, 3, stem), 27)
    y = sum(seen @ kernel[row, column] for row, column, seen in taps(x, 2))
    x = keras_norm(p, y, "conv1_bn")
    for number, (stride, full) in enumerate(MOBILENET_V1_ROWS, start=1):
        channels, out = x.shape[-1], int(full * width)
        kernel = p.kernel(f"conv_dw_{number}/depthwise_kernel", (3, 3, channels, 1), 9)
        y = sum(seen * kernel[row, column, :, 0] for row, column, seen in taps(x, stride))
        x = keras_norm(p, y, f"conv_dw_{number}_bn")
        kernel = p.kernel(f"conv_pw_{number}/kernel", (1, 1, channels, out), channels)
        x = keras_norm(p, x @ kernel[0, 0], f"conv_pw_{number}_bn")
    features = x.mean((1, 2))
    kernel = p.kernel("conv_preds/kernel", (1, 1, features.shape[1], 1000), features.shape[1])
    return features @ kernel[0, 0] + p.uniform("conv_preds/bias", (1000,), -1, 1)


# TensorFlow's quantised networks: one fused operation a name, weights in 8 bits, a bias.


def fused(layer: str, last: str = "Relu6") -> str:
    return f"{layer}/{last};{layer}/add_fold;other/depthwise_Fold;{layer}/BatchNorm_Fold/bias"


def folded(
    p: Names, x: Tensor, name: str, out: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> Tensor:
    fan = x.shape[1] // groups
    q = p.bytes(f"{name}.weight_q", (out, fan, kernel, kernel))
    step = math.sqrt(2 / (fan * kernel * kernel)) / 74
    scale = p.uniform(f"{name}.scale", (1,), 0.9 * step, 1.1 * step)
    zero = p.setdefault(f"{name}.zero_point", torch.tensor([121 + len(p) % 13], dtype=torch.int32))
    bias = p.uniform(f"{name}.bias", (out,), -0.3, 0.3)
    weight = (q.to(torch.int32) - zero) * scale
    if kernel == 3:
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
    return F.conv2d(x, weight, bias, stride, groups=groups)


def folded_mobilenet_v1(p: Names, x: Tensor, width: float) -> Tensor:
    root = "MobilenetV1/MobilenetV1/Conv2d_"
    x = folded(p, x, fused(f"{root}0"), int(32 * width), 3, 2).clamp(0, 6)
    for number, (stride, full) in enumerate(MOBILENET_V1_ROWS, start=1):
        channels = x.shape[1]
        x = folded(p, x, fused(f"{root}{number}_depthwise"), channels, 3, stride, channels)
        x = folded(p, x.clamp(0, 6), fused(f"{root}{number}_pointwise"), int(full * width))
        x = x.clamp(0, 6)
    return folded_classes(p, x, "MobilenetV1")


def folded_mobilenet_v2(p: Names, x: Tensor, width: float) -> Tensor:
    x = folded(p, x, fused("MobilenetV2/Conv"), multiple_of_8(32 * width), 3, 2).clamp(0, 6)
    number = 0
    for expansion, full, repeats, first_stride in MOBILENET_V2_ROWS:
        out = multiple_of_8(full * width)
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            layer = f"MobilenetV2/expanded_conv_{number}" if number else "MobilenetV2/expanded_conv"
            y = x
            if expansion > 1:
                y = folded(p, y, fused(f"{layer}/expand"), expansion * x.shape[1]).clamp(0, 6)
            wide = y.shape[1]
            y = folded(p, y, fused(f"{layer}/depthwise"), wide, 3, stride, wide).clamp(0, 6)
            y = folded(p, y, fused(f"{layer}/project", "add_fold"), out)
            x = x + y if stride == 1 and x.shape[1] == out else y
            number += 1
    last = multiple_of_8(1280 * max(1.0, width))
    x = folded(p, x, fused("MobilenetV2/Conv_1"), last).clamp(0, 6)
    return folded_classes(p, x, "MobilenetV2")


def folded_classes(p: Names, x: Tensor, root: str) -> Tensor:
    """1001 scores, of which the first is the background's."""
    name = f"{root}/Logits/Conv2d_1c_1x1"
    fused_name = f"{name}/BiasAdd;{name}/Conv2D;{name}/biases1"
    return folded(p, x.mean((2, 3), keepdim=True), fused_name, 1001).flatten(1)[:, 1:]


Forward = Callable[[Names, Tensor], Tensor]


def weights_and_logits(
    forward: Forward, size: int = 64, seed: int = 0
) -> tuple[Names, Tensor, Tensor]:
    """A layout's tensors at random, an input, and the logits that they give for it."""
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 3, size, size))).float()
    names = Names(seed)
    with torch.inference_mode():
        return names, x, forward(names, x)
