"""Multiply-adds, parameters and memory access of any module, without changing it."""

from flyweight.counting.cost import Cost, Operation, Totals, count_model

__all__ = ["Cost", "Operation", "Totals", "count_model"]
