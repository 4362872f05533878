"""The few blocks that several families share."""

from flyweight.nn.blocks import ConvNormAct, SamePadConv2d, classifier_head, pooled_stem
from flyweight.nn.network import Network, Stage, label
from flyweight.nn.shuffle import channel_shuffle

__all__ = [
    "ConvNormAct",
    "Network",
    "SamePadConv2d",
    "Stage",
    "channel_shuffle",
    "classifier_head",
    "label",
    "pooled_stem",
]
