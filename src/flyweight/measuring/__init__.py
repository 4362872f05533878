"""Timing anything callable: warmed up, interleaved, every sample kept, suspicions said."""

from flyweight.measuring.protocol import (
    MeasurementInterrupted,
    Measurements,
    Progress,
    measure,
)

__all__ = ["MeasurementInterrupted", "Measurements", "Progress", "measure"]
