"""Channels in the order in which their readers want them side by side."""

import numpy as np
import torch

from flyweight.graph.program import Conv, Linear, Program, renumber
from flyweight.lowering.orders import chosen_orders, is_dense


def reorder(program: Program) -> None:
    """Let dense convolutions put out their channels as their readers find them side by side.

    A table of offsets reads channels from anywhere, but memory comes in lines: channels that are
    read together cost less side by side, and depthwise convolutions then need no gathering.
    """
    orders = chosen_orders(program)
    new = program.values.numbers()
    for step in program.steps:
        if not is_dense(step) or not isinstance(step, Conv | Linear):
            continue
        order = orders.of[step.out.first]
        by = torch.from_numpy(np.ascontiguousarray(order))
        step.weight = step.weight[by]
        step.bias = None if step.bias is None else step.bias[by]
        new[step.out.first + order] = step.out.ids
    renumber(program, new)
