"""Files for other engines: written, described, and checked by running them."""

from flyweight.exporting.checking import TOLERANCE, Check
from flyweight.exporting.formats import FORMATS, Format, Target, target_of
from flyweight.exporting.result import Exported
from flyweight.exporting.source import Source, from_module, from_zoo
from flyweight.exporting.writing import MOST_IMAGES, write

__all__ = [
    "FORMATS",
    "MOST_IMAGES",
    "TOLERANCE",
    "Check",
    "Exported",
    "Format",
    "Source",
    "Target",
    "from_module",
    "from_zoo",
    "target_of",
    "write",
]
