"""Deep Compression: pruned networks whose weights share values, in Huffman codes.

Han, Mao, Dally: Deep Compression (2016; arXiv 1510.00149); Iandola et al.: SqueezeNet (2016;
arXiv 1602.07360), Section 5.
"""

from flyweight.compress.coded import Coded, Packed
from flyweight.compress.container import read_container, write_container
from flyweight.compress.files import decompress, read_packed, write_packed
from flyweight.compress.pipeline import Plan, Stage, compress
from flyweight.compress.published import read_published, write_published
from flyweight.compress.retraining import Retraining

__all__ = [
    "Coded",
    "Packed",
    "Plan",
    "Retraining",
    "Stage",
    "compress",
    "decompress",
    "read_container",
    "read_packed",
    "read_published",
    "write_container",
    "write_packed",
    "write_published",
]
