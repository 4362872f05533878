"""Weights of others and our own, with the form and the preprocessing that belong to them."""

from flyweight.zoo.weights.classes import class_names
from flyweight.zoo.weights.layout import Layout
from flyweight.zoo.weights.loading import Loaded, Pretrained, load_pretrained, load_weights
from flyweight.zoo.weights.own import save_weights
from flyweight.zoo.weights.reading import read_tensors
from flyweight.zoo.weights.recognising import LAYOUTS

__all__ = [
    "LAYOUTS",
    "Layout",
    "Loaded",
    "Pretrained",
    "class_names",
    "load_pretrained",
    "load_weights",
    "read_tensors",
    "save_weights",
]
