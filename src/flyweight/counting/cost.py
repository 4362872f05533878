"""Counting a whole network: multiply-adds, parameters and memory access of every operation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from flyweight.counting.formulas import count, is_view
from flyweight.counting.trace import storage, trace
from flyweight.errors import UsageError


@dataclass(frozen=True)
class Totals:
    """Sums over some operations."""

    operations: int
    madds: int
    """Multiply-adds (the papers' FLOPs)."""
    elementwise: int
    """Elementwise, pooling and reduction operations."""
    params: int
    memory_access: int
    """Elements read and written."""
    bytes: int
    """Bytes read and written."""

    @property
    def intensity(self) -> float:
        """Multiply-adds per byte of memory access; 0 where nothing is read or written."""
        return self.madds / self.bytes if self.bytes else 0.0


@dataclass(frozen=True)
class Operation:
    """One call of one operation."""

    op: str
    """As PyTorch names it, e.g. "aten.convolution"."""
    kind: str
    """Its class, e.g. "depthwise convolution", "data movement"."""
    module: str
    """Path of the module that called it; "" for the network itself."""
    input: tuple[int, ...]
    output: tuple[int, ...]
    dtype: str
    madds: int
    elementwise: int
    params: int
    """Parameters that it is the first to read."""
    read: int
    """Elements."""
    written: int
    """Elements."""
    bytes: int

    @property
    def memory_access(self) -> int:
        """Elements read and written."""
        return self.read + self.written

    @property
    def intensity(self) -> float:
        """Multiply-adds per byte of memory access."""
        return self.madds / self.bytes if self.bytes else 0.0


@dataclass(frozen=True)
class Cost:
    """The cost of one forward pass in evaluation mode.

    As plain execution has it: every operation reads its inputs from memory and writes its output
    there.
    """

    input_size: tuple[int, ...]
    operations: tuple[Operation, ...]
    params: int
    """Parameters of the network, shared ones once."""
    uncounted: Mapping[str, int]
    """Operations that no rule covers, with the number of calls; their cost is in no sum."""
    unread: tuple[str, ...]
    """Parameters that no operation read."""

    @property
    def madds(self) -> int:
        """Multiply-adds (the papers' FLOPs) of convolutions, linear layers, matrix products."""
        return sum(op.madds for op in self.operations)

    @property
    def elementwise(self) -> int:
        """Elementwise, pooling and reduction operations."""
        return sum(op.elementwise for op in self.operations)

    @property
    def memory_access(self) -> int:
        """Elements read and written (the ShuffleNet V2 paper's MAC)."""
        return sum(op.memory_access for op in self.operations)

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return sum(op.bytes for op in self.operations)

    @property
    def intensity(self) -> float:
        """Multiply-adds per byte of memory access."""
        return self.madds / self.bytes if self.bytes else 0.0

    def by_operator(self) -> dict[str, Totals]:
        """Sums by class of operation, the most multiply-adds and memory access first."""
        return self._grouped(lambda op: op.kind)

    def by_module(self, depth: int | None = None) -> dict[str, Totals]:
        """Sums by module, in order of first use; "" is the network itself.

        Args:
            depth: how many names of a module's path to keep; None keeps all.
        """
        return self._grouped(lambda op: ".".join(op.module.split(".")[:depth]), rank=False)

    def _grouped(self, key: Callable[[Operation], str], rank: bool = True) -> dict[str, Totals]:
        groups: dict[str, list[Operation]] = {}
        for op in self.operations:
            groups.setdefault(key(op), []).append(op)
        totals = {name: _sum(ops) for name, ops in groups.items()}
        if not rank:
            return totals
        return dict(
            sorted(totals.items(), key=lambda item: (-item[1].madds, -item[1].memory_access))
        )

    def to_json(self) -> dict[str, Any]:
        """The cost as JSON types: sums, both views, every operation, and what was not counted."""
        sums = {"madds", "elementwise", "params", "memory_access", "bytes", "intensity"}
        return {
            "input_size": list(self.input_size),
            **{name: getattr(self, name) for name in sorted(sums)},
            "uncounted": dict(self.uncounted),
            "unread": list(self.unread),
            "by_operator": {k: _plain(v) for k, v in self.by_operator().items()},
            "by_module": {k: _plain(v) for k, v in self.by_module().items()},
            "operations": [
                {**vars(op), "memory_access": op.memory_access, "intensity": op.intensity}
                for op in self.operations
            ],
        }


def _plain(totals: Totals) -> dict[str, Any]:
    return {**vars(totals), "intensity": totals.intensity}


def _sum(ops: Sequence[Operation]) -> Totals:
    return Totals(
        operations=len(ops),
        madds=sum(op.madds for op in ops),
        elementwise=sum(op.elementwise for op in ops),
        params=sum(op.params for op in ops),
        memory_access=sum(op.memory_access for op in ops),
        bytes=sum(op.bytes for op in ops),
    )


def count_model(model: nn.Module, input_size: Sequence[int]) -> Cost:
    """Count one forward pass of any module in evaluation mode. The module is not changed.

    Args:
        model: takes one tensor.
        input_size: shape of the input, batch first; (1, 3, 224, 224) counts one image.

    Raises:
        UsageError: sizes that aren't positive, or a module that doesn't run on this input.
    """
    if not input_size or any(size < 1 for size in input_size):
        raise UsageError(f"input size {tuple(input_size)}: every number must be 1 or more")
    clone, calls = trace(model, input_size)
    unread = {storage(p): (name, p.numel()) for name, p in clone.named_parameters()}
    operations: list[Operation] = []
    uncounted: dict[str, int] = {}
    for module, op, args, kwargs, out in calls:
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        if is_view(op):
            continue
        name = str(op.overloadpacket)
        counts = count(op, args, kwargs, out)
        if counts is None:
            uncounted[name] = uncounted.get(name, 0) + 1
            continue
        first_read = [unread.pop(key, ("", 0))[1] for key in {storage(t) for t in tensors}]
        result = next((t for t in tree_leaves(out) if isinstance(t, Tensor)), None)
        example = result if result is not None else tensors[0] if tensors else None
        operations.append(
            Operation(
                op=name,
                kind=counts.kind,
                module=module,
                input=tuple(tensors[0].shape) if tensors else (),
                output=tuple(result.shape) if result is not None else (),
                dtype="" if example is None else str(example.dtype).removeprefix("torch."),
                madds=counts.madds,
                elementwise=counts.elementwise,
                params=sum(first_read),
                read=counts.read,
                written=counts.written,
                bytes=counts.bytes,
            )
        )
    return Cost(
        input_size=tuple(input_size),
        operations=tuple(operations),
        params=sum(p.numel() for p in model.parameters()),
        uncounted=uncounted,
        unread=tuple(name for name, _ in unread.values()),
    )
