"""Exact rewrites of captured networks that leave little of their channel moves."""

from flyweight.lowering.lower import lower
from flyweight.lowering.report import LoweringReport

__all__ = ["LoweringReport", "lower"]
