"""What a study found: the paper's figures and ours side by side."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from flyweight.records import Ratio, Record
from flyweight.studies.costs import CaseCost
from flyweight.studies.verdicts import Verdict


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        label: as the paper's table has it.
        cost: of one image.
        deviation: its FLOPs over the first case's, less 1.
        published: the paper's speed.
        published_relative: that over the first case's.
        seconds: median time of a batch here.
        relative: its speed here over the first case's, paired by round.
        note: where the network isn't quite the table's.
    """

    label: str
    cost: CaseCost
    deviation: float
    published: float
    published_relative: float
    seconds: float
    relative: Ratio
    note: str


@dataclass(frozen=True)
class SeriesResult:
    """Cases that were timed together, and what their times say."""

    name: str
    unit: str
    rows: tuple[Row, ...]
    verdict: Verdict


@dataclass(frozen=True)
class StudyResult:
    """What a study found on one engine.

    Attributes:
        study: its name.
        claim: what the paper says.
        source: the paper and its table.
        reading: what the paper leaves open, and what was chosen.
        engine: what ran the networks.
        batch: images at a time.
        threads: of the engine.
        series: what was timed.
        records: all samples and the environment.
        complete: whether all was timed that was asked for.
    """

    study: str
    claim: str
    source: str
    reading: str
    engine: str
    batch: int
    threads: int
    series: tuple[SeriesResult, ...]
    records: tuple[Record, ...]
    complete: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON types, with the records."""
        records = [record.to_json() for record in self.records]
        return {**asdict(replace(self, records=())), "records": records}
