"""ONNX operators that look at neighbourhoods: convolutions, pools, padding, other sizes."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from flyweight.errors import CaptureError

Attributes: TypeAlias = Mapping[str, Any]

_ALIGNED = b"align_corners"
_ASYMMETRIC = b"asymmetric"
_TOWARDS = b"round_prefer_floor"


def _sides(pads: Sequence[int]) -> list[int]:
    """ONNX's padding, all starts and then all ends, as PyTorch has it: the last dimension first."""
    half = len(pads) // 2
    return [side for d in reversed(range(half)) for side in (pads[d], pads[half + d])]


def _pads(attributes: Attributes, x: Tensor, kernel: Sequence[int]) -> list[int]:
    """What is padded: all starts, then all ends."""
    rank = x.dim() - 2
    kind = attributes.get("auto_pad", b"NOTSET")
    if kind in (b"NOTSET", b""):
        return list(attributes.get("pads", [0] * 2 * rank))
    if kind == b"VALID":
        return [0] * 2 * rank
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    starts, ends = [], []
    for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        over = (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size
        half, rest = divmod(max(over, 0), 2)
        starts.append(half + rest if kind == b"SAME_LOWER" else half)
        ends.append(half if kind == b"SAME_LOWER" else half + rest)
    return starts + ends


def _padding(
    attributes: Attributes, x: Tensor, kernel: Sequence[int], value: float = 0.0
) -> tuple[Tensor, list[int]]:
    """The input, padded where sides differ, and what is left for the operation to pad."""
    pads = _pads(attributes, x, kernel)
    half = len(pads) // 2
    even = pads[:half] == pads[half:]
    if even and (value == 0.0 or all(2 * p <= k for p, k in zip(pads, kernel, strict=False))):
        return x, pads[:half]
    return F.pad(x, _sides(pads), value=value), [0] * half


def conv(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """A convolution of one, two or three dimensions."""
    weight: Tensor = inputs[1]
    x, padding = _padding(attributes, inputs[0], weight.shape[2:])
    bias = inputs[2] if len(inputs) > 2 else None
    ones = [1] * (weight.dim() - 2)
    convolve: Any = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    found: Tensor = convolve(
        x, weight, bias, attributes.get("strides", ones), padding,
        attributes.get("dilations", ones), attributes.get("group", 1),
    )  # fmt: skip
    return found


def conv_transpose(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """A transposed convolution."""
    weight: Tensor = inputs[1]
    rank = weight.dim() - 2
    pads = attributes.get("pads", [0] * 2 * rank)
    automatic = attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"", b"VALID")
    if automatic or pads[:rank] != pads[rank:] or "output_shape" in attributes:
        raise CaptureError("ConvTranspose whose padding follows from its output's size")
    convolve: Any = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[rank]
    found: Tensor = convolve(
        inputs[0], weight, inputs[2] if len(inputs) > 2 else None,
        attributes.get("strides", [1] * rank), list(pads[:rank]),
        attributes.get("output_padding", [0] * rank), attributes.get("group", 1),
        attributes.get("dilations", [1] * rank),
    )  # fmt: skip
    return found


def max_pool(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """The largest of each window."""
    kernel = attributes["kernel_shape"]
    x, padding = _padding(attributes, inputs[0], kernel, -torch.inf)
    pool: Any = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(kernel)]
    found: Tensor = pool(
        x, kernel, attributes.get("strides", [1] * len(kernel)), padding,
        attributes.get("dilations", 1), bool(attributes.get("ceil_mode")),
    )  # fmt: skip
    return found


def average_pool(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """The mean of each window, over the input's own elements or padded ones too."""
    kernel = attributes["kernel_shape"]
    counts = bool(attributes.get("count_include_pad"))
    x, padding = _padding(attributes, inputs[0], kernel)
    pool: Any = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(kernel)]
    strides = attributes.get("strides", [1] * len(kernel))
    above = bool(attributes.get("ceil_mode"))
    if any(one != 1 for one in attributes.get("dilations", [])):
        raise CaptureError("AveragePool with holes")
    found: Tensor = pool(x, kernel, strides, padding, above, counts)
    if x is inputs[0] or counts:
        return found
    own = F.pad(torch.ones_like(inputs[0][:1, :1]), _sides(_pads(attributes, inputs[0], kernel)))
    shares: Tensor = pool(own, kernel, strides, padding, above, counts)
    return found / shares


def pad(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """Values put around the last dimensions."""
    x: Tensor = inputs[0]
    given = inputs[1] if len(inputs) > 1 else attributes.get("pads", attributes.get("paddings"))
    pads = [int(one) for one in given]
    axes = inputs[3] if len(inputs) > 3 and inputs[3] is not None else None
    if axes is not None:
        whole, half = [0] * 2 * x.dim(), len(pads) // 2
        for at, axis in enumerate(axes):
            whole[axis % x.dim()] = pads[at]
            whole[x.dim() + axis % x.dim()] = pads[half + at]
        pads = whole
    kind = attributes.get("mode", b"constant")
    if kind not in _PADDED:
        raise CaptureError(f"Pad by {kind.decode()}")
    sides = _sides(pads)
    while len(sides) > 2 and sides[-2:] == [0, 0]:
        sides = sides[:-2]
    if kind != b"constant":
        return F.pad(x, sides, _PADDED[kind])
    value = inputs[2] if len(inputs) > 2 and inputs[2] is not None else attributes.get("value", 0.0)
    return F.pad(x, sides, value=_one(value))


_PADDED = {b"constant": "constant", b"reflect": "reflect", b"edge": "replicate"}


def _one(value: Any) -> float:
    """A number, or the only one of a list."""
    while isinstance(value, list):
        (value,) = value
    return float(value)


def resize(attributes: Attributes, inputs: Sequence[Any]) -> Tensor:
    """Resize (and Upsample, its older form) where PyTorch has the same rule for positions."""
    x: Tensor = inputs[0]
    scales, sizes = _wanted(attributes, inputs)
    if sizes is not None:
        if list(sizes[:2]) != [x.shape[0], x.shape[1]] and len(sizes) == x.dim():
            raise CaptureError("Resize of more than height and width")
        sizes = [int(size) for size in sizes[2 - x.dim() :]]
        scales = [size / int(old) for size, old in zip(sizes, x.shape[2:], strict=True)]
    else:
        assert scales is not None
        if any(one != 1 for one in scales[:-2]):
            raise CaptureError("Resize of more than height and width")
        scales = [float(one) for one in scales[-2:]]
    mode, corners = _rule(attributes, scales)
    if attributes.get("antialias") or attributes.get("exclude_outside"):
        raise CaptureError("Resize with a filter")
    if sizes is not None:
        return F.interpolate(x, size=sizes, mode=mode, align_corners=corners)
    return F.interpolate(x, scale_factor=scales, mode=mode, align_corners=corners)


def _wanted(
    attributes: Attributes, inputs: Sequence[Any]
) -> tuple[list[Any] | None, list[Any] | None]:
    """Factors for all dimensions, or else sizes."""
    if "scales" in attributes:  # Upsample before opset 9
        return list(attributes["scales"]), None
    if len(inputs) == 2:  # Upsample, and Resize in opset 10
        return list(inputs[1]), None
    if len(inputs) > 3 and inputs[3]:
        return None, list(inputs[3])
    if len(inputs) > 2 and inputs[2]:
        return list(inputs[2]), None
    raise CaptureError("Resize without sizes")


def _rule(attributes: Attributes, scales: Sequence[float]) -> tuple[str, bool | None]:
    """PyTorch's mode, and whether corners are aligned, for a rule of ONNX's.

    Raises:
        CaptureError: PyTorch has no such rule.
    """
    mode = attributes.get("mode", b"nearest")
    where = attributes.get("coordinate_transformation_mode", b"half_pixel")
    if mode == b"nearest":
        rounding = attributes.get("nearest_mode", _TOWARDS)
        repeats = all(one >= 1 and one == int(one) for one in scales)
        plain = where == _ASYMMETRIC and rounding == b"floor"
        same = where == b"half_pixel" and rounding in (_TOWARDS, b"round_prefer_ceil")
        if plain or (repeats and (same or where == b"tf_half_pixel_for_nn")):
            return "nearest", None
    elif mode in (b"linear", b"bilinear", b"cubic"):
        name = "bicubic" if mode == b"cubic" else "bilinear"
        usual = attributes.get("cubic_coeff_a", -0.75) == -0.75
        if where in (b"half_pixel", b"pytorch_half_pixel", _ALIGNED) and usual:
            return name, where == _ALIGNED
    raise CaptureError(f"Resize of mode {mode.decode()} with positions {where.decode()}")


OLD_RULE = {"coordinate_transformation_mode": _ASYMMETRIC, "nearest_mode": b"floor"}
"""Of Upsample, and of Resize in opset 10, which say none."""
