"""Values as C writes them."""

import math

import numpy as np


def braces(*fields: object) -> str:
    """A row of C."""
    return "{" + ", ".join(map(str, fields)) + "}"


def number(value: float) -> str:
    """A float of C that reads back as the same."""
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    if math.isinf(rounded):
        return "-INFINITY" if rounded < 0 else "INFINITY"
    return "NAN" if math.isnan(rounded) else f"{rounded!r}f"
