"""Any module captured once: a copy of its own to run, a graph, an ONNX model."""

from flyweight.graph.capture import capture, check_runs, frozen_copy, quiet
from flyweight.graph.onnx_model import to_onnx

__all__ = ["capture", "check_runs", "frozen_copy", "quiet", "to_onnx"]
