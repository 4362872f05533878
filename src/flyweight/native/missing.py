"""What the native engine hasn't, said so that it can be acted on."""

from typing import Any

import torch

from flyweight.graph.maps import ChannelMap
from flyweight.graph.meaning import BINARY, CONVS, NORMS, REDUCTIONS, SPATIAL_RANK
from flyweight.graph.moves import MOVES
from flyweight.graph.program import Opaque, Operand, Value

aten = torch.ops.aten

_REMEDY = (
    "run the network with engine 'onnxruntime', or write that part with operations that it has"
    " (docs/native.md lists them)"
)
_USUAL = {*BINARY, *CONVS, *NORMS, *REDUCTIONS, *SPATIAL_RANK, aten.linear.default,
          aten._softmax.default, aten.softmax.int, aten._log_softmax.default,
          aten.log_softmax.int}  # fmt: skip
"""What the engine has for feature maps as they usually are."""


class MissingError(Exception):
    """Something that the engine has no code for; the message says what."""

    def told(self, where: str) -> str:
        """The line for people; `where` is the module that asked for it."""
        module = f"{where}: " if where else ""
        return f"{module}the native engine has no {self}; {_REMEDY}"


def called(target: Any) -> str:
    """What a PyTorch operation is called."""
    return str(target.name().removeprefix("aten::")) if hasattr(target, "name") else str(target)


def check(*values: Value | Operand) -> None:
    """Refuse what no code here is for.

    Raises:
        MissingError: other than float32 maps of at most two axes.
    """
    for value in values:
        if len(value.space) > 2:
            raise MissingError(f"operations on {len(value.space) + 2} dimensions")
        if isinstance(value, Value) and value.dtype != torch.float32:
            raise MissingError(f"arithmetic in {str(value.dtype).removeprefix('torch.')}")


def opaque(step: Opaque) -> MissingError:
    """Why a step of which only the name is known can't be done."""
    name = called(step.target)
    maps = [arg for arg in step.args if isinstance(arg, ChannelMap)]
    (out, *_) = step.outs
    if step.target == aten._to_copy.default and isinstance(out, Value):
        return MissingError(f"conversion to {str(out.dtype).removeprefix('torch.')}")
    if step.target in MOVES:
        return MissingError(f"{name} that cuts, joins or moves positions")
    if step.target in _USUAL and maps and not all(one.is_plain() for one in maps):
        return MissingError(f"{name} of tensors other than (batch, channels, positions)")
    return MissingError(name)
