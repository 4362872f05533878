"""A model of the spatial accelerator that shaped SqueezeNext: cycles, traffic, energy by layer."""

from flyweight.accelerator.advice import Lost, Move, Swap, advise_moves, advise_stem, lost_cycles
from flyweight.accelerator.advising import HardwareAdvice, advise_hardware
from flyweight.accelerator.dataflows import Work, dram_words, output_stationary, weight_stationary
from flyweight.accelerator.hardware import (
    PRESETS,
    Accelerator,
    Energy,
    changed,
    choices,
    preset,
)
from flyweight.accelerator.layers import Layer
from flyweight.accelerator.reading import LeftOut, Workload, read_network
from flyweight.accelerator.simulation import LayerResult, Simulation, simulate, simulate_layer

__all__ = [
    "PRESETS",
    "Accelerator",
    "Energy",
    "HardwareAdvice",
    "Layer",
    "LayerResult",
    "LeftOut",
    "Lost",
    "Move",
    "Simulation",
    "Swap",
    "Work",
    "Workload",
    "advise_hardware",
    "advise_moves",
    "advise_stem",
    "changed",
    "choices",
    "dram_words",
    "lost_cycles",
    "output_stationary",
    "preset",
    "read_network",
    "simulate",
    "simulate_layer",
    "weight_stationary",
]
