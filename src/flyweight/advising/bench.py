"""Where advice is tried: the network, the forms that it takes, and what was timed until now."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from flyweight.advising.preparing import lowered_for, prepared
from flyweight.advising.reading import Reading
from flyweight.advising.rebuilding import Edit, Rebuilt, rebuilt
from flyweight.advising.result import Setting
from flyweight.advising.widths import widths_of
from flyweight.engines import Array, Runner
from flyweight.measuring import MeasurementInterrupted, Measurements, Progress, measure
from flyweight.records import Record
from flyweight.studies.verdicts import LEAST_ROUNDS

Told = Callable[[str], None]


def _untold(text: str) -> None:
    pass


@dataclass
class Bench:
    """Where advice is tried.

    Attributes:
        model: the network.
        network: its name.
        example: its input.
        setting: how it is run.
        progress: called between rounds.
        tell: called with what is being done.
        records: of everything that was timed.
        preparing_s: seconds that the network took to prepare as it is; 0 before it was.
        measured_s: seconds that were spent on measuring.
    """

    model: nn.Module
    network: str
    example: Array
    setting: Setting
    progress: Callable[[Progress], None] | None = None
    tell: Told = _untold
    records: list[Record] = field(default_factory=list)
    preparing_s: float = 0.0
    measured_s: float = 0.0
    _original: Runner | None = None
    _again: Rebuilt | None = None
    _lowered: dict[tuple[nn.Module, str, bool], nn.Module] = field(default_factory=dict)

    def original(self) -> Runner:
        """The network as it is, prepared once.

        Raises:
            CaptureError: the engine can't run it.
        """
        if self._original is None:
            begun = time.monotonic()
            self._original = self.runner(self.model, self.setting)
            self.preparing_s = time.monotonic() - begun
        return self._original

    def runner(self, model: nn.Module, setting: Setting, example: Array | None = None) -> Runner:
        """A fresh runner of a network; what is lowered is so once.

        Args:
            model: the network in one of its forms, or a block of it.
            setting: how it is run.
            example: a block's input; the network's if there is none.

        Raises:
            CaptureError: the engine can't run it, or it can't be lowered.
            FlyweightError: the engine isn't installed, or has no compiler.
        """
        x = self.example if example is None else example
        module = model
        if setting.lowered:
            key = (model, setting.engine, setting.merged)
            if key not in self._lowered:
                self._lowered[key] = lowered_for(model, x, setting)
            module = self._lowered[key]
        called = self.network if example is None else f"{self.network}, a block"
        return prepared(module, x, setting, called)

    def rebuilt(self, reading: Reading) -> Rebuilt:
        """The captured network as it is, built once more, as alternatives are."""
        if self._again is None:
            self._again = rebuilt(reading, widths_of(reading.graph.graph), Edit())
        return self._again

    def timed(self, runners: Mapping[str, Runner], budget_s: float) -> Measurements:
        """Time runners against each other, as many rounds as a verdict needs, and keep the records.

        Raises:
            MeasurementInterrupted: Ctrl-C; what was measured is kept.
        """
        begun = time.monotonic()
        try:
            found = measure(runners, budget_s, self.progress, LEAST_ROUNDS)
        except MeasurementInterrupted as interrupted:
            self.records += interrupted.measurements.records
            raise
        finally:
            self.measured_s += time.monotonic() - begun
        self.records += found.records
        return found
