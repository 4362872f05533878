"""Numbers as people read them."""

import math
from collections.abc import Sequence


def digits(value: float, significant: int = 3) -> str:
    """A positive number with some significant digits or all of its whole ones, no exponent."""
    if value <= 0:
        return "0"
    rounded = round(value, max(0, significant - 1 - math.floor(math.log10(value))))
    # 9.999 rounds to 10.00, which has a digit more than asked for.
    decimals = significant - 1 - math.floor(math.log10(rounded))
    return f"{rounded:.{max(0, decimals)}f}"


def millions(value: float) -> str:
    """A count in millions: whole from 10 million up, three significant digits below."""
    return f"{value / 1e6:.0f}" if value >= 1e7 else digits(value / 1e6)


def listed(items: Sequence[str]) -> str:
    """A sentence's list: "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 round", "2 rounds"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def span(values: Sequence[int], noun: str) -> str:
    """The range of some counts: "8 rounds" where all are the same, else "5 to 8 rounds"."""
    low, high = min(values), max(values)
    return counted(high, noun) if low == high else f"{low} to {counted(high, noun)}"


def interval(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A ratio and its interval, with decimals enough that no end is rounded to 1 by mistake."""
    decimals = max(0, 2 - math.floor(math.log10(value)))
    for more in range(3):
        shown = [f"{figure:.{decimals + more}f}" for figure in (value, low, high)]
        if low <= 1 <= high or 1.0 not in (float(shown[1]), float(shown[2])):
            break
    return shown[0], shown[1], shown[2]
