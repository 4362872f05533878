"""The advisor on networks with planted waste, by the machine's own times.

For each network of tests/advising/planted.py, on ONNX Runtime or where its waste costs: whether the
planted waste is what saves most, and how the gain that the block alone predicts compares with the
one of the whole network. Clean networks should get nothing. With --noise another process keeps a
core busy, and everything is done ten times: how often the verdict on a piece of advice is its usual
one. Writes results/<machine>/advice_planted.json, or advice_noise.json. On an idle machine:

    .venv/bin/python benchmarks/advice_planted.py [SECONDS A NETWORK] [--noise] [NAME ...]
"""

import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resuming import RESULTS, keep_rows, kept_rows
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flyweight.advising import ARCHITECTURAL, NOTE, Setting, advise_model  # noqa: E402
from flyweight.measuring.environment import machine_name  # noqa: E402
from tests.advising.planted import CLEAN, PLANTED  # noqa: E402

ENGINE = "onnxruntime"
ELSEWHERE = {"layout changes": "eager", "work done twice": "eager"}
"""What doesn't get as far as ONNX Runtime, since the exporter to ONNX leaves it out."""
SIZE = 56
TIMES = 10
"""That a network is advised on beside another process."""


def advised(key: str, make: Callable[[], nn.Module], seconds: float) -> dict[str, Any]:
    """What the advisor says of a network."""
    torch.manual_seed(0)
    example = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE), np.float32)
    setting = Setting(ELSEWHERE.get(key, ENGINE), 1)
    advice = advise_model(make().eval(), example, setting, seconds, False, key)
    confirmed = [one.key for one in advice.confirmed()]
    kept = {one.about: one for one in advice.kept(ARCHITECTURAL)}
    own = kept.get(key)
    return {
        "planted": key,
        "engine": setting.engine,
        "found": [[one.key, one.share] for one in advice.findings if one.kind != NOTE],
        "confirmed": confirmed,
        "first": bool(confirmed) and confirmed[0] == key,
        "predicted": own.predicted if own else None,
        "measured": own.ratio.value if own and own.ratio else None,
        "verdicts": {one.about or one.advice: one.verdict for one in advice.trials},
        "exact": advice.exact.ratio.value if advice.exact and advice.exact.ratio else None,
        "environment": advice.records[0].to_json()["environment"] if advice.records else None,
    }


def said(one: dict[str, Any]) -> str:
    """In a line."""
    gain = ""
    if one["measured"] is not None and one["predicted"] is not None:
        gain = f", predicted {one['predicted']:.3f}, measured {one['measured']:.3f}"
    place = "first" if one["first"] else f"confirmed {one['confirmed']}, found {one['found']}"
    return f"{one['planted']}: {place}{gain}"


def busy() -> None:
    """Keep a core busy until killed."""
    while True:
        sum(range(10_000))


def noisy(make: Callable[[], nn.Module], key: str, seconds: float) -> dict[str, Any]:
    """How often each verdict was its usual one, beside a busy process."""
    other = multiprocessing.Process(target=busy, daemon=True)
    other.start()
    try:
        runs = [advised(key, make, seconds)["verdicts"] for _ in range(TIMES)]
    finally:
        other.kill()
    names = sorted({name for run in runs for name in run})
    counted = {name: Counter(run.get(name, "not found") for run in runs) for name in names}
    return {"planted": key, "verdicts": {name: dict(one) for name, one in counted.items()}}


def main(*words: str) -> None:
    """Advise on all networks that the file hasn't yet."""
    networks = {**PLANTED, **CLEAN}
    names = [word for word in words if word in networks]
    given = [word for word in words if word not in ("--noise", *names)]
    seconds = float(given[0]) if given else 90.0
    noise = "--noise" in words
    path = RESULTS / machine_name() / ("advice_noise.json" if noise else "advice_planted.json")
    results = kept_rows(path)
    for key, make in networks.items():
        known = any(one["planted"] == key for one in results)
        if known or (names and key not in names):
            continue
        one = noisy(make, key, seconds) if noise else advised(key, make, seconds)
        results.append({**one, "clean": key in CLEAN})
        print(json.dumps(one["verdicts"]) if noise else said(one), flush=True)
        keep_rows(path, results)


if __name__ == "__main__":
    main(*sys.argv[1:])
