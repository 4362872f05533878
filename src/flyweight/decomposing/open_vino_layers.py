"""Layers of OpenVINO's own graph as operations; what can be said of them without OpenVINO."""

import math
from typing import TypeAlias

from flyweight.decomposing.kinds import CONVOLUTION, kind_of_openvino
from flyweight.decomposing.onnx_nodes import OnnxNode
from flyweight.decomposing.profile import Operation

Shaped: TypeAlias = tuple[tuple[int, ...], int]
"""A shape, and the bytes of an element."""


def operation_of(
    kind: str,
    name: str,
    read: list[Shaped],
    written: list[Shaped],
    node: OnnxNode | None,
    of_input: bool,
) -> Operation:
    """A layer as an operation.

    Args:
        kind: the layer's type.
        name: what the plugin calls it.
        read: what it reads.
        written: what it puts out.
        node: of the model, that it was made of.
        of_input: whether it reads the caller's images.
    """
    output = written[0][0] if written else ()
    product = kind_of_openvino(kind, False, False) == CONVOLUTION
    madds, depthwise = 0, False
    if product and node is not None:
        madds, depthwise = node.madds, node.depthwise
    elif product and len(read) > 1 and len(output) > 1 and "onvolution" in kind:
        weights = read[1][0]
        madds = math.prod(output) * (math.prod(weights) // output[1])
        depthwise = weights[0] == output[1] and len(weights) > len(output)
    return Operation(
        name=(node.module if node is not None else "") or name,
        operation=kind,
        kind=kind_of_openvino(kind, depthwise, of_input),
        output=output,
        madds=madds,
        elements=sum(math.prod(shape) for shape, _ in (*read, *written)),
        bytes=sum(math.prod(shape) * size for shape, size in (*read, *written)),
    )
