"""Where the labels of points go, so that they cover neither each other nor other points."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

FONT_SIZE = 10
LEADING = 12
"""Height of a label, in pixels."""
LETTER = 0.56 * FONT_SIZE
"""Mean width of a letter in the charts' font, in pixels."""
POINT = 6.0
"""Half of the width that a point takes, in pixels."""
LINE = 2.5
"""Half of the width to keep free around a line, in pixels."""

Align = Literal["left", "center", "right"]
Box = tuple[float, float, float, float]

# (dx, dy, align) from the point, the best first: below the front is free space.
PLACES: tuple[tuple[float, float, Align], ...] = (
    (-8, 8, "right"), (8, 0, "left"), (-8, 0, "right"), (8, -8, "left"), (8, 8, "left"),
    (-8, -8, "right"), (0, -13, "center"), (0, 13, "center"), (8, -16, "left"), (8, 16, "left"),
    (-8, 16, "right"), (-8, -16, "right"),
)  # fmt: skip


@dataclass(frozen=True)
class Anchor:
    """A point that wants a label: its position in pixels from the panel's upper left corner."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Label:
    """A label's place: offset from its point in pixels, and which of its ends lies there."""

    anchor: Anchor
    dx: float
    dy: float
    align: Align

    @property
    def box(self) -> Box:
        """Left, top, right and bottom, in pixels."""
        length = LETTER * len(self.anchor.text)
        left = (
            self.anchor.x
            + self.dx
            - {"left": 0.0, "center": 0.5, "right": 1.0}[self.align] * length
        )
        middle = self.anchor.y + self.dy
        return left, middle - LEADING / 2, left + length, middle + LEADING / 2


def place(
    anchors: Sequence[Anchor],
    points: Iterable[tuple[float, float]],
    lines: Iterable[tuple[float, float]],
    width: float,
    height: float,
) -> list[Label]:
    """Place the labels one after the other; those without a free place are left out.

    Args:
        anchors: what to label, the most important first.
        points: positions of all points of the panel, in pixels.
        lines: positions along its lines, close together.
        width: of the panel, in pixels.
        height: likewise.
    """
    boxes = [_around(x, y, POINT) for x, y in points]
    boxes += [_around(x, y, LINE) for x, y in lines]
    placed: list[Label] = []
    for anchor in anchors:
        for dx, dy, align in PLACES:
            label = Label(anchor, dx, dy, align)
            if _inside(label.box, width, height) and not any(
                _overlap(label.box, box) for box in boxes
            ):
                placed.append(label)
                boxes.append(label.box)
                break
    return placed


def _around(x: float, y: float, half: float) -> Box:
    return x - half, y - half, x + half, y + half


def _inside(box: Box, width: float, height: float) -> bool:
    left, top, right, bottom = box
    return left >= 0 and top >= 0 and right <= width and bottom <= height


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
