"""Engines run networks. Each is one entry in `ENGINES` and one module with a `prepare` function."""

from flyweight.engines.protocol import PRECISIONS, Array, Options, Prepare, Runner
from flyweight.engines.table import ENGINES, Engine, engine_named

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Array",
    "Engine",
    "Options",
    "Prepare",
    "Runner",
    "engine_named",
]
