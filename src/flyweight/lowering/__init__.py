"""Exact rewrites of captured networks that leave little of their channel moves."""

from flyweight.lowering.pipeline import lower, report_of
from flyweight.lowering.report import LoweringReport

__all__ = ["LoweringReport", "lower", "report_of"]
