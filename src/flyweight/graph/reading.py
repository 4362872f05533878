"""From a captured graph to a program: moves become channel maps, the rest becomes steps."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves, tree_map

from flyweight.errors import CaptureError
from flyweight.graph import meaning
from flyweight.graph.capture import quiet
from flyweight.graph.functional import is_functional, pure
from flyweight.graph.maps import ChannelMap, MoveError, Size
from flyweight.graph.moves import MOVES
from flyweight.graph.program import Opaque, Program, Raw, Step, Value, Values

_CONSTANTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def read_program(captured: ExportedProgram) -> Program:
    """The steps of a network that was captured with the number of images open.

    Args:
        captured: what `capture(model, example, dynamic_batch=True)` returns.

    Raises:
        CaptureError: the network changes itself when it runs, or takes no batch of images.
    """
    functional = captured
    if not is_functional(captured.graph):
        with quiet(), torch.no_grad():
            functional = captured.run_decompositions({})
    changed = [*functional.graph_signature.buffers_to_mutate.values()]
    if changed:
        raise CaptureError(
            f"the network changes its buffer {changed[0]!r} when it runs, which no other engine"
            " would do: leave that out in evaluation mode"
        )
    return _Reader(functional).program()


class _Reader:
    """Goes through a graph once; `env` holds what each node is."""

    def __init__(self, captured: ExportedProgram) -> None:
        self.captured = captured
        self.env: dict[fx.Node, Any] = {}
        self.symbol: Any = None
        self.values = Values()
        self.steps: list[Step] = []
        self.moves: list[tuple[str, str]] = []

    def program(self) -> Program:
        spec = self.captured.call_spec.out_spec
        nodes = list(self.captured.graph.nodes)
        self._read_inputs([node for node in nodes if node.op == "placeholder"])
        for node in nodes:
            unread = node.target is operator.getitem and not node.users
            if node.op == "call_function" and not unread:
                self.env[node] = self._call(node)
        (output,) = [node for node in nodes if node.op == "output"]
        if spec is None:
            raise CaptureError("the network puts out nothing")
        outputs = [self._plain(leaf) for leaf in output.args[0]]
        return Program(self.input, self.steps, outputs, spec, self.values, self.moves)

    def _read_inputs(self, placeholders: Sequence[fx.Node]) -> None:
        specs = self.captured.graph_signature.input_specs
        images: list[fx.Node] = []
        for node, spec in zip(placeholders, specs, strict=True):
            if spec.kind in _CONSTANTS:
                self.env[node] = self._constant(spec.kind, str(spec.target))
            else:
                images.append(node)
        if len(images) != 1:
            raise CaptureError(f"the network takes {len(images)} tensors, not a batch of images")
        tensor = images[0].meta["val"]
        self.symbol = tensor.shape[0].node.expr if hasattr(tensor.shape[0], "node") else None
        if self.symbol is None or tensor.dim() < 2:
            raise CaptureError("the network's number of images isn't open")
        sizes = [int(size) for size in tensor.shape[1:]]
        self.input = self.values.new_value(sizes[0], sizes[1:], tensor.dtype)
        self.env[images[0]] = self.input.map()

    def _constant(self, kind: InputKind, target: str) -> Tensor:
        held = self.captured.state_dict.get(target)
        tensor = held if held is not None else self.captured.constants[target]
        if not isinstance(tensor, Tensor):
            raise CaptureError(f"{target} is no tensor")
        return tensor.detach()

    def _plain(self, leaf: Any) -> Any:
        """What stands for an argument: nodes by what they are, anything else as it is."""
        return self.env[leaf] if isinstance(leaf, fx.Node) else leaf

    def _call(self, node: fx.Node) -> Any:
        # fx keeps lists as its own immutable type, which tree_map goes through all the same.
        args, kwargs = tree_map(self._plain, (_lists(node.args), dict(node.kwargs)))
        size = self._size(node.meta.get("val"))
        if size is not None:
            return size if size.batched else size.count
        if node.target is operator.getitem:
            found = args[0][args[1]]
            if found is None:
                raise CaptureError(f"{node.name} has no value")
            return found
        target = pure(node.target)
        computed = any(isinstance(x, ChannelMap | Raw | Size) for x in tree_leaves((args, kwargs)))
        is_random = torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())
        if not computed and not is_random:
            with torch.no_grad():
                return target(*args, **kwargs)
        where = _where(node)
        if target in MOVES and _follows(args):
            try:
                moved = MOVES[target](args[0], self._shape(node), *args[1:], **kwargs)
            except MoveError:
                pass
            else:
                self.moves.append((target.name().removeprefix("aten::"), where))
                return moved
        step = meaning.step_of(target, args, kwargs, self._value(node), self.values, where)
        if step is not None:
            self.steps.append(step)
            out = step.out
            return meaning.result(target, args, out)
        return self._opaque(node, args, kwargs, where)

    def _opaque(
        self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any], where: str
    ) -> Any:
        value: Any = node.meta.get("val")
        several = isinstance(value, tuple | list)
        results = list(value) if several else [value]
        outs = [
            None if result is None else self._out(result, f"{node.name}_{index}")
            for index, result in enumerate(results)
        ]
        self.steps.append(Opaque(node.target, args, kwargs, outs, several, where))
        found = [out.map() if isinstance(out, Value) else out for out in outs]
        return found if several else found[0]

    def _out(self, result: Any, name: str) -> Value | Raw:
        shape = self._sizes(result)
        if (
            shape is None
            or len(shape) < 2
            or shape[0] != Size(1, True)
            or any(size.batched or not size.count for size in shape[1:])
        ):
            return Raw(name)
        counts = [size.count for size in shape[1:]]
        return self.values.new_value(counts[0], counts[1:], result.dtype)

    def _value(self, node: fx.Node) -> meaning.NewValue:
        """How a step with one output gets its value; asked for only when there is such a step."""
        result = node.meta.get("val")
        result = result[0] if isinstance(result, tuple | list) else result
        shape = self._sizes(result)
        dtype = result.dtype if isinstance(result, Tensor) else torch.float32
        return meaning.NewValue(shape, dtype)

    def _shape(self, node: fx.Node) -> list[Size] | None:
        return self._sizes(node.meta.get("val"))

    def _sizes(self, result: Any) -> list[Size] | None:
        """The shape of one tensor; None where it isn't known."""
        if not isinstance(result, Tensor):
            return None
        sizes = [self._size(size) for size in result.shape]
        return None if None in sizes else [size for size in sizes if size is not None]

    def _size(self, size: Any) -> Size | None:
        """A number, or a multiple of the batch; None for anything else."""
        if isinstance(size, bool):
            return None
        if isinstance(size, int):
            return Size(size)
        if not isinstance(size, torch.SymInt):
            return None
        expression = size.node.expr
        if not expression.free_symbols:
            return Size(int(expression))
        count = expression.coeff(self.symbol)
        if not count.is_Integer or expression != count * self.symbol:
            return None
        return Size(int(count), True)


def _lists(args: Any) -> Any:
    if isinstance(args, tuple):
        return tuple(_lists(arg) for arg in args)
    if isinstance(args, list):
        return [_lists(arg) for arg in args]
    return args


def _follows(args: tuple[Any, ...]) -> bool:
    """Whether the first argument is a map, or a list of them."""
    first = args[0] if args else None
    if isinstance(first, list | tuple):
        return bool(first) and any(isinstance(x, ChannelMap) for x in first)
    return isinstance(first, ChannelMap)


def _where(node: fx.Node) -> str:
    """The qualified name of the module that asked for an operation."""
    stack = node.meta.get("nn_module_stack") or {}
    entries = [entry[0] for entry in stack.values()]
    return str(entries[-1]) if entries else ""
