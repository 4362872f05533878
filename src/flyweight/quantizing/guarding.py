"""Keeping layers in float32 that ONNX Runtime would quantise after all.

When a session is made, ONNX Runtime turns every convolution with float32 weights that stands
between a DequantizeLinear and a QuantizeLinear into an int8 one, with one scale for all of its
weights (its rewrite "WeightBiasQuantization"). A depthwise convolution doesn't survive that: with a
single one of MobileNet V1 0.25 kept in float32 hardly an image was named right any more. The
rewrite wants one scale for the input. So the input of a layer that is to stay is given the same
scale once for each channel: the same numbers, which any session leaves alone.
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, numpy_helper


def guarded(model: onnx.ModelProto, nodes: Collection[str]) -> None:
    """Give each of these convolutions an input that is dequantised channel by channel.

    Args:
        model: in the QDQ form; it is changed.
        nodes: names of nodes that stay in float32. Those that read no DequantizeLinear, or are no
            convolutions, need nothing.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    changed: list[onnx.NodeProto] = []
    for node in graph.node:
        source = producers.get(node.input[0]) if node.input else None
        stays = node.name in nodes and node.op_type == "Conv"
        if stays and source is not None and source.op_type == "DequantizeLinear":
            channels = constants[node.input[1]].dims[1] * _groups(node)
            changed.append(_by_channel(graph, constants, source, node, channels))
        changed.append(node)
    del graph.node[:]
    graph.node.extend(changed)


def _groups(node: onnx.NodeProto) -> int:
    return next((one.i for one in node.attribute if one.name == "group"), 1)


def _by_channel(
    graph: onnx.GraphProto,
    constants: dict[str, onnx.TensorProto],
    source: onnx.NodeProto,
    reader: onnx.NodeProto,
    channels: int,
) -> onnx.NodeProto:
    """A DequantizeLinear for this reader alone, with as many equal scales as channels."""
    inputs = [source.input[0]]
    for given, what in zip(source.input[1:], ("scale", "zero_point"), strict=True):
        value = numpy_helper.to_array(constants[given])
        name = f"{reader.name}_input_{what}"
        every = np.full(channels, value, value.dtype)
        graph.initializer.append(numpy_helper.from_array(every, name))
        inputs.append(name)
    output = f"{reader.name}_input"
    reader.input[0] = output
    return helper.make_node("DequantizeLinear", inputs, [output], name=output, axis=1)
