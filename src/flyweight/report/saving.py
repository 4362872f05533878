"""Charts and pages as files that are written whole or not at all."""

from pathlib import Path
from typing import Any

from PIL import Image

from flyweight.files import replaced


def write_chart(chart: Any, path: Path) -> None:
    """Write an Altair chart as PNG, two pixels to a point.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    with replaced(path) as temporary:
        chart.save(str(temporary), format="png", scale_factor=2)
        with Image.open(temporary) as drawn:  # the same pixels in a third of the bytes
            drawn.save(temporary, format="png", optimize=True, dpi=drawn.info.get("dpi"))


def write_page(text: str, path: Path) -> None:
    """Write a page.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
