"""Where the time goes: each operation's part of the time that a network takes on an engine."""

from flyweight.decomposing.kinds import KINDS, RESIDUAL
from flyweight.decomposing.peaks import Peaks
from flyweight.decomposing.profile import Operation
from flyweight.decomposing.result import Decomposition, Part, Sum, from_json
from flyweight.decomposing.roofline import BOUNDS, Bound
from flyweight.decomposing.running import PROFILERS, Subject, check, decompose_all

__all__ = [
    "BOUNDS",
    "KINDS",
    "PROFILERS",
    "RESIDUAL",
    "Bound",
    "Decomposition",
    "Operation",
    "Part",
    "Peaks",
    "Subject",
    "Sum",
    "check",
    "decompose_all",
    "from_json",
]
