"""The caller's images as the network reads them: in its order of channels, scaled and shifted."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flyweight.graph.maps import Ids
from flyweight.native.draft import Draft
from flyweight.native.nodes import Convolution
from flyweight.native.plan import ImageFormat, Intake

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Values:
    """For each channel that a network reads: what pixels are multiplied by, what is added then."""

    scale: Doubles
    shift: Doubles


def take_images(draft: Draft, image: ImageFormat) -> Intake:
    """Let the network read images as the caller has them.

    Where convolutions alone read the images, their weights do the scaling and shifting, at no
    cost; the value that stands for 0 then lies around the images. Otherwise it is done while the
    images are copied. The order of channels is only another number to read from.

    Args:
        draft: it is changed; nothing in it is arranged yet.
        image: what the images are.
    """
    channels = draft.input.channels
    values = _Values(_numbers(image.scale, channels, 1.0), _numbers(image.shift, channels, 0.0))
    plain = (values.scale == 1).all() and (values.shift == 0).all()
    folded = not plain and _foldable(draft, values)
    around, middle = np.zeros(channels), 0
    if folded:
        middle = _middle(image, values)
        values = _Values(values.scale, values.shift + values.scale * middle)
        for node in draft.nodes:
            if isinstance(node, Convolution) and _reads(draft, node.x.ids):
                _fold(draft, node, values)
        around = -values.shift / values.scale
    order = slice(None, None, -1 if image.reverse else 1)
    if image.reverse:
        new = draft.values.numbers()
        new[draft.input.ids] = draft.input.ids[::-1]
        draft.renumber(new)
    if plain or folded:
        return Intake(middle, (), (), tuple(around[order]))
    return Intake(0, tuple(values.scale[order]), tuple(values.shift[order]), tuple(around))


def _middle(image: ImageFormat, values: _Values) -> int:
    """A whole number near the bytes that stand for 0: less is rounded away with small numbers."""
    if image.dtype != "uint8":
        return 0
    return round(float(np.clip(-values.shift / values.scale, 0, 255).mean()))


def _numbers(given: tuple[float, ...], channels: int, usual: float) -> Doubles:
    assert len(given) in (0, channels)
    return np.array(given or [usual] * channels, dtype=np.float64)


def _reads(draft: Draft, ids: Ids) -> bool:
    return bool(np.isin(ids, draft.input.ids).any())


def _foldable(draft: Draft, values: _Values) -> bool:
    """Whether convolutions alone read the images, and some pixel value stands for 0.

    Depthwise ones don't count: what is gathered for them has a border of zeros.
    """
    if (values.scale == 0).any() or any(_reads(draft, one.ids.ravel()) for one in draft.outputs):
        return False
    for node in draft.nodes:
        dense = isinstance(node, Convolution) and not node.depthwise
        others = node.operands()[1:] if dense else node.operands()
        if any(_reads(draft, operand.ids) for operand in others):
            return False
    return True


def _fold(draft: Draft, node: Convolution, values: _Values) -> None:
    """The sum of w (s v + b) is that of (w s) v, plus that of w b; in double precision."""
    ids = node.x.ids
    mine = np.isin(ids, draft.input.ids)
    scale, shift = np.ones(len(ids)), np.zeros(len(ids))
    scale[mine] = values.scale[ids[mine] - draft.input.first]
    shift[mine] = values.shift[ids[mine] - draft.input.first]
    outputs, inputs, height, width = node.weight.shape
    by_input = (node.groups, 1, inputs, 1, 1)
    weight = node.weight.double().reshape(node.groups, -1, inputs, height, width)
    added = (weight * torch.from_numpy(shift).reshape(by_input)).sum((2, 3, 4)).reshape(outputs)
    scaled = weight * torch.from_numpy(scale).reshape(by_input)
    node.weight = scaled.reshape(node.weight.shape).to(node.weight.dtype)
    bias = added if node.bias is None else node.bias.double() + added
    node.bias = bias.to(node.weight.dtype)
