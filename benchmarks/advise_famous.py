"""What the advisor says about famous networks, for docs/famous.md.

Adds each network to results/<machine>/advise_famous.json; one that is there already
isn't advised on again, so that an interrupted run goes on where it was. On an idle machine:

    .venv/bin/python benchmarks/advise_famous.py [SECONDS A NETWORK] [NETWORK[/ENGINE] ...]

The engine is ONNX Runtime where none is named. MobileNet V2 is advised on in eager mode too: ONNX
Runtime fuses the activations that ShuffleNet V2's authors found to cost it time. Samples aren't
kept, only what follows from them: medians, ratios and their intervals.
"""

import sys
import time
from datetime import UTC, datetime
from typing import Any

from resuming import RESULTS, keep_rows, kept_rows

import flyweight
from flyweight.advising import Advice
from flyweight.measuring.environment import machine_name
from flyweight.zoo import model_info

ENGINE = "onnxruntime"
SECONDS = 150.0
NETWORKS = (
    "shufflenet_v1_x1_0_g3",
    "mobilenet_v2_x1_0",
    "mobilenet_v2_x1_0/eager",
    "nasnet_a_4_1056",
    "shufflenet_v2_x1_0",
    "mobilenet_v1_x1_0",
    "igcv3_d_x1_0",
    "squeezenext_x1_0_23",
    "squeezenet_1_1",
    "densenet_light_x1_0",
    "xception_light_x1_0",
    "googlenet",
    "resnet_18",
)
PLACES = 3
"""Of a finding that are kept, the most expensive ones."""


def row(advice: Advice, budget_s: float, took_s: float) -> dict[str, Any]:
    """What is kept of advice on a network."""
    whole = advice.to_json()
    for name in ("decomposition", "records"):
        del whole[name]
    for one in whole["findings"]:
        one["count"] = len(one.pop("operations"))
        one["places"] = [place["module"] for place in one["places"][:PLACES]]
    for one in (*whole["trials"], whole["exact"], whole["architectural"]):
        if one is not None:
            one["changes"] = len(one["changes"])
    environment = advice.records[0].to_json()["environment"] if advice.records else None
    warnings = sorted({text for record in advice.records for text in record.warnings})
    return {
        **whole, "budget_s": budget_s, "took_s": round(took_s, 1), "warnings": warnings,
        "started": datetime.now(UTC).isoformat(timespec="seconds"), "environment": environment,
    }  # fmt: skip


def main(*words: str) -> int:
    """Advise on all networks that the file hasn't yet."""
    seconds = next((float(word) for word in words if word.replace(".", "").isdigit()), SECONDS)
    names = [word for word in words if not word.replace(".", "").isdigit()] or NETWORKS
    path = RESULTS / machine_name() / "advise_famous.json"
    rows = kept_rows(path)
    for name, _, named in (word.partition("/") for word in names):
        engine = named or ENGINE
        if any((one["network"], one["setting"]["engine"]) == (name, engine) for one in rows):
            continue
        side = model_info(name).resolution
        begun = time.monotonic()
        advice = flyweight.advise(name, (1, 3, side, side), engine, 1, seconds, network=name)
        if not advice.complete:
            print(f"{name}: interrupted", file=sys.stderr)
            return 130
        rows.append(row(advice, seconds, time.monotonic() - begun))
        keep_rows(path, rows)
        guidelines = sorted({one.guideline for one in advice.findings if one.guideline})
        took = f"{name} on {engine}, {rows[-1]['took_s']:.0f} s"
        print(f"{took}: {', '.join(guidelines)}. {advice.summary()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
