"""Whether a graph can be read as it was captured, or has to be rewritten by PyTorch first.

`run_decompositions` makes any graph one of operations that change nothing. That takes longer than
all else that is done with a network before it runs, and most networks need it for nothing but their
activations in place.
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx

from flyweight.graph.meaning import BINARY, CONVS, NORMS, REDUCTIONS, SPATIAL_RANK, UNARY
from flyweight.graph.moves import MOVES

aten = torch.ops.aten

_OTHERS = {
    aten.linear.default, aten.prelu.default, aten.pad.default, aten.constant_pad_nd.default,
    aten.sym_size.int, operator.getitem,
}  # fmt: skip
_KNOWN = {*MOVES, *UNARY, *BINARY, *SPATIAL_RANK, *REDUCTIONS, *NORMS, *CONVS, *_OTHERS}
_IN_PLACE = UNARY | BINARY
"""Operations whose forms in place can be read as them."""
_TRAINING = {
    aten.dropout.default: 2, aten.feature_dropout.default: 2, aten.batch_norm.default: 5,
}  # fmt: skip
"""Operations that are others in training, and the place of the argument that says so."""
_MAY_BE_ITS_INPUT = {
    aten.dropout.default, aten.feature_dropout.default, aten.channel_shuffle.default,
    aten.native_channel_shuffle.default,
}  # fmt: skip
"""Operations whose result may be their input itself, though they don't say so."""


def is_functional(graph: fx.Graph) -> bool:
    """Whether all operations are known, and none changes what another one reads."""
    return all(_is_readable(node) for node in graph.nodes if node.op == "call_function")


def pure(target: Any) -> Any:
    """The operation that gives a new tensor, of one that changes its first; any other as it is."""
    if not _changes(target) or target.namespace != "aten":
        return target
    packet = getattr(aten, target.overloadpacket.__name__.removesuffix("_"), None)
    return getattr(packet, target._overloadname, target)


def _changes(target: Any) -> bool:
    return isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable


def _is_readable(node: fx.Node) -> bool:
    target: Any = node.target
    if _changes(target):
        return pure(target) in _IN_PLACE and _alone(node)
    place = _TRAINING.get(target)
    return target in _KNOWN and (place is None or list(node.args[place : place + 1]) == [False])


def _alone(node: fx.Node) -> bool:
    """Whether what an operation changes is read by it alone, and is nobody else's memory."""
    changed = node.args[0]
    if not isinstance(changed, fx.Node) or list(changed.users) != [node]:
        return False
    tensors = [one.meta.get("val") for one in (node, *node.all_input_nodes)]
    if len({one.dtype if isinstance(one, Tensor) else None for one in tensors}) > 1:
        return False  # in place, the result has the first one's type
    made: Any = changed.target
    return _changes(made) or (
        isinstance(made, torch._ops.OpOverload)
        and changed.op == "call_function"
        and made not in _MAY_BE_ITS_INPUT
        and all(one.alias_info is None for one in made._schema.returns)
    )
