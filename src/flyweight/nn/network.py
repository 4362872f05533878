"""What every classification network here offers: features, head, and a classifier to replace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flyweight.errors import UsageError, unknown
from flyweight.nn.blocks import classifier_head


@dataclass(frozen=True)
class Stage:
    """What a stage puts out, known without running it."""

    name: str
    channels: int
    stride: int
    """Input pixels per output pixel, along one side."""


class Network(nn.Module):
    """Stages one after another, average pooling, hidden layers if any, and a linear classifier.

    Args:
        stages: (what it puts out, the module) in order; the last one's channels are pooled.
        num_classes: outputs of the classifier; 0 leaves the features before it.
        dropout: probability of dropping a feature in training, after each hidden layer and before
            the classifier.
        classifier_bias: whether the classifier has one.
        pooled: side of the pooled map in pixels; 1 pools globally.
        hidden: outputs of linear layers with ReLU between pooling and classifier (AlexNet, VGG).
        min_size: side of the smallest input, in pixels.
    """

    def __init__(
        self,
        stages: Sequence[tuple[Stage, nn.Module]],
        num_classes: int,
        dropout: float = 0.0,
        classifier_bias: bool = True,
        pooled: int = 1,
        hidden: Sequence[int] = (),
        min_size: int = 32,
    ) -> None:
        super().__init__()
        self.stage_info = tuple(info for info, _ in stages)
        self.stages = nn.ModuleDict({info.name: module for info, module in stages})
        self.pool = nn.AdaptiveAvgPool2d(pooled)
        features = self.stage_info[-1].channels * pooled * pooled
        layers: list[nn.Module] = []
        for width in hidden:
            # The classifier's own dropout follows the last one.
            layers += [nn.Dropout(dropout)] if layers else []
            layers += [nn.Linear(features, width), nn.ReLU(inplace=True)]
            features = width
        self.hidden = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.num_features = features
        self.classifier_bias = classifier_bias
        self.classifier = self._fresh_classifier(num_classes)
        self.min_size = min_size
        self.variant = ""
        self.options: Mapping[str, object] = {}

    def _fresh_classifier(self, num_classes: int) -> nn.Module:
        return classifier_head(self.num_features, num_classes, self.classifier_bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to the last stage's feature map."""
        for stage in self.stages.values():
            x = stage(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last feature map to scores (batch, classes), or to (batch, num_features)."""
        x = self.hidden(torch.flatten(self.pool(x), 1))
        return x if pre_logits else self.classifier(self.dropout(x))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to scores (batch, classes)."""
        return self.forward_head(self.forward_features(x))

    def features(self, x: Tensor, stages: Sequence[str | int] | None = None) -> list[Tensor]:
        """The feature maps of some stages, in the order asked for (of all, where None).

        Channels and strides of each are in `stage_info`. Stages after the last one asked for
        don't run.

        Args:
            x: images (batch, channels, height, width).
            stages: names, or positions (negative ones count from the end).

        Raises:
            UsageError: a stage that this network doesn't have.
        """
        names = [info.name for info in self.stage_info]
        wanted = names if stages is None else [self._stage_name(stage) for stage in stages]
        found: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            if len(found) == len(set(wanted)):
                break
            x = stage(x)
            if name in wanted:
                found[name] = x
        return [found[name] for name in wanted]

    def _stage_name(self, stage: str | int) -> str:
        names = [info.name for info in self.stage_info]
        if isinstance(stage, str):
            if stage not in names:
                raise unknown("stage", stage, names)
            return stage
        if not -len(names) <= stage < len(names):
            raise UsageError(f"no stage {stage}: there are {len(names)} ({', '.join(names)})")
        return names[stage]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a fresh one, or by an identity for `num_classes` 0."""
        parameter = next(self.parameters())
        self.classifier = self._fresh_classifier(num_classes).to(parameter.device, parameter.dtype)


class ConvClassified(Network):
    """A network whose classifier is a 1x1 convolution, averaged over the map (SqueezeNet).

    Args:
        stages: as for `Network`.
        num_classes: likewise.
        dropout: probability of dropping a value of the last feature map in training.
        rectified: whether a ReLU follows the classifier, before the average.
        min_size: as for `Network`.
    """

    def __init__(
        self,
        stages: Sequence[tuple[Stage, nn.Module]],
        num_classes: int,
        dropout: float = 0.0,
        rectified: bool = False,
        min_size: int = 32,
    ) -> None:
        super().__init__(stages, num_classes, dropout, min_size=min_size)
        self.rectified = rectified

    def _fresh_classifier(self, num_classes: int) -> nn.Module:
        return nn.Conv2d(self.num_features, num_classes, 1) if num_classes else nn.Identity()

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last feature map to scores (batch, classes), or to (batch, num_features)."""
        if not pre_logits:
            x = self.classifier(self.dropout(x))
            if self.rectified and isinstance(self.classifier, nn.Conv2d):
                x = x.relu()
        return torch.flatten(self.pool(x), 1)


def label(model: nn.Module) -> str:
    """How to call a module in a message: its name in the zoo, or else its class."""
    variant = getattr(model, "variant", "")
    return variant if isinstance(variant, str) and variant else type(model).__name__
