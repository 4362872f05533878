"""Flyweight: small convolutional networks, judged by their measured time on your machine."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "advise",
    "compile",
    "cost",
    "create_model",
    "decompose",
    "export",
    "list_models",
    "load_pretrained",
    "load_weights",
    "lower",
    "measure",
    "model_info",
]

if TYPE_CHECKING:
    from flyweight.advice import advise
    from flyweight.api import compile, cost, decompose, export
    from flyweight.lowering import lower
    from flyweight.measuring import measure
    from flyweight.zoo import create_model, list_models, model_info
    from flyweight.zoo.weights import load_pretrained, load_weights

_HOMES = {
    "advise": "flyweight.advice",
    "compile": "flyweight.api",
    "cost": "flyweight.api",
    "create_model": "flyweight.zoo",
    "decompose": "flyweight.api",
    "export": "flyweight.api",
    "list_models": "flyweight.zoo",
    "load_pretrained": "flyweight.zoo.weights",
    "load_weights": "flyweight.zoo.weights",
    "lower": "flyweight.lowering",
    "measure": "flyweight.measuring",
    "model_info": "flyweight.zoo",
}


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import; the command's help and version need not wait for it.
    if name not in _HOMES:
        raise AttributeError(f"module 'flyweight' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
