"""A network as the advisor reads it: every operation with its module, line, shapes and cost."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from flyweight.counting.formulas import count, is_view
from flyweight.decomposing.kinds import (
    CONVOLUTION,
    DEPTHWISE,
    ELEMENTWISE,
    MOVEMENT,
    OTHER,
    POOLING,
    kind_of_counted,
)
from flyweight.graph import capture, frozen_copy, quiet
from flyweight.graph.blame import Place
from flyweight.graph.meaning import BINARY, CONVS, NORMS, SPATIAL_RANK, UNARY

aten = torch.ops.aten

NORM = "norm"
ACTIVATION = "activation"
SUM = "sum"
_TORCH = os.path.dirname(torch.__file__) + os.sep
_FROM_ONNX = os.path.join("flyweight", "graph", "")
"""Our own reading of an ONNX file is there: no line of it is its author's."""
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_SHARES_STORAGE = {aten.view.default, aten.permute.default, aten.transpose.int}


@dataclass(frozen=True)
class Layer:
    """One operation of the captured network.

    Attributes:
        node: its name in the captured graph.
        place: the module that asked for it, and the line of its author's code.
        op: e.g. "conv2d".
        kind: one of `flyweight.decomposing.KINDS`.
        role: `NORM`, `ACTIVATION` or `SUM` where it is one of these; "" otherwise.
        input: shape of the first tensor that it reads.
        output: shape of what it puts out.
        madds: multiply-adds.
        elements: that are read, weights included, and written.
        groups: of a convolution; 1 for a linear layer, 0 for anything else.
        kernel: of a convolution; () for anything else.
    """

    node: str
    place: Place
    op: str
    kind: str
    role: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    madds: int
    elements: int
    groups: int = 0
    kernel: tuple[int, ...] = ()

    @property
    def pointwise(self) -> bool:
        """Whether it is a 1x1 convolution."""
        return bool(self.kernel) and math.prod(self.kernel) == 1

    @property
    def widths(self) -> tuple[int, int]:
        """Channels in and out."""
        return self.input[1], self.output[1]

    @property
    def positions(self) -> int:
        """Of an output channel, over all images."""
        return self.output[0] * math.prod(self.output[2:])

    @property
    def access_bound(self) -> float:
        """The least that its memory access could be with its FLOPs B and its groups g.

        2 sqrt(hwBg) + B / hw for a 1x1 convolution (ShuffleNet V2, Eq. 1 and 2 at equal widths).
        """
        positions = self.positions
        spread = positions * self.madds * max(self.groups, 1) / max(1, math.prod(self.kernel))
        return 2 * math.sqrt(spread) + self.madds / positions

    @property
    def over_bound(self) -> float:
        """Its memory access over that bound."""
        return self.elements / self.access_bound


@dataclass(frozen=True)
class Reading:
    """A network that was captured.

    Attributes:
        graph: the captured operations, which can be run.
        layers: those that compute or move something, by node name, in order.
    """

    graph: fx.GraphModule
    layers: dict[str, Layer]

    @property
    def nodes(self) -> dict[str, fx.Node]:
        """The graph's nodes by name."""
        return {node.name: node for node in self.graph.graph.nodes}

    @property
    def madds(self) -> int:
        """Multiply-adds of the whole."""
        return sum(layer.madds for layer in self.layers.values())

    def convolutions(self) -> list[Layer]:
        """Convolutions, depthwise ones among them, and no linear layers."""
        return [layer for layer in self.layers.values() if layer.kernel]


def read(model: nn.Module, example: Tensor) -> Reading:
    """Capture a network and look at every operation. The network is not changed.

    Args:
        model: any module of one tensor.
        example: its input; shapes are for this one.

    Raises:
        UsageError: it doesn't run on the example.
        CaptureError: it can't be captured; the message says where and why.
    """
    captured = capture(frozen_copy(model).cpu(), example)
    with quiet(), torch.no_grad():
        module = captured.run_decompositions({}).module()
    modules = model.named_modules(remove_duplicate=False)  # one module may serve in many places
    kinds = {name: type(one).__name__ for name, one in modules}
    assert isinstance(module, fx.GraphModule)
    return Reading(module, {layer.node: layer for layer in _layers(module, kinds)})


def _layers(module: fx.GraphModule, kinds: dict[str, str]) -> Iterator[Layer]:
    for node in module.graph.nodes:
        value = node.meta.get("val")
        outputs = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        if node.op == "call_function" and outputs and hasattr(node.target, "overloadpacket"):
            yield _layer(node, outputs[0], kinds)


def value_of(node: Any) -> Any:
    """What the capture says of an argument: a tensor without data, or the argument itself."""
    return node.meta.get("val") if isinstance(node, fx.Node) else node


def args_of(node: fx.Node) -> tuple[Any, ...]:
    """What a node reads, as loosely typed as PyTorch's operations are."""
    return node.args


def reads_of(node: fx.Node) -> fx.Node | None:
    """The node that an operation's first argument is; None where that is anything else."""
    first = node.args[0] if node.args else None
    return first if isinstance(first, fx.Node) else None


def _layer(node: fx.Node, out: Tensor, kinds: dict[str, str]) -> Layer:
    target: Any = node.target
    args = fx.node.map_arg(args_of(node), value_of)
    kwargs = fx.node.map_arg(node.kwargs, value_of)
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    groups, kernel, madds = 0, (), 0
    kind, role = OTHER, ""
    elements = sum(t.numel() for t in tensors) + out.numel()
    if target in CONVS:
        weight = args[1]
        groups = int(args[6]) if len(args) > 6 else 1
        kernel = tuple(weight.shape[2:])
        madds = out.numel() * math.prod(weight.shape[1:])
        lone = groups > 1 and groups == tensors[0].shape[1]
        kind = DEPTHWISE if lone else CONVOLUTION
    elif target is aten.linear.default:
        kind, groups, madds = CONVOLUTION, 1, out.numel() * args[1].shape[1]
    elif target in NORMS:
        kind, role = ELEMENTWISE, NORM
    elif target in UNARY:
        kind, role = ELEMENTWISE, ACTIVATION
    elif target in BINARY:
        whole = len(tensors) == 2 and tensors[0].shape == tensors[1].shape
        kind, role = ELEMENTWISE, SUM if whole and target is aten.add.Tensor else ""
    elif target in SPATIAL_RANK or "pool" in target.name() or target is aten.mean.dim:
        kind = POOLING
    elif is_view(target) or target in _SHARES_STORAGE:
        kind, elements = MOVEMENT, 0
    else:
        with quiet():
            counted = count(target, args, kwargs, value_of(node))
        if counted is not None:
            kind = kind_of_counted(str(target.overloadpacket), counted.kind)
            madds = counted.madds
    return Layer(
        node.name, _place(node, kinds), target.name().removeprefix("aten::").split(".")[0], kind,
        role, tuple(tensors[0].shape) if tensors else (), tuple(out.shape), madds, elements,
        groups, kernel,
    )  # fmt: skip


def module_of(node: fx.Node) -> str:
    """The qualified name of the module that asked for an operation."""
    stack = node.meta.get("nn_module_stack") or {}
    entries = [entry[0] for entry in stack.values()]
    return str(entries[-1]) if entries else ""


def _place(node: fx.Node, kinds: dict[str, str]) -> Place:
    """Where an operation comes from: its module, and the innermost line that isn't PyTorch's."""
    path = module_of(node)
    lines = [
        (file, int(line))
        for file, line in _FRAME.findall(node.meta.get("stack_trace") or "")
        if not file.startswith((_TORCH, "<")) and _FROM_ONNX not in file
    ]
    return Place(path, kinds.get(path, ""), *(lines[-1] if lines else ()))
