"""Colours of families and shapes of engines, which colour-blind people can tell apart."""

from collections.abc import Sequence

from flyweight.report.points import NO_FAMILY

# Okabe and Ito's colours (without the yellow, which white paper swallows), then Tol's dark ones.
# A family keeps its colour whatever else is in the report; two versions of one share a hue.
FIXED = {
    "ShuffleNet V2": "#0072B2",
    "ShuffleNet V1": "#56B4E9",
    "MobileNet V2": "#D55E00",
    "MobileNet V1": "#E69F00",
    NO_FAMILY: "#6B7280",
}
OTHERS = ("#009E73", "#CC79A7", "#332288", "#882255", "#999933", "#44AA99", "#661100")

# Classes of operations, from arithmetic (blue) through what moves and reshapes (red) to nothing.
KINDS = {
    "convolution": "#0072B2",
    "depthwise": "#56B4E9",
    "elementwise": "#E69F00",
    "data movement": "#D55E00",
    "data I/O": "#882255",
    "pooling": "#009E73",
    "other": "#999933",
    "residual": "#D5D9DF",
}

# Shapes in Vega's words, and as paths in a box from -1 to 1 for the page's own legend.
SHAPES = {
    "circle": "M1,0A1,1,0,1,1,-1,0A1,1,0,1,1,1,0Z",
    "square": "M-.9,-.9H.9V.9H-.9Z",
    "triangle-up": "M-1,.87L0,-.87L1,.87Z",
    "diamond": "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
    "cross": "M-1,-.4H-.4V-1H.4V-.4H1V.4H.4V1H-.4V.4H-1Z",
    "triangle-down": "M-1,-.87L0,.87L1,-.87Z",
    "triangle-right": "M-.87,-1L.87,0L-.87,1Z",
    "triangle-left": "M.87,-1L-.87,0L.87,1Z",
}


def colours(families: Sequence[str]) -> dict[str, str]:
    """A colour for each family, in alphabetical order."""
    distinct = sorted(set(families), key=lambda family: (family == NO_FAMILY, family))
    others = [family for family in distinct if family not in FIXED]
    rest = {family: OTHERS[i % len(OTHERS)] for i, family in enumerate(others)}
    return {family: FIXED.get(family) or rest[family] for family in distinct}


def shapes(series: Sequence[str]) -> dict[str, str]:
    """A shape for each series, in alphabetical order."""
    known = list(SHAPES)
    return {name: known[i % len(known)] for i, name in enumerate(sorted(set(series)))}
