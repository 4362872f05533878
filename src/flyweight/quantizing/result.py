"""What quantising a network brought and what it cost."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyweight.evaluating import Change, Evaluation, Share, Skipped
from flyweight.records import Ratio, Record

COLLAPSED = 0.5
"""An int8 network that names less than this share of what float32 names right has collapsed."""


@dataclass(frozen=True)
class Form:
    """A network in one form on one engine.

    Attributes:
        dtype: "float32" or "int8".
        evaluation: how many images it names right.
        bytes: of its files.
        record: its timing.
    """

    dtype: str
    evaluation: Evaluation
    bytes: int
    record: Record

    def to_json(self) -> dict[str, Any]:
        """Its figures."""
        top5 = self.evaluation.top5
        return {
            "dtype": self.dtype,
            "top1": _share(self.evaluation.top1),
            "top5": top5 and _share(top5),
            "bytes": self.bytes,
            "median_s": self.record.median_s,
        }


@dataclass(frozen=True)
class Pair:
    """A network on one engine before and after.

    Attributes:
        engine: its name.
        about: what the engine's tool did, in words.
        before: in float32.
        after: in int8.
        change: of the images' first classes.
        ratio: float32's time over int8's: above 1, int8 is faster.
        files: the int8 files that were kept.
    """

    engine: str
    about: Mapping[str, str]
    before: Form
    after: Form
    change: Change
    ratio: Ratio
    files: tuple[Path, ...] = ()

    @property
    def collapsed(self) -> bool:
        """Whether int8 names less than half of what float32 names right."""
        return self.change.after.correct < COLLAPSED * self.change.before.correct

    def sentences(self) -> tuple[str, str]:
        """What it cost, and what it brought."""
        return f"{self.engine}: {self._cost()}", f"{self.engine}: {self._time()}"

    def _cost(self) -> str:
        change = self.change
        less = change.before.correct - change.after.correct
        low, high = (100 * end for end in change.interval)
        detail = (
            f"{change.lost} right before and wrong now, {change.won} the other way round;"
            f" 95% interval of the change {low:+.1f} to {high:+.1f} points"
        )
        if self.collapsed:
            return (
                f"int8 HAS COLLAPSED: it names {change.after.correct} of {change.n} images right,"
                f" float32 {change.before.correct} ({detail}); --sensitive says which layers,"
                " --keep leaves them in float32"
            )
        if less > 0 and change.differs:
            return f"int8 loses {less} of {change.n} images ({detail})"
        if less < 0 and change.differs:
            return f"int8 names {-less} of {change.n} images more right ({detail})"
        word = "fewer" if less >= 0 else "more"
        return f"no loss measured: {abs(less)} of {change.n} images {word} ({detail})"

    def _time(self) -> str:
        ratio = self.ratio
        interval = f"95% interval {ratio.low:.2f} to {ratio.high:.2f}"
        if not ratio.differs:
            return f"no difference in time measured: float32 / int8 {ratio.value:.2f}, {interval}"
        if ratio.value > 1:
            return f"int8 is {ratio.value:.2f} times faster than float32 ({interval})"
        return f"int8 is SLOWER than float32: float32 / int8 {ratio.value:.2f} ({interval})"

    def to_json(self) -> dict[str, Any]:
        """Everything but the raw samples, which are in the records."""
        change = dataclasses.asdict(self.change)
        return {
            "engine": self.engine,
            "about": dict(self.about),
            "float32": self.before.to_json(),
            "int8": self.after.to_json(),
            "change": {
                **change,
                "difference": self.change.difference,
                "interval_95": self.change.interval,
            },
            "collapsed": self.collapsed,
            "float32_over_int8": dataclasses.asdict(self.ratio),
            "files": [str(file) for file in self.files],
        }


@dataclass(frozen=True)
class Quantized:
    """A network that was quantised for some engines.

    Attributes:
        network: its name.
        weights: where they came from.
        data: the folder of images that accuracy was counted on.
        calibrated: images that ranges were found on.
        skipped: images of either kind that could not be read.
        pairs: one for each engine.
        beside: further engines, timed in float32 in the same rounds.
        interrupted: whether timing was cut short.
    """

    network: str
    weights: Mapping[str, str] | str
    data: Path
    calibrated: int
    skipped: tuple[Skipped, ...]
    pairs: tuple[Pair, ...]
    beside: tuple[Record, ...] = ()
    interrupted: bool = False

    @property
    def n(self) -> int:
        """Images that accuracy was counted on."""
        return self.pairs[0].change.n

    @property
    def records(self) -> list[Record]:
        """All timings, which were interleaved."""
        forms = [form.record for pair in self.pairs for form in (pair.before, pair.after)]
        return [*forms, *self.beside]

    def doubts(self) -> tuple[str, ...]:
        """What makes the timings suspicious."""
        return tuple(dict.fromkeys(text for record in self.records for text in record.warnings))

    def to_json(self) -> dict[str, Any]:
        """Everything but the raw samples."""
        return {
            "network": self.network,
            "weights": self.weights,
            "data": str(self.data),
            "n": self.n,
            "calibrated": self.calibrated,
            "skipped": [dataclasses.asdict(one) for one in self.skipped],
            "engines": [pair.to_json() for pair in self.pairs],
            "beside": [
                {"runner": record.runner, "median_s": record.median_s} for record in self.beside
            ],
            "complete": not self.interrupted,
            "doubts": self.doubts(),
        }


COLUMNS = (
    "engine", "form:", "top-1 right", "95% interval", "top-5 right", "lost", "won", "file (MB)",
    "median (ms)", "float32 / int8",
)  # fmt: skip


def rows(pairs: Sequence[Pair]) -> list[list[str]]:
    """The table under `COLUMNS`: always with accuracy before and after, one above the other."""
    found = []
    for pair in pairs:
        change, ratio = pair.change, pair.ratio
        for form in (pair.before, pair.after):
            share, top5 = form.evaluation.top1, form.evaluation.top5
            low, high = share.interval
            after = form is pair.after
            found.append(
                [
                    pair.engine,
                    form.dtype,
                    f"{share.correct} of {share.n}",
                    f"{low:.1%} to {high:.1%}",
                    "" if top5 is None else str(top5.correct),
                    str(change.lost) if after else "",
                    str(change.won) if after else "",
                    f"{form.bytes / 1e6:.2f}",
                    f"{form.record.median_s * 1e3:.2f}",
                    f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" if after else "",
                ]
            )
    return found


def _share(share: Share) -> dict[str, Any]:
    return {"correct": share.correct, "n": share.n, "interval_95": share.interval}
