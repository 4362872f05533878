"""PyTorch on an NVIDIA GPU as a CUDA graph: recorded once, then started as one.

What starting its operations costs is gone, so it tells a network that waits for Python apart from
one that keeps the GPU busy.
"""

from typing import Any

import torch
from torch import Tensor, nn

from flyweight.engines.cuda import OnGpu, check, cuda_runner
from flyweight.engines.protocol import Array, Options, Runner

__all__ = ["check", "prepare"]

BEFORE = 3
"""Runs before the recording, on another stream: libraries choose and set up what they use."""


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner that starts a recorded graph on the GPU (see `Prepare` and `cuda_runner`)."""
    return cuda_runner("cuda-graph", model, example, options, _form)


def _form(module: nn.Module, example: Tensor) -> OnGpu:
    recorded = example.clone()  # a graph reads and writes where it did when it was recorded
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(BEFORE):
            module(recorded)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = module(recorded)

    def run(x: Tensor) -> Any:
        recorded.copy_(x)
        graph.replay()
        return out

    return OnGpu(run, graph.replay)
