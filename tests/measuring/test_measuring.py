"""The protocol, on runners of known make-up."""

import gc
import itertools
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from flyweight import compile, create_model, measure
from flyweight.errors import UsageError
from flyweight.measuring import MeasurementInterrupted, Progress, protocol, suspicions
from flyweight.measuring import environment as about_machine
from flyweight.measuring import measure as measure_any
from flyweight.measuring.environment import environment, machine_name


def busy(seconds: float) -> Callable[[], None]:
    def run() -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    return run


def test_known_times_and_ratio() -> None:
    measured = measure_any({"short": busy(0.001), "long": busy(0.003)}, budget_s=1.5)
    short, long = measured.records
    # Busy loops are never early; a disturbed machine may make them late.
    assert short.median_s >= 0.001
    assert long.median_s >= 0.003
    assert measured.ratio("long", "short").differs
    assert measured.ratio("long", "short").value > 1.5
    assert measured.ratios("short")["short"].value == 1.0
    assert short.calls_per_sample > long.calls_per_sample
    assert short.n == long.n >= protocol.MIN_ROUNDS
    assert short.run == long.run
    assert short.complete
    with pytest.raises(UsageError, match="unknown runner 'shrt'; did you mean short"):
        measured.ratio("shrt", "long")


def test_rounds_are_interleaved_in_changing_order() -> None:
    """In every round each runner has its turn, and not always after the same one."""
    turns: list[str] = []

    def runner(name: str) -> Callable[[], None]:
        def run() -> None:
            if not turns or turns[-1] != name:
                turns.append(name)
            time.sleep(0.06)  # one call fills a block, and is enough of a return

        return run

    starts: list[int] = []

    def progress(step: Progress) -> None:
        if step.phase == "warm-up" or step.rounds:
            starts.append(len(turns))

    measured = measure_any({name: runner(name) for name in "abc"}, 4.0, progress=progress)
    rounds = [turns[start:end] for start, end in itertools.pairwise(starts[2:])]
    assert measured.records[0].n == len(rounds)
    # A runner that ends one round and begins the next shows once in the list of changes.
    for before, order in zip([[turns[starts[2] - 1]], *rounds], rounds, strict=False):
        assert set(order) | {before[-1]} == set("abc") or set(order) == set("abc")
    assert len({tuple(order) for order in rounds}) > 1


def test_every_sample_is_kept_and_the_budget_too() -> None:
    record = measure_any({"a": busy(0.002)}, budget_s=0.5).records[0]
    assert sum(record.samples_s[:-1]) < 0.5  # no round starts after that
    assert len(record.samples_s) == record.n
    assert record.median_s == np.median(record.samples_s)


def test_at_least_three_rounds() -> None:
    record = measure_any({"slow": lambda: time.sleep(0.05)}, budget_s=0.01).records[0]
    assert record.n == 3
    assert any("Only 3 rounds" in sentence for sentence in record.warnings)
    more = measure_any({"slow": lambda: time.sleep(0.005)}, budget_s=0.01, least_rounds=6)
    assert more.records[0].n == 6


def test_interruption_keeps_whole_rounds() -> None:
    rounds = 0

    def progress(step: Progress) -> None:
        nonlocal rounds
        rounds = step.rounds

    def stops() -> None:
        time.sleep(0.011)
        if rounds == 4:
            raise KeyboardInterrupt

    runners = {"steady": lambda: time.sleep(0.011), "stops": stops}
    with pytest.raises(MeasurementInterrupted) as interruption:
        measure_any(runners, 5.0, progress=progress)
    assert gc.isenabled()
    records = interruption.value.measurements.records
    assert [record.n for record in records] == [4, 4]
    assert not records[0].complete


def test_interruption_before_the_first_round_has_nothing_to_keep() -> None:
    def stops() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interruption:
        measure_any({"stops": stops}, 1.0)
    assert not isinstance(interruption.value, MeasurementInterrupted)


def test_records_so_far_can_be_had_between_rounds() -> None:
    seen: list[int] = []

    def progress(step: Progress) -> None:
        records = step.so_far().records
        assert len(records) == (1 if step.rounds else 0)
        seen.append(step.rounds)

    measure_any({"a": busy(0.001)}, 0.3, progress=progress)
    assert seen == sorted(seen)
    assert seen[-1] >= 3


def test_bad_requests() -> None:
    with pytest.raises(UsageError, match="nothing to measure"):
        measure({})
    for budget in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="the time budget must be more than 0"):
            measure({"a": busy(0.001)}, budget)

    def broken() -> None:
        raise RuntimeError("no such kernel")

    with pytest.raises(UsageError, match="runner 'b' failed: RuntimeError: no such kernel"):
        measure({"b": broken}, 1.0)


def test_environment_of_a_prepared_network() -> None:
    example = np.zeros((2, 3, 32, 32), np.float32)
    runner = compile(create_model("mobilenet_v1_x0_25"), example, engine="eager", threads=2)
    about = environment(runner, 0.5)
    assert (about.engine, about.threads, about.dtype, about.layout) == (
        "eager", 2, "float32", "NCHW",
    )  # fmt: skip
    assert (about.batch, about.input, about.load_average) == (2, (2, 3, 32, 32), 0.5)
    assert {"torch", "numpy", "flyweight"} <= set(about.libraries)
    assert about.cpu
    assert about.cores >= 1


@pytest.mark.parametrize(
    ("cpu", "sets", "name"),
    [
        ("AMD EPYC", ("sse4_2", "avx", "avx2", "fma"), "amd-epyc-2-cores"),
        ("AMD EPYC", ("avx2", "avx512f", "avx512_bf16"), "amd-epyc-avx512-2-cores"),
        ("Intel(R) Xeon(R) Processor", ("avx2", "avx512f", "amx_tile"),
         "intel-xeon-processor-amx-2-cores"),
        ("Neoverse-N1", ("asimd", "asimdhp"), "neoverse-n1-2-cores"),
        ("Mystery", (), "mystery-2-cores"),
    ],
)  # fmt: skip
def test_machines_of_one_name_are_told_apart_by_their_vectors(
    cpu: str, sets: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(about_machine, "cpu_model", lambda: cpu)
    monkeypatch.setattr(about_machine, "instruction_sets", lambda: sets)
    monkeypatch.setattr(about_machine, "cores", lambda: 2)
    assert machine_name() == name


def test_environment_of_a_plain_function() -> None:
    about = environment(busy(0.001), None)
    assert (about.engine, about.threads, about.batch, about.input) == (None, None, None, None)


def test_runners_bring_what_is_known_of_their_networks() -> None:
    example = np.zeros((1, 3, 224, 224), np.float32)
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.AdaptiveAvgPool2d(1))
    runners = {
        "known": compile("mobilenet_v1_x0_25", example, engine="eager"),
        "fewer classes": compile(
            create_model("mobilenet_v1_x0_25", num_classes=10), example, engine="eager"
        ),
        "own": compile(pooled, example, engine="eager"),
        "function": busy(0.001),
    }
    known, fewer, own, function = (record.network for record in measure(runners, 0.5).records)
    assert known is not None
    assert (known.madds, known.params, known.top1_error) == (41030272, 470072, 49.4)
    assert fewer is not None
    assert (fewer.madds, fewer.params) == (41030272 - 990 * 256, 470072 - 990 * 257)
    assert (fewer.family, fewer.top1_error) == ("MobileNet V1", None)
    assert own is not None
    assert (own.name, own.family, own.madds) == ("Sequential", None, 222 * 222 * 3 * 4 * 9)
    assert function is None


STEADY = [1.0 + 0.001 * (i % 3) for i in range(60)]
SUSPECT = {
    "Only 5 rounds": STEADY[:5],
    "The first round took 3.0 times": [3.0, *STEADY],
    "4 of 64 rounds are outliers": [*STEADY[:30], 2.0, 2.0, *STEADY[30:], 2.0, 2.0],
    "spreads over": [1.0 + 0.4 * (i % 2) for i in range(60)],
    "the last third was 20% slower": [*STEADY, *[1.1] * 60, *[1.2 * s for s in STEADY]],
    "the last third was 20% faster": [*STEADY, *[0.9] * 60, *[0.8 * s for s in STEADY]],
}


@pytest.mark.parametrize("sentence", SUSPECT)
def test_suspicions_of_samples(sentence: str) -> None:
    assert any(sentence in found for found in suspicions.of_samples(SUSPECT[sentence]))


def test_steady_samples_raise_no_suspicion() -> None:
    assert suspicions.of_samples(STEADY) == []
    noise = np.random.default_rng(0).normal(1, 0.02, 100)
    assert suspicions.of_samples(noise.tolist()) == []


def test_suspicions_of_the_machine() -> None:
    quiet = (2, 1, "performance", 0.1, 0.02, 0.0)
    assert suspicions.of_machine(*quiet) == []
    assert suspicions.of_machine(2, None, None, None, None, None) == []
    said = suspicions.of_machine(2, 4, "powersave", 1.9, 0.8, 0.05)
    for words in ("4 threads were asked for on 2 cores", "governor is 'powersave'",
                  "0.8 of 2 cores busy", "hypervisor took 5%"):  # fmt: skip
        assert any(words in sentence for sentence in said), words
    assert "load was 1.9" in suspicions.of_machine(2, 1, None, 1.9, None, None)[0]


def test_work_on_a_gpu_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the clock starts and before it stops, for every block."""
    events: list[str] = []
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        synchronize=lambda: events.append("synchronize"),
        get_device_name=lambda: "A GPU",
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    record = measure_any({"a": lambda: time.sleep(0.03)}, 0.3).records[0]
    assert record.environment.gpu == "A GPU"
    assert len(events) >= 2 * record.n
