"""What is done with a whole batch on the device: flips, colours, and what the network expects."""

import torch
from torch import Tensor

from flyweight.training.batches import Batch
from flyweight.zoo.preprocessing import Preprocessing

LUMINANCE = (0.299, 0.587, 0.114)
"""What red, green and blue add to an image's grey (ITU-R BT.601, as Pillow has it)."""


def inputs(batch: Batch, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """A batch of bytes as the network reads it: float32 (batch, 3, side, side).

    In memory the channels of a pixel lie side by side, as in the bytes.

    Args:
        batch: uint8 images, with what was drawn for each.
        preprocessing: colour order, scale, mean and deviation.
        device: where the network is.
    """
    pixels = batch.pixels.to(device, non_blocking=True)
    if bool(batch.flipped.any()):
        # Of the ways to flip some images the fastest on CPUs: whole images are copied, and the
        # flipped ones taken from behind the others.
        numbers = batch.flipped.nonzero()[:, 0]
        source = torch.arange(len(pixels))
        source[numbers] = len(pixels) + torch.arange(len(numbers))
        mirrored = pixels.index_select(0, numbers.to(device)).flip(2)
        pixels = torch.cat([pixels, mirrored]).index_select(0, source.to(device))
    if bool((batch.colour != 1).any()):
        values = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
        pixels = coloured(values, batch.colour.to(device)).mul_(255.0).permute(0, 2, 3, 1)
    return normalised(pixels, preprocessing)


def coloured(values: Tensor, factors: Tensor) -> Tensor:
    """Images with other brightness, contrast and saturation, in this order.

    Args:
        values: RGB from 0 to 1: (batch, 3, height, width).
        factors: (batch, 3); 1 changes nothing. Brightness is a factor of the values, contrast of
            the distance from the image's mean grey, saturation of that from the pixel's grey.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    weights = values.new_tensor(LUMINANCE)[:, None, None]
    values = (values * brightness).clamp(0, 1)
    mean = (values * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    values = torch.lerp(mean, values, contrast).clamp(0, 1)
    grey = (values * weights).sum(1, keepdim=True)
    return torch.lerp(grey, values, saturation).clamp(0, 1)


def normalised(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """RGB from 0 to 255 as the weights expect it: colour order, scale, mean and deviation.

    Args:
        pixels: (batch, height, width, 3), uint8 or float32.
        preprocessing: what the weights expect.
    """
    if preprocessing.colour == "BGR":
        pixels = pixels.flip(3)
    batch, height, width, channels = pixels.shape
    # Whole rows at once: three values a pixel are too few for a loop of their own.
    rows = pixels.reshape(batch * height, width * channels).to(torch.float32)
    scale, shift = (
        torch.tensor(values, device=pixels.device).repeat(width)
        for values in preprocessing.affine()
    )
    values = torch.addcmul(shift, rows, scale, out=rows)
    return values.view(batch, height, width, channels).permute(0, 3, 1, 2)
