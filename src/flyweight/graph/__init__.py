"""Any module captured once: a copy of its own to run, a graph, an ONNX model."""

from flyweight.graph.capture import capture, check_runs, frozen_copy, quiet
from flyweight.graph.onnx_model import exported, exported_once, to_onnx

__all__ = ["capture", "check_runs", "exported", "exported_once", "frozen_copy", "quiet", "to_onnx"]
