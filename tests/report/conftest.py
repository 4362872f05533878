"""Records to draw: the zoo's published figures, with made-up times."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from flyweight.records import Environment, NetworkFacts, Record
from flyweight.studies import STUDIES
from flyweight.studies.results import case_key
from flyweight.zoo import list_models, model_info

# Made-up speeds: milliseconds per 100 million multiply-adds.
FAMILIES = {"ShuffleNet V1": 1.9, "ShuffleNet V2": 1.5, "MobileNet V1": 0.9, "MobileNet V2": 1.6}
ENGINES = {"onnxruntime": 1.0, "openvino": 1.1, "torch.compile": 1.8, "eager": 3.4}
ROUNDS = 40

ENVIRONMENT = Environment(
    cpu="Imaginary CPU @ 2.60GHz",
    instruction_sets=("avx2", "avx512f"),
    gpu=None,
    cores=2,
    threads=1,
    governor="performance",
    load_average=0.12,
    memory_bytes=8 * 2**30,
    os="Linux 6.1",
    python="3.11.7",
    libraries={"torch": "2.13.0", "onnxruntime": "1.31.1"},
    commit="0123abc",
    engine="onnxruntime",
    lowered=False,
    dtype="float32",
    layout="NCHW",
    batch=1,
    input=(1, 3, 224, 224),
)


def facts(
    name: str = "shufflenet_v2_x1_0",
    madds: int = 146_000_000,
    top1_error: float | None = 30.6,
    family: str | None = "ShuffleNet V2",
) -> NetworkFacts:
    source = None if top1_error is None else "a paper, Table 8"
    return NetworkFacts(name, family, madds, 2_300_000, 5_000_000, top1_error, source)


def record(
    ms: float | Sequence[float] = 2.0,
    network: NetworkFacts | None = None,
    runner: str | None = None,
    run: str = "run-1",
    complete: bool = True,
    warnings: tuple[str, ...] = (),
    **environment: object,
) -> Record:
    """A record with these milliseconds as its samples, or ROUNDS samples close to one time."""
    samples = [ms * (1 + 0.004 * (i % 5 - 2)) for i in range(ROUNDS)] if _one(ms) else ms
    changed = dataclasses.replace(ENVIRONMENT, **environment)
    name = network.name if network else "mine.onnx"
    return Record(
        runner=runner or f"{name} · {changed.engine}",
        samples_s=tuple(sample / 1e3 for sample in samples),
        calls_per_sample=4,
        environment=changed,
        run=run,
        started="2025-01-02T03:04:05+00:00",
        complete=complete,
        warnings=warnings,
        network=network,
    )


def _one(ms: float | Sequence[float]) -> bool:
    return isinstance(ms, int | float)


def study_run(
    study: str,
    series: str,
    ms: Sequence[float],
    engine: str = "native",
    seed: int = 0,
    **environment: object,
) -> list[Record]:
    """Records of a study's series: each case's time, with 1 % of noise on a machine that drifts."""
    found = STUDIES[study]
    (one,) = [each for each in found.series if each.name == series]
    random = np.random.default_rng(seed)
    drift = random.lognormal(0, 0.05, ROUNDS)
    run = f"{study} {series} {engine} {environment}"
    return [
        record(
            list(each * drift * random.lognormal(0, 0.01, ROUNDS)),
            facts(case.label, 1_000_000, None, None),
            case_key(found, one, case),
            run,
            engine=engine,
            **environment,
        )
        for case, each in zip(one.cases, ms, strict=True)
    ]


def zoo_records(
    pattern: str = "*", engines: Sequence[str] = ("onnxruntime", "eager")
) -> list[Record]:
    """One run of the zoo's networks, each at its paper's input size, on some engines."""
    random = np.random.default_rng(1)
    machine = random.lognormal(0, 0.01, ROUNDS)  # what slows a round slows all of it
    records = []
    for name in list_models(pattern):
        info = model_info(name)
        known = next((row for row in info.published if row.mflops), None)
        if known is None or info.family not in FAMILIES:
            continue
        side = known.resolution
        network = NetworkFacts(
            name=name,
            family=info.family,
            madds=int((known.mflops or 0) * 1e6),
            params=int((known.params_m or 2) * 1e6),
            memory_access=int((known.mflops or 0) * 4e4),
            top1_error=known.top1_error,
            top1_source=known.source if known.top1_error else None,
        )
        for engine in engines:
            shape = (known.mflops / 100) ** 0.8 * random.lognormal(0, 0.1)
            median = FAMILIES[info.family] * shape * ENGINES[engine]
            samples = median * machine * random.lognormal(0, 0.02, ROUNDS)
            records.append(record(list(samples), network, engine=engine, input=(1, 3, side, side)))
    return records


@pytest.fixture(scope="session")
def zoo() -> list[Record]:
    return zoo_records()


@pytest.fixture
def make_record() -> Callable[..., Record]:
    return record


@pytest.fixture
def make_facts() -> Callable[..., NetworkFacts]:
    return facts
