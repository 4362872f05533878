"""Static int8 quantisation by ONNX Runtime's and OpenVINO's own tools, judged and timed."""

from flyweight.quantizing.photographs import Photographs
from flyweight.quantizing.preparing import prepared
from flyweight.quantizing.result import COLUMNS, Form, Pair, Quantized, rows
from flyweight.quantizing.running import Timing, Watch, quantize
from flyweight.quantizing.sensitivity import Sensitive, sensitive_layers
from flyweight.quantizing.settings import SPARE_BITS, Settings, SpareBit
from flyweight.quantizing.tools import TOOLS

__all__ = [
    "COLUMNS",
    "SPARE_BITS",
    "TOOLS",
    "Form",
    "Pair",
    "Photographs",
    "Quantized",
    "Sensitive",
    "Settings",
    "SpareBit",
    "Timing",
    "Watch",
    "prepared",
    "quantize",
    "rows",
    "sensitive_layers",
]
