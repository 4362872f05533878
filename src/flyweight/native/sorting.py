"""Steps in the order in which channels lie."""

from dataclasses import replace

import numpy as np
import torch

from flyweight.graph.maps import Ids
from flyweight.graph.program import Operand
from flyweight.native.draft import Draft
from flyweight.native.nodes import AnyNode, Convolution, Elementwise, Finish


def sort_channels(draft: Draft, node: AnyNode) -> None:
    """Let a node that works on each channel alone do so in the order in which they lie.

    Args:
        draft: its other nodes read what this one puts out where it then is.
        node: it is changed.
    """
    order = np.argsort(node.x.ids, kind="stable")
    if (order == np.arange(len(order))).all():
        return
    by = torch.from_numpy(order)
    new = draft.values.numbers()
    new[node.out.ids[order]] = node.out.ids
    node.x = Operand(node.x.ids[order], node.x.space)
    node.finish = sorted_finish(node, order)
    if isinstance(node, Convolution):
        node.weight = node.weight[by]
        node.bias = None if node.bias is None else node.bias[by]
    if isinstance(node, Elementwise):
        if node.other is not None:
            node.other = Operand(node.other.ids[order], node.other.space)
        node.scale = None if node.scale is None else node.scale[by]
        node.shift = None if node.shift is None else node.shift[by]
    draft.renumber(new)


def sorted_finish(node: AnyNode, order: Ids) -> Finish:
    """What is fused into a node that puts out its channels in another order."""
    finish = node.finish
    if finish.residual is not None:
        residual = Operand(finish.residual.ids[order], finish.residual.space)
        finish = replace(finish, residual=residual)
    if finish.curve is not None and finish.curve.slopes is not None:
        slopes = finish.curve.slopes[torch.from_numpy(order)]
        finish = replace(finish, curve=replace(finish.curve, slopes=slopes))
    return finish
