"""The advisor on networks with planted waste, by the machine's own times.

For each network of tests/advising/planted.py, on ONNX Runtime and where its waste costs: whether
the planted waste is what saves most, and how the gain that a block alone predicts compares with the
one of the whole network. Clean networks should get nothing. With --noise another process keeps a
core busy, and some of them are advised on ten times: how often the verdict on a piece of advice is
its usual one. Writes results/<machine>/advice_planted.json, or advice_noise.json, after each
network or run; what is there already isn't done again. On an idle machine:

    .venv/bin/python benchmarks/advice_planted.py [SECONDS A NETWORK] [--noise] [NAME ...]
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resuming import RESULTS, keep_rows, kept_rows
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flyweight.advising import (  # noqa: E402
    ARCHITECTURAL,
    EXACT,
    NOTE,
    Advice,
    Setting,
    Trial,
    advise_model,
)
from flyweight.measuring.environment import machine_name  # noqa: E402
from tests.advising.planted import CLEAN, MIXED, PLANTED  # noqa: E402

ENGINE = "onnxruntime"
EAGER = "eager"
WHERE = {
    "layout changes": (EAGER,),
    "work done twice": (EAGER,),
    "unequal widths": (ENGINE, EAGER),
    "serial fragments": (ENGINE, EAGER),
    "widths, layouts, fragments": (EAGER,),
}
"""Engines other than ONNX Runtime alone. The first two and the last don't get as far as that, since
the exporter to ONNX leaves something out; the others need not cost there, where activations are
fused and starting an operation takes a microsecond."""
SIZES = {EAGER: 28}
SIZE = 56
NOISY = ("layout changes", "serial fragments", "plain 3x3, 32")
"""One that exact advice helps, one that architectural advice does, and one without waste. In eager
mode, where nothing takes long to prepare: what was not tried in time is no verdict."""
TIMES = 10
"""That a network is advised on beside another process."""
Networks = dict[str, Callable[[], nn.Module]]


def advice_on(key: str, make: Callable[[], nn.Module], engine: str, seconds: float) -> Advice:
    """What the advisor says of a network."""
    torch.manual_seed(0)
    size = SIZES.get(engine, SIZE)
    example = np.random.default_rng(0).standard_normal((1, 3, size, size), np.float32)
    return advise_model(make().eval(), example, Setting(engine, 1), seconds, False, key)


def row(key: str, engine: str, advice: Advice) -> dict[str, Any]:
    """What is kept of it."""
    confirmed = [one.key for one in advice.confirmed()]
    own = _own(key, engine, advice)
    return {
        "planted": key,
        "engine": engine,
        "found": [[one.key, one.share] for one in advice.findings if one.kind != NOTE],
        "confirmed": confirmed,
        "first": bool(confirmed) and confirmed[0] == key,
        "advice": own.about or own.advice if own else None,
        "predicted": own.predicted if own else None,
        "measured": own.ratio.value if own and own.ratio else None,
        "tried": [
            {
                "advice": one.about or one.advice,
                "verdict": one.verdict,
                "predicted": one.predicted,
                "ratio": [one.ratio.value, one.ratio.low, one.ratio.high] if one.ratio else None,
            }
            for one in advice.trials
        ],
        "exact": advice.exact.ratio.value if advice.exact and advice.exact.ratio else None,
        "environment": advice.records[0].to_json()["environment"] if advice.records else None,
    }


def _own(key: str, engine: str, advice: Advice) -> Trial | None:
    """The kept advice that answers a finding: its own, or the rewriting that brings most."""
    for one in advice.kept(ARCHITECTURAL):
        if one.about == key:
            return one
    if not any(one.key == key and one.kind == EXACT for one in advice.findings):
        return None
    rewrites = [
        one
        for one in advice.kept(EXACT)
        if one.setting and one.setting.engine == engine and (one.setting.lowered or one.simplified)
    ]
    return rewrites[0] if rewrites else None


def said(one: dict[str, Any]) -> str:
    """In a line."""
    gain = ""
    if one["measured"] is not None and one["predicted"] is not None:
        gain = f", predicted {one['predicted']:.3f}, measured {one['measured']:.3f}"
    place = "first" if one["first"] else f"confirmed {one['confirmed']}, found {one['found']}"
    return f"{one['planted']} on {one['engine']}: {place}{gain}"


def plain(networks: Networks, seconds: float, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Advise on those of the networks that aren't among the rows yet."""
    for key, make in networks.items():
        for engine in WHERE.get(key, (ENGINE,)):
            if any((one["planted"], one["engine"]) == (key, engine) for one in rows):
                continue
            one = row(key, engine, advice_on(key, make, engine, seconds))
            rows.append({**one, "clean": key in CLEAN, "mixed": key in MIXED})
            yield said(one)


def busy(parent: int) -> None:
    """Keep a core busy until killed, or until the parent is gone."""
    while os.getppid() == parent:
        sum(range(10_000))


def noisy(networks: Networks, seconds: float, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Advise on networks again and again beside a busy process."""
    other = multiprocessing.get_context("spawn").Process(target=busy, args=[os.getpid()])
    other.start()
    try:
        for key, make in networks.items():
            for run in range(TIMES):
                if any((one["planted"], one["run"]) == (key, run) for one in rows):
                    continue
                advice = advice_on(key, make, EAGER, seconds)
                verdicts = {one.about or one.advice: one.verdict for one in advice.trials}
                environment = advice.records[0].to_json()["environment"]
                rows.append({"planted": key, "engine": EAGER, "run": run, "budget_s": seconds,
                             "verdicts": verdicts, "environment": environment})  # fmt: skip
                yield f"{key}, run {run + 1}: {verdicts}"
    finally:
        other.kill()


def main(*words: str) -> None:
    """Advise on all networks that the file hasn't yet."""
    networks: Networks = {**PLANTED, **{key: make for key, (make, _) in MIXED.items()}, **CLEAN}
    names = [word for word in words if word in networks]
    given = [word for word in words if word not in ("--noise", *names)]
    seconds = float(given[0]) if given else 60.0
    noise = "--noise" in words
    chosen = names or (NOISY if noise else networks)
    path = RESULTS / machine_name() / ("advice_noise.json" if noise else "advice_planted.json")
    rows = kept_rows(path)
    asked = {key: networks[key] for key in chosen}
    for line in (noisy if noise else plain)(asked, seconds, rows):
        keep_rows(path, rows)
        print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
