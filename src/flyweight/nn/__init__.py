"""The few blocks that several families share."""

from flyweight.nn.blocks import (
    ConvAct,
    ConvNormAct,
    NormActConv,
    SamePadConv2d,
    SqueezeExcite,
    classifier_head,
    pooled_stem,
)
from flyweight.nn.local_norm import LocalResponseNorm
from flyweight.nn.network import ConvClassified, Network, Stage, label
from flyweight.nn.shuffle import channel_shuffle

__all__ = [
    "ConvAct",
    "ConvClassified",
    "ConvNormAct",
    "LocalResponseNorm",
    "Network",
    "NormActConv",
    "SamePadConv2d",
    "SqueezeExcite",
    "Stage",
    "channel_shuffle",
    "classifier_head",
    "label",
    "pooled_stem",
]
