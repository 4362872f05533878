"""Made-up records of a study's cases."""

from collections.abc import Mapping, Sequence

import numpy as np

from flyweight.records import Environment, NetworkFacts, Record

ROUNDS = 40

ENVIRONMENT = Environment(
    cpu="Imaginary CPU", instruction_sets=("avx2",), gpu=None, cores=2, threads=1,
    governor="performance", load_average=0.1, memory_bytes=2**33, os="Linux 6.1", python="3.11.7",
    libraries={}, commit=None, engine="eager", lowered=False, dtype="float32", layout="NCHW",
    batch=1, input=(1, 3, 224, 224),
)  # fmt: skip


def run(
    times_ms: Mapping[str, float],
    madds: Mapping[str, int],
    noise: float = 0.01,
    rounds: int = ROUNDS,
    name: str = "run-1",
) -> dict[str, Record]:
    """A run on a machine that drifts: every network's samples are close to its time.

    Args:
        times_ms: by network.
        madds: likewise.
        noise: deviation of a sample, in parts of the time.
        rounds: how many samples.
        name: of the run.
    """
    random = np.random.default_rng(0)
    drift = 1 + 0.2 * random.random(rounds)
    found = {}
    for label, ms in times_ms.items():
        samples: Sequence[float] = np.abs(
            ms / 1e3 * drift * (1 + noise * random.standard_normal(rounds))
        ).tolist()
        found[label] = Record(
            label, tuple(samples), 4, ENVIRONMENT, name, "2025-01-02T03:04:05+00:00",
            network=NetworkFacts(label, None, madds[label], 1, 1, None, None),
        )  # fmt: skip
    return found
