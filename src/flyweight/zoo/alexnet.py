"""ImageNet Classification with Deep Convolutional Neural Networks (Krizhevsky et al., 2012)."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from flyweight.nn import LocalResponseNorm, Network, Stage
from flyweight.nn.init import init_normal
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "AlexNet (Krizhevsky, Sutskever, Hinton; NIPS 2012)"


SHUFFLENET_TABLE_6 = "ShuffleNet (arXiv 1707.01083), Table 6"
MOBILENET_TABLE_9 = "MobileNets (arXiv 1704.04861), Table 9"
SQUEEZENET_TABLE_2 = "SqueezeNet (arXiv 1602.07360), Table 2"
SQUEEZENEXT = "SqueezeNext (arXiv 1803.10615), table of hardware performance"

_720 = "Counted 724.4 M: SqueezeNext prints 725 M for the same network, others round to 720 M."
_60 = _720 + " Of 60.97 M parameters these papers print 60 M, SqueezeNext 60.9 M."
_SIZE = 227
"""The crop of Caffe's network, which gives a first map of 55 pixels and a last one of 6."""

VARIANTS = (
    Variant(
        "alexnet",
        {},
        (
            Published(SHUFFLENET_TABLE_6, _SIZE, mflops=720, top1_error=42.8, note=_720),
            Published(MOBILENET_TABLE_9, _SIZE, mflops=720, params_m=60, top1_error=42.8, note=_60),
            Published(SQUEEZENET_TABLE_2, _SIZE, top1_error=42.8, top5_error=19.7),
            Published(
                SQUEEZENEXT, _SIZE, mflops=725, params_m=60.9, top1_error=42.9, top5_error=19.7
            ),
        ),
        "Figure 2: the two halves of conv2, conv4 and conv5 read only their own half of the"
        " channels. Start of weights and biases as in Section 5.",
        "Of one image size the paper says 224 and its maps need 227, as in Caffe's network, which"
        " the later papers compare with. As there, local response normalisation adds to 1 and"
        " divides alpha by the five channels; the paper adds to 2 and doesn't divide.",
    ),
    Variant(
        "alexnet_one_tower",
        {
            "widths": (64, 192, 384, 256, 256),
            "groups": 1,
            "local_norm": False,
            "padding": 2,
            "round_up": False,
        },
        (),
        "One tower instead of two halves, as in Krizhevsky's One weird trick for parallelizing"
        " convolutional neural networks (arXiv 1404.5997).",
        "Channels, no local response normalisation, and 2 pixels of padding in the first"
        " convolution for an input of 224 are as in torchvision.",
    ),
)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups)
    return nn.Sequential(OrderedDict(conv=conv, act=nn.ReLU(inplace=True)))


@register("AlexNet", PAPER, VARIANTS)
def alexnet(
    num_classes: int = 1000,
    in_channels: int = 3,
    widths: Sequence[int] = (96, 256, 384, 384, 256),
    groups: int = 2,
    local_norm: bool = True,
    padding: int = 0,
    round_up: bool = True,
    hidden: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
) -> Network:
    """AlexNet (Figure 2).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        widths: output channels of the five convolutions.
        groups: groups of conv2, conv4 and conv5.
        local_norm: whether local response normalisation follows conv1 and conv2.
        padding: of conv1, in pixels.
        round_up: whether pooling windows may reach beyond the map, as Caffe's do. It makes no
            difference to inputs of 227 (with padding, 224) pixels.
        hidden: outputs of the two hidden linear layers.
        dropout: after each hidden layer.
    """
    layout = (
        ("stem", 11, 4, padding, 1, 8),
        ("stage2", 5, 1, 2, groups, 16),
        ("stage3", 3, 1, 1, 1, 16),
        ("stage4", 3, 1, 1, groups, 16),
        ("stage5", 3, 1, 1, groups, 32),
    )
    parts: list[tuple[Stage, nn.Module]] = []
    channels = in_channels
    for width, (name, kernel, stride, pad, split, reached) in zip(widths, layout, strict=True):
        layers: list[nn.Module] = [_convolution(channels, width, kernel, stride, pad, split)]
        if local_norm and name in ("stem", "stage2"):
            layers.append(LocalResponseNorm())
        if name in ("stem", "stage2", "stage5"):
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=round_up))
        parts.append((Stage(name, width, reached), nn.Sequential(*layers)))
        channels = width
    network = Network(parts, num_classes, dropout, pooled=6, hidden=hidden, min_size=64)
    _start(network)
    return network


def _start(network: Network) -> None:
    """Weights normal with deviation 0.01; biases 1 in conv2, conv4, conv5 and hidden layers."""
    init_normal(network, 0.01)
    started = [network.stages[name] for name in ("stage2", "stage4", "stage5")]
    for layers in (*started, network.hidden):
        for module in layers.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.ones_(module.bias)
