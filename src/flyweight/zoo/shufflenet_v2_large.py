"""ShuffleNetV2.Large: the large network in the code of ShuffleNet V2's authors.

It is not the one of the paper's Appendix Table 2 (`shufflenet_v2_164_se` here), though both come
with the same error and FLOPs. A unit's 3x3 convolution is grouped instead of depthwise, a unit
that widens splits its channels like any other, its projection is one dense 3x3 convolution, and
units with stride 2 end with one more 1x1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.nn import ConvNormAct, Network, SqueezeExcite, Stage, classifier_head
from flyweight.nn.init import init_shufflenet
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import register

PAPER = "ShuffleNet V2 (Ma, Zhang, Zheng, Sun; ECCV 2018; arXiv 1807.11164), its authors' code"

LOSS_WEIGHTS = (1.0, 0.7, 0.5, 0.3)
"""What the authors' training weighs the losses of `forward_auxiliary`'s scores with."""


class Unit(nn.Module):
    """The unit of the authors' code: even channels go through, odd ones are convolved and added to.

    Args:
        in_channels: channels read, both halves together.
        out_channels: channels put out, likewise.
        stride: 2 ends with one more 1x1 convolution.
        groups: groups of the 3x3 convolution.
        projects: whether the even channels are convolved too; the odd ones then aren't added to.
        norm_eps: epsilon of batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        groups: int,
        projects: bool,
        norm_eps: float,
    ) -> None:
        super().__init__()
        read, half = in_channels // 2, out_channels // 2
        self.projects = projects
        self.projection = (
            ConvNormAct(read, half, 3, stride, activation=None, norm_eps=norm_eps)
            if projects
            else nn.Identity()
        )
        self.main = nn.Sequential(
            ConvNormAct(read, half, norm_eps=norm_eps),
            ConvNormAct(half, half, 3, stride, groups, norm_eps=norm_eps),
            ConvNormAct(half, half, activation=None, norm_eps=norm_eps),
        )
        self.excite = SqueezeExcite(half, half)
        self.down = (
            ConvNormAct(out_channels, out_channels, norm_eps=norm_eps)
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / s, width / s), rounded up."""
        even, odd = x.unflatten(1, (x.shape[1] // 2, 2)).unbind(2)
        y = self.excite(self.main(odd))
        if not self.projects:
            y = odd + y
        out: Tensor = self.down(F.relu(torch.cat((self.projection(even), y), 1)))
        return out


class AuxiliaryHead(nn.Module):
    """Pooling, 1x1 and 3x3 convolution, average pooling and a classifier, on a stage's output."""

    def __init__(self, channels: int, num_classes: int, norm_eps: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.MaxPool2d(3, 2, padding=1),
            ConvNormAct(channels, channels, norm_eps=norm_eps),
            ConvNormAct(channels, channels, 3, norm_eps=norm_eps),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = classifier_head(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, height, width) to scores (batch, classes)."""
        scores: Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return scores


class LargeNetwork(Network):
    """Stages, and for training a classifier after each but the last.

    Args:
        stages: as for `Network`: stem, four stages, last convolution.
        num_classes: likewise.
        dropout: likewise.
        auxiliary: whether to have the additional classifiers.
        norm_eps: epsilon of their batch norm.
    """

    def __init__(
        self,
        stages: Sequence[tuple[Stage, nn.Module]],
        num_classes: int,
        dropout: float,
        auxiliary: bool,
        norm_eps: float,
    ) -> None:
        super().__init__(stages, num_classes, dropout)
        self.auxiliary = nn.ModuleDict()
        for info in self.stage_info[1:-2] if auxiliary else ():
            self.auxiliary[info.name] = AuxiliaryHead(info.channels, num_classes, norm_eps)

    def forward_auxiliary(self, x: Tensor) -> list[Tensor]:
        """Map images to scores (batch, classes): the network's, then those of ever earlier heads.

        Without additional classifiers, the network's alone. `LOSS_WEIGHTS` has one for each.
        """
        maps = dict(zip(self.stages, self.features(x), strict=True))
        early = [head(maps[name]) for name, head in self.auxiliary.items()]
        return [self.forward_head(maps[self.stage_info[-1].name]), *reversed(early)]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace all classifiers by fresh ones, or by identities for `num_classes` 0."""
        super().reset_classifier(num_classes)
        parameter = next(self.parameters())
        for info in self.stage_info:
            if info.name in self.auxiliary:
                fresh = classifier_head(info.channels, num_classes)
                self.auxiliary[info.name].classifier = fresh.to(parameter.device, parameter.dtype)


VARIANTS = (
    Variant(
        "shufflenet_v2_large",
        {},
        (
            Published(
                "README of the authors' ShuffleNetV2.Large code",
                mflops=12700,
                params_m=140.7,
                top1_error=18.56,
                top5_error=4.48,
                note="12.78 G are counted, which the README cuts off; its 140.7 M parameters"
                " include 15.6 M of three classifiers that only training uses (auxiliary=True).",
            ),
        ),
        "All of it is as in the authors' code, ShuffleNetV2.Large in"
        " github.com/megvii-model/ShuffleNet-Series.",
        "The code differs from the paper's Appendix Table 2 and prints the same 18.56 % and 12.7 G"
        " for it: the paper's figures may be this network's. The additional classifiers never run"
        " in forward, but in forward_auxiliary.",
    ),
)


@register("ShuffleNet V2 Large", PAPER, VARIANTS)
def shufflenet_v2_large(
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: Sequence[int] = (64, 64, 128),
    widths: Sequence[int] = (256, 512, 1024, 2048),
    repeats: Sequence[int] = (10, 10, 23, 10),
    last: int = 1280,
    groups: int = 8,
    auxiliary: bool = False,
    norm_eps: float = 1e-9,
    dropout: float = 0.2,
) -> Network:
    """ShuffleNetV2.Large.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        stem: output channels of the 3x3 convolutions before the pooling; the first has stride 2.
        widths: channels that the units of each stage put out.
        repeats: units of each stage.
        last: output channels of the last convolution, 3x3.
        groups: groups of the units' 3x3 convolution.
        auxiliary: additional classifiers for training, see `LargeNetwork.forward_auxiliary`.
        norm_eps: epsilon of batch norm.
        dropout: before the classifier.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for index, width in enumerate(stem):
        layers.append(ConvNormAct(channels, width, 3, 2 if index == 0 else 1, norm_eps=norm_eps))
        channels = width
    layers.append(nn.MaxPool2d(3, 2, padding=1))
    parts: list[tuple[Stage, nn.Module]] = [(Stage("stem", channels, 4), nn.Sequential(*layers))]
    reduction = 4
    for number, (width, count) in enumerate(zip(widths, repeats, strict=True), start=2):
        stride = 1 if number == 2 else 2
        reduction *= stride
        units = [Unit(channels, width, stride, groups, projects=True, norm_eps=norm_eps)]
        units += [
            Unit(width, width, 1, groups, projects=False, norm_eps=norm_eps)
            for _ in range(count - 1)
        ]
        parts.append((Stage(f"stage{number}", width, reduction), nn.Sequential(*units)))
        channels = width
    parts.append(
        (Stage("conv6", last, reduction), ConvNormAct(channels, last, 3, norm_eps=norm_eps))
    )
    network = LargeNetwork(parts, num_classes, dropout, auxiliary, norm_eps)
    _initialise(network)
    return network


def _initialise(network: Network) -> None:
    """As ShuffleNet V2, with deviation 0.01 in the whole stem and in squeeze-and-excitation."""
    init_shufflenet(network)
    for layer in network.stages["stem"].modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.01)
    for module in network.modules():
        if isinstance(module, SqueezeExcite):
            nn.init.normal_(module.reduce.weight, 0.0, 0.01)
            nn.init.normal_(module.expand.weight, 0.0, 0.01)
