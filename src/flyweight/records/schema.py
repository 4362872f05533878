"""What a record holds. A record without its environment can't be constructed."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flyweight.errors import RecordError

SCHEMA_VERSION = 2
"""2 has `Environment.lowered`; files of version 1 are read, and written again as version 2."""

_WIDEST = {
    "amx_tile": "amx", "avx512f": "avx512", "avx2": "avx2", "avx": "avx", "sse4_2": "sse4.2",
    "sve": "sve", "asimd": "asimd",
}  # fmt: skip


def widest_of(instruction_sets: Collection[str]) -> str | None:
    """The widest vectors or matrices among extensions, e.g. "avx512"; None for none known."""
    return next((short for name, short in _WIDEST.items() if name in instruction_sets), None)


@dataclass(frozen=True)
class Environment:
    """Where and how a runner was timed; None where the machine or the runner doesn't say."""

    cpu: str
    instruction_sets: tuple[str, ...]
    """Vector and matrix extensions, e.g. "avx2", "avx512f", "amx_bf16"."""
    gpu: str | None
    cores: int
    """Cores that this process may use."""
    threads: int | None
    governor: str | None
    """The CPU's frequency governor, e.g. "performance"."""
    load_average: float | None
    """Of the machine over the minute before the run, in which this process may have prepared
    runners; None where the system has none."""
    memory_bytes: int
    os: str
    python: str
    libraries: Mapping[str, str]
    """Versions of the libraries that take part."""
    commit: str | None
    """Of Flyweight's own checkout, with "+changes" where it was modified; None when installed."""
    engine: str | None
    lowered: bool | None
    """Whether the lowered network was run; None in records from before there was lowering."""
    dtype: str | None
    """The precision that was run."""
    layout: str | None
    batch: int | None
    input: tuple[int, ...] | None
    """Shape of the input, batch first."""

    @property
    def widest(self) -> str | None:
        """The machine's widest vectors or matrices, e.g. "avx512"; None where none are known."""
        return widest_of(self.instruction_sets)

    @property
    def form(self) -> str | None:
        """The engine, with "+lowered" behind it where the lowered network was run."""
        return f"{self.engine}+lowered" if self.engine and self.lowered else self.engine


@dataclass(frozen=True)
class NetworkFacts:
    """What was known of the timed network without timing it."""

    name: str
    family: str | None
    madds: int
    """Multiply-adds of one image."""
    params: int
    memory_access: int
    """Elements read and written for one image (the ShuffleNet V2 paper's MAC)."""
    top1_error: float | None
    """Published ImageNet error at this input size, per cent."""
    top1_source: str | None


@dataclass(frozen=True)
class Record:
    """The timing of one runner. Raises RecordError for what can't be a measurement."""

    runner: str
    """The name it was given to `measure` under."""
    samples_s: tuple[float, ...]
    """Seconds per call, one sample a round, in order."""
    calls_per_sample: int
    """Calls that were timed together and divided by, so that the clock could see them."""
    environment: Environment
    run: str
    """Records with the same run were interleaved, so their ratios can be trusted."""
    started: str
    """When the run began: ISO 8601, UTC."""
    complete: bool = True
    """False where the run was interrupted before its budget was spent."""
    warnings: tuple[str, ...] = ()
    """What makes this timing suspicious, each a sentence."""
    network: NetworkFacts | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    def __post_init__(self) -> None:
        if not isinstance(self.environment, Environment):
            raise RecordError(f"record of {self.runner!r}: no environment, so no record")
        if not self.samples_s:
            raise RecordError(f"record of {self.runner!r}: no samples")
        if not all(math.isfinite(s) and s > 0 for s in self.samples_s):
            raise RecordError(f"record of {self.runner!r}: a sample is not a positive time")

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.samples_s)

    @property
    def median_s(self) -> float:
        """Median of the samples, in seconds."""
        return float(np.median(self.samples_s))

    @property
    def q1_s(self) -> float:
        """Lower quartile of the samples, in seconds."""
        return float(np.quantile(self.samples_s, 0.25))

    @property
    def q3_s(self) -> float:
        """Upper quartile of the samples, in seconds."""
        return float(np.quantile(self.samples_s, 0.75))

    @property
    def iqr_s(self) -> float:
        """Inter-quartile range, in seconds."""
        return self.q3_s - self.q1_s

    def to_json(self) -> dict[str, Any]:
        """The record as JSON types, with the derived figures for readers in other languages."""
        plain = dataclasses.asdict(self)
        derived = {name: getattr(self, name) for name in DERIVED}
        return {"schema_version": plain.pop("schema_version"), **plain, **derived}


DERIVED = ("median_s", "q1_s", "q3_s", "iqr_s", "n")


def from_json(data: object) -> Record:
    """The record that `Record.to_json` described.

    Raises:
        RecordError: a newer schema, or fields that are missing, unknown or of the wrong type.
    """
    if not isinstance(data, dict):
        raise RecordError("a record is a JSON object")
    version = data.get("schema_version")
    if not isinstance(version, int):
        raise RecordError("no schema_version: this is not a Flyweight record")
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"written in schema {version} by a newer Flyweight; this one reads up to"
            f" {SCHEMA_VERSION}: upgrade it"
        )
    fields = {key: value for key, value in data.items() if key not in DERIVED}
    try:
        if version == 1:
            fields = _from_version_1(fields)
        fields["environment"] = Environment(**_tuples(fields["environment"]))
        if fields.get("network") is not None:
            fields["network"] = NetworkFacts(**fields["network"])
        fields["samples_s"] = tuple(float(s) for s in fields["samples_s"])
        fields["warnings"] = tuple(fields.get("warnings", ()))
        return Record(**fields)
    except KeyError as error:
        raise RecordError(f"field {error.args[0]!r} is missing") from None
    except (TypeError, ValueError) as error:
        raise RecordError(f"not a record: {error}") from None


def _from_version_1(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as this version has them: nothing was lowered then."""
    old = fields["environment"]
    if "lowered" in old:
        raise RecordError("not a record: schema 1 has no field 'lowered'")
    return {**fields, "environment": {**old, "lowered": None}, "schema_version": SCHEMA_VERSION}


def _tuples(environment: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where the dataclass has tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in environment.items()}
