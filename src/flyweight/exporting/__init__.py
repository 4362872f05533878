"""Files for other engines: written, described, and checked by running them."""

from flyweight.exporting.checking import TOLERANCE, Check
from flyweight.exporting.formats import FORMATS, Choices, Format, Target, target_of
from flyweight.exporting.images import PIXELS, image_format
from flyweight.exporting.result import Exported
from flyweight.exporting.source import Source, from_module, from_zoo
from flyweight.exporting.writing import MOST_IMAGES, write

__all__ = [
    "FORMATS",
    "MOST_IMAGES",
    "PIXELS",
    "TOLERANCE",
    "Check",
    "Choices",
    "Exported",
    "Format",
    "Source",
    "Target",
    "from_module",
    "from_zoo",
    "image_format",
    "target_of",
    "write",
]
