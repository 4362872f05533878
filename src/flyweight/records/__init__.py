"""Measurements on disk: what was timed, every raw sample, and the environment it was timed in."""

from flyweight.records.files import read_records, write_records
from flyweight.records.schema import SCHEMA_VERSION, Environment, NetworkFacts, Record
from flyweight.records.statistics import Ratio, mean_of_instances, paired_ratio

__all__ = [
    "SCHEMA_VERSION",
    "Environment",
    "NetworkFacts",
    "Ratio",
    "Record",
    "mean_of_instances",
    "paired_ratio",
    "read_records",
    "write_records",
]
