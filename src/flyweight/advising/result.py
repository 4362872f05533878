"""What the advisor says of a network, as data."""

from dataclasses import asdict, dataclass
from typing import Any

from flyweight.advising.deciding import KEPT, NOT_TRIED, WITHDRAWN
from flyweight.advising.findings import ARCHITECTURAL, EXACT, Change, Finding
from flyweight.decomposing import Decomposition
from flyweight.records import Ratio, Record


@dataclass(frozen=True)
class Setting:
    """How the network is run where it was asked for.

    Attributes:
        engine: what runs it.
        threads: of the engine.
        lowered: whether the network is lowered for the engine.
        merged: whether 1x1 convolutions that read the same become one thereby.
    """

    engine: str
    threads: int
    lowered: bool = False
    merged: bool = False

    def __str__(self) -> str:
        form = f"{self.engine}+lowered" if self.lowered else self.engine
        form += "+merged" if self.merged else ""
        return f"{form}, {self.threads} thread{'s' if self.threads != 1 else ''}"


@dataclass(frozen=True)
class Trial:
    """A piece of advice, and what came of trying it.

    Attributes:
        advice: what to do, e.g. "run it on engine native".
        kind: `EXACT` or `ARCHITECTURAL`.
        about: key of the finding that it answers; "" where it is about the whole.
        guideline: of that finding.
        verdict: `KEPT`, `WITHDRAWN` or `NOT_TRIED`.
        why: in a sentence without its full stop.
        ratio: the whole network's time with the advice over that without; None if not timed.
        twin: a second instance of the network without it over the first, in the same rounds.
        before_s: the whole network's time without it.
        after_s: with it.
        alone: the ratio of one block alone; None where none could be timed.
        block: that block.
        predicted: the whole network's ratio, as the block alone and its share of the time tell.
        error: largest difference of the outputs, relative to the largest; None if architectural.
        flops: multiply-adds with it over those without.
        changes: the layers that become others, with their widths.
        setting: how it is run then.
        simplified: whether repeated and undone operations were left out first.
    """

    advice: str
    kind: str
    about: str
    guideline: str
    verdict: str
    why: str
    ratio: Ratio | None = None
    twin: Ratio | None = None
    before_s: float | None = None
    after_s: float | None = None
    alone: Ratio | None = None
    block: str = ""
    predicted: float | None = None
    error: float | None = None
    flops: float = 1.0
    changes: tuple[Change, ...] = ()
    setting: Setting | None = None
    simplified: bool = False

    @property
    def saved_s(self) -> float:
        """What it saves of the whole; 0 where it was not kept."""
        if self.verdict != KEPT or self.ratio is None or self.before_s is None:
            return 0.0
        return (1 - self.ratio.value) * self.before_s


@dataclass(frozen=True)
class Advice:
    """Everything that was found and tried.

    Attributes:
        network: its name.
        setting: how it was asked to be run.
        input: shape of the example.
        total_s: its time so.
        findings: the most expensive first; those that hold only a note at the end.
        trials: in the order in which they were made.
        exact: all exact advice that was kept, measured together; None where none was.
        architectural: likewise for architectural advice; None also where only one was kept.
        unread: what couldn't be read, each in a sentence.
        decomposition: where the time goes; None where that couldn't be found out.
        records: every sample of every measurement, with its environment.
        complete: False where it was interrupted.
    """

    network: str
    setting: Setting
    input: tuple[int, ...]
    total_s: float | None
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...]
    exact: Trial | None
    architectural: Trial | None
    unread: tuple[str, ...]
    decomposition: Decomposition | None
    records: tuple[Record, ...]
    complete: bool = True

    def kept(self, kind: str) -> list[Trial]:
        """Trials of a kind that were kept, the one that saves most first."""
        found = [one for one in self.trials if one.kind == kind and one.verdict == KEPT]
        return sorted(found, key=lambda one: -one.saved_s)

    @property
    def withdrawn(self) -> list[Trial]:
        """What was tried, and did not help measurably."""
        return [one for one in self.trials if one.verdict == WITHDRAWN]

    @property
    def not_tried(self) -> list[Trial]:
        """What couldn't be tried, or was left out for want of time."""
        return [one for one in self.trials if one.verdict == NOT_TRIED]

    def confirmed(self) -> list[Finding]:
        """Findings for which something was kept, what saves most first.

        A finding with an exact remedy counts where lowering or leaving out was kept. What was
        withdrawn for want of a gain is no finding.
        """
        saved = {one.about: one.saved_s for one in self.kept(ARCHITECTURAL)}
        rewrites = [
            one
            for one in self.kept(EXACT)
            if one.setting is not None
            and (one.setting.lowered or one.simplified or one.setting.engine == "native")
        ]
        best = max((one.saved_s for one in rewrites), default=0.0)
        exact = [one for one in self.findings if one.kind == EXACT]
        whole = sum(one.seconds or 0.0 for one in exact) or 1.0
        if best:
            saved |= {one.key: best * (one.seconds or 0.0) / whole for one in exact}
        found = [one for one in self.findings if one.key in saved]
        return sorted(found, key=lambda one: -saved[one.key])

    def summary(self) -> str:
        """What the whole brings, in a sentence or two."""
        if self.exact is None and not self.kept(ARCHITECTURAL):
            if not any(one.ratio for one in self.trials):
                return "Nothing could be tried in the time that there was."
            if self.kept(EXACT):
                first = self.kept(EXACT)[0].advice
                return f"Nothing held: {first} helped at first, but not when measured once more."
            late = sum(one.verdict == NOT_TRIED for one in self.trials)
            left = f" Not tried: {late} of {len(self.trials)} pieces of advice." if late else ""
            return f"Nothing found that would help measurably.{left}"
        said = []
        if self.exact is not None and self.exact.ratio is not None:
            said.append(
                f"Without changing what it computes, {self.network} takes"
                f" {self.exact.ratio.value:.2f} of its time ({self.exact.advice})."
            )
        kept = self.architectural or next(iter(self.kept(ARCHITECTURAL)), None)
        if kept is not None and kept.ratio is not None:
            said.append(
                f"Changed and trained again, it could take {kept.ratio.value:.2f} of it"
                f" ({kept.advice})."
            )
        return " ".join(said)

    def to_json(self) -> dict[str, Any]:
        """As JSON types, with the records."""
        return {
            "network": self.network,
            "setting": asdict(self.setting),
            "input": list(self.input),
            "total_s": self.total_s,
            "summary": self.summary(),
            "findings": [one.to_json() for one in self.findings],
            "confirmed": [one.key for one in self.confirmed()],
            "trials": [_plain(one) for one in self.trials],
            "exact": _plain(self.exact),
            "architectural": _plain(self.architectural),
            "unread": list(self.unread),
            "complete": self.complete,
            "decomposition": self.decomposition.to_json() if self.decomposition else None,
            "records": [record.to_json() for record in self.records],
        }


def _plain(trial: Trial | None) -> dict[str, Any] | None:
    return None if trial is None else {**asdict(trial), "saved_s": trial.saved_s}
