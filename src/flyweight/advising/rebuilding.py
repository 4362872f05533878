"""The captured network once more, with other widths, fewer groups or fewer operations.

The result has no trained weights where a layer's shape changed: it is there to be timed, and the
time of a convolution doesn't depend on its weights.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from flyweight.advising.reading import Reading, args_of
from flyweight.advising.resizing import broadcast, for_any_batch, resized, resized_args
from flyweight.advising.widths import Widths
from flyweight.errors import FlyweightError, first_line
from flyweight.graph import quiet
from flyweight.graph.meaning import BINARY, CONVS, NORMS

aten = torch.ops.aten


class CannotBuildError(FlyweightError):
    """There is no such network; the message says why."""


@dataclass(frozen=True)
class Path:
    """What takes the place of everything between some values and one that is made of them.

    Two dense convolutions, with a ReLU between them where they aren't one.

    Attributes:
        source: the node that is read.
        middle: channels between the two convolutions; 0 for one convolution alone.
        kernel: side of the first one's.
        stride: likewise.
    """

    source: str
    middle: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class Edit:
    """What is to be different.

    Attributes:
        scale: by which factor the widths of a class change.
        groups: of convolutions, by node.
        dropped: nodes that are left out, and which of their operands stands for each.
        paths: nodes that are made in another way.
    """

    scale: Mapping[int, float] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)

    def __or__(self, other: "Edit") -> "Edit":
        return Edit(
            {**self.scale, **other.scale}, {**self.groups, **other.groups},
            {**self.dropped, **other.dropped}, {**self.paths, **other.paths},
        )  # fmt: skip


@dataclass(frozen=True)
class Rebuilt:
    """A network after an edit.

    Attributes:
        module: it; None where only its cost was asked for.
        madds: multiply-adds of convolutions and linear layers that are still read.
        madds_of: those of each node that has any.
        shapes: of every node's result.
    """

    module: fx.GraphModule | None
    madds: int
    madds_of: dict[str, int]
    shapes: dict[str, tuple[int, ...]]


def rebuilt(reading: Reading, widths: Widths, edit: Edit, made: bool = True) -> Rebuilt:
    """Build the network as the edit has it.

    Args:
        reading: the captured network.
        widths: its classes of widths.
        edit: what is to be different.
        made: build it; otherwise only its cost is found.

    Raises:
        CannotBuildError: channels that don't divide, or no longer match.
    """
    return _Builder(reading, widths, edit).build(made)


class _Builder:
    """Goes through the captured graph once, with tensors without data."""

    def __init__(self, reading: Reading, widths: Widths, edit: Edit) -> None:
        self.old = reading.graph
        self.widths = widths
        self.edit = edit
        self.graph = fx.Graph()
        self.env: dict[fx.Node, Any] = {}
        self.meta: dict[fx.Node, Any] = {}
        self.constants: dict[fx.Node, Tensor] = {}
        self.made: dict[str, tuple[Tensor, tuple[int, ...]]] = {}
        self.madds: dict[fx.Node, int] = {}

    def _wanted(self) -> set[fx.Node]:
        """The nodes that are still read."""
        named = {node.name: node for node in self.old.graph.nodes}
        read = [*self.edit.dropped.values(), *(path.source for path in self.edit.paths.values())]
        if unknown := [name for name in read if name not in named]:
            raise CannotBuildError(f"the network has no {unknown[0]}")
        wanted: set[fx.Node] = set()
        for node in reversed(self.old.graph.nodes):
            if node.op in ("placeholder", "output"):
                wanted.add(node)
            if node not in wanted:
                continue
            if node.name in self.edit.dropped:
                wanted.add(named[self.edit.dropped[node.name]])
            elif node.name in self.edit.paths:
                wanted.add(named[self.edit.paths[node.name].source])
            else:
                wanted.update(node.all_input_nodes)
        return wanted

    def build(self, made: bool) -> Rebuilt:
        wanted = self._wanted()
        for node in self.old.graph.nodes:
            if node not in wanted:
                continue
            try:
                self._node(node)
            except CannotBuildError:
                raise
            except Exception as error:
                raise CannotBuildError(f"at {node.name}: {first_line(error)}") from error
        self.graph.eliminate_dead_code()
        alive = set(self.graph.nodes)
        madds = {node.name: count for node, count in self.madds.items() if node in alive}
        shapes = {
            node.name: tuple(value.shape)
            for node, value in self.meta.items()
            if node in alive and isinstance(value, Tensor)
        }
        return Rebuilt(self._module() if made else None, sum(madds.values()), madds, shapes)

    def _module(self) -> fx.GraphModule:
        root = nn.Module()
        wanted = {str(node.target) for node in self.graph.nodes if node.op == "get_attr"}
        for name, (tensor, shape) in self.made.items():
            if name in wanted:
                value = resized(tensor, shape)
                if value.is_floating_point():
                    setattr(root, name, nn.Parameter(value, requires_grad=False))
                else:
                    root.register_buffer(name, value)
        module = fx.GraphModule(root, self.graph)
        return module.eval()

    def _node(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            new = self.graph.placeholder(node.name)
            self._keep(node, new, _without_data(node.meta["val"]))
        elif node.op == "get_attr":
            value: Any = self.old
            for part in str(node.target).split("."):
                value = getattr(value, part)
            self.constants[node] = value
        elif node.op == "call_function":
            self._call(node)
        elif node.op == "output":
            found = tuple(self._output(leaf) for leaf in tree_leaves(args_of(node)[0]))
            self.graph.output(found[0] if len(found) == 1 else found)
        # What is left is a module that only checks the input's shape.

    def _output(self, leaf: Any) -> Any:
        if leaf in self.constants:
            return self._constant(leaf, tuple(self.constants[leaf].shape))
        return self.env[leaf] if isinstance(leaf, fx.Node) else leaf

    def _keep(self, old: fx.Node, new: fx.Node, value: Any) -> None:
        self.env[old] = new
        self.meta[new] = value

    def _constant(self, node: fx.Node, shape: tuple[int, ...]) -> fx.Node:
        """A node of a constant in this shape."""
        name = f"{node.name}_of_{'_'.join(map(str, shape))}"
        self.made[name] = (self.constants[node], shape)
        # The graph's owner is made at the end, so there is nothing yet to look the name up in.
        new = self.graph.create_node("get_attr", name)
        self.meta[new] = torch.empty(shape, dtype=self.constants[node].dtype, device="meta")
        return new

    def _call(self, node: fx.Node) -> None:
        if node.name in self.edit.dropped:
            operand = self._named(node, self.edit.dropped[node.name])
            self._keep(node, self.env[operand], self.meta[self.env[operand]])
        elif node.name in self.edit.paths:
            self._path(node, self.edit.paths[node.name])
        elif node.target in CONVS and args_of(node)[1] in self.constants:
            self._conv(node)
        elif node.target is aten.linear.default and args_of(node)[1] in self.constants:
            self._linear(node)
        else:
            self._other(node)
            if node.target in (*CONVS, aten.linear.default):  # whose weights are computed
                sizes = self.meta[self.env[args_of(node)[1]]].shape
                new = self.env[node]
                self.madds[new] = self.meta[new].numel() * math.prod(sizes[1:])

    def _named(self, node: fx.Node, name: str) -> fx.Node:
        for one in self.env:
            if one.name == name:
                return one
        raise CannotBuildError(f"{node.name} doesn't read {name}")

    def _emit(self, node: fx.Node, name: str, args: tuple[Any, ...], kwargs: Any) -> fx.Node:
        new = self.graph.create_node("call_function", node.target, args, kwargs, name=name)
        plain_args, plain_kwargs = fx.node.map_arg((args, dict(kwargs)), self.meta.__getitem__)
        if "device" in plain_kwargs:
            plain_kwargs = {**plain_kwargs, "device": "meta"}
        target: Any = node.target
        with torch.no_grad(), quiet():
            self.meta[new] = target(*plain_args, **plain_kwargs)
        return new

    def _width(self, node: fx.Node, channels: int, groups: int) -> int:
        own = self.widths.of.get(node.name, -1)
        factor = self.edit.scale.get(own)
        if factor is None or channels == 1:
            return channels
        # With other groups the shuffles are gone that ask for multiples.
        unit, step = self.widths.unit_and_step(own, channels, groups, not self.edit.groups)
        return channels // unit * max(step, round(unit * factor / step) * step)

    def _conv(self, node: fx.Node) -> None:
        weight = self.constants[args_of(node)[1]]
        args = list(args_of(node)) + [None] * (3 - len(args_of(node)))
        rank = weight.dim() - 2
        defaults: list[Any] = [[1] * rank, [0] * rank, [1] * rank, 1]
        args += defaults[len(args) - 3 :]
        args[3:6] = [list(one) * rank if len(one) == 1 else one for one in args[3:6]]
        x = self.env[args[0]]
        old_in, new_in = args[0].meta["val"].shape[1], self.meta[x].shape[1]
        old_groups, out = int(args[6]), weight.shape[0]
        if old_groups != 1 and old_groups == old_in:
            groups, out = new_in, new_in * (out // old_in)
        else:
            groups = self.edit.groups.get(node.name, old_groups)
            out = self._width(node, out, groups)
        if new_in % groups:
            raise CannotBuildError(f"{new_in} channels of {node.name} don't divide by {groups}")
        shape = (out, new_in // groups, *weight.shape[2:])
        bias = None if args[2] is None else self._constant(args[2], (out,))
        new = self._emit(
            node, node.name, (x, self._constant(args[1], shape), bias, *args[3:6], groups), {}
        )
        self._keep(node, new, self.meta[new])
        self.madds[new] = self.meta[new].numel() * math.prod(shape[1:])

    def _linear(self, node: fx.Node) -> None:
        x, weight = self.env[args_of(node)[0]], self.constants[args_of(node)[1]]
        features = self.meta[x].shape[-1]
        shape = (self._width(node, weight.shape[0], 1), features)
        held = args_of(node)[2] if len(args_of(node)) > 2 else None
        bias = None if held is None else self._constant(held, shape[:1])
        new = self._emit(node, node.name, (x, self._constant(args_of(node)[1], shape), bias), {})
        self._keep(node, new, self.meta[new])
        self.madds[new] = self.meta[new].numel() * features

    def _other(self, node: fx.Node) -> None:
        target: Any = node.target
        args = list(args_of(node))
        whole = next((a for a in node.all_input_nodes if a in self.env), None)
        if whole is not None and isinstance(self.meta[self.env[whole]], Tensor):
            old = [int(size) for size in whole.meta["val"].shape]
            new = [int(size) for size in self.meta[self.env[whole]].shape]
            if old != new:
                args = resized_args(target, node, args, old, new)
            value = node.meta["val"]
            if isinstance(value, Tensor):
                args = for_any_batch(target, args, old, [int(size) for size in value.shape])
        shapes = _operands(node, self.meta, self.env) if target in BINARY else None
        channels = None
        if target in NORMS and whole is not None:
            channels = self.meta[self.env[whole]].shape[1]

        def converted(leaf: Any) -> Any:
            if not isinstance(leaf, fx.Node):
                return leaf
            if leaf not in self.constants:
                return self.env[leaf]
            held = tuple(self.constants[leaf].shape)
            if channels is not None and len(held) == 1:
                held = (channels,)
            elif shapes is not None:
                held = broadcast(held, *shapes)
            return self._constant(leaf, held)

        placed, kwargs = fx.node.map_arg((tuple(args), dict(node.kwargs)), converted)
        if target is operator.getitem:
            made = self.graph.create_node("call_function", target, placed, name=node.name)
            self.meta[made] = self.meta[placed[0]][placed[1]]
        else:
            made = self._emit(node, node.name, placed, kwargs)
        self._keep(node, made, self.meta[made])

    def _path(self, node: fx.Node, path: Path) -> None:
        x = self.env[self._named(node, path.source)]
        channels = int(self.meta[x].shape[1])
        wanted = node.meta["val"].shape
        out = self._width(node, int(wanted[1]), 1)
        steps = [(path.middle or out, path.kernel, path.stride)]
        steps += [(out, 1, 1)] if path.middle else []
        for index, (width, kernel, stride) in enumerate(steps):
            if index:
                name = f"{node.name}_path_{index}_relu"
                x = self.graph.create_node("call_function", aten.relu.default, (x,), name=name)
                self.meta[x] = self.meta[args_of(x)[0]]
            x = self._new_conv(f"{node.name}_path_{index}", x, channels, width, kernel, stride)
            channels = width
        if self.meta[x].shape[2:] != wanted[2:]:
            raise CannotBuildError(f"one path to {node.name} has another size")
        self._keep(node, x, self.meta[x])

    def _new_conv(
        self, name: str, x: fx.Node, inputs: int, outputs: int, kernel: int, stride: int
    ) -> fx.Node:
        shape = (outputs, inputs, kernel, kernel)
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
        self.made[f"{name}_weight"] = (weight, shape)
        self.made[f"{name}_bias"] = (torch.randn(outputs, generator=generator), (outputs,))
        held = [self.graph.create_node("get_attr", f"{name}_{what}") for what in ("weight", "bias")]
        padding = [kernel // 2] * 2
        args: tuple[Any, ...] = (x, *held, [stride] * 2, padding, [1, 1], 1)
        new = self.graph.create_node("call_function", aten.conv2d.default, args, name=name)
        self.meta[held[0]] = torch.empty(shape, device="meta")
        self.meta[held[1]] = torch.empty(outputs, device="meta")
        plain = (self.meta[x], self.meta[held[0]], self.meta[held[1]], *args[3:])
        self.meta[new] = aten.conv2d.default(*plain)
        self.madds[new] = self.meta[new].numel() * math.prod(shape[1:])
        return new


def _without_data(value: Any) -> Any:
    return torch.empty(tuple(value.shape), dtype=value.dtype, device="meta")


def _operands(
    node: fx.Node, meta: Mapping[fx.Node, Any], env: Mapping[fx.Node, Any]
) -> tuple[Sequence[int], Sequence[int]] | None:
    """Old and new shape of the computed operand of a sum or product with a constant."""
    read = [one for one in node.all_input_nodes if one in env]
    if len(read) != 1:
        return None
    return read[0].meta["val"].shape, meta[env[read[0]]].shape
