"""Networks by name, each a row of its paper's table, with the figures published for it."""

from flyweight.zoo import mobilenet_v1, mobilenet_v2, shufflenet_v1, shufflenet_v2
from flyweight.zoo.published import Published, Variant
from flyweight.zoo.registry import (
    ModelInfo,
    create_model,
    list_models,
    model_info,
    table8_entries,
)

__all__ = [
    "ModelInfo",
    "Published",
    "Variant",
    "create_model",
    "list_models",
    "mobilenet_v1",
    "mobilenet_v2",
    "model_info",
    "shufflenet_v1",
    "shufflenet_v2",
    "table8_entries",
]
