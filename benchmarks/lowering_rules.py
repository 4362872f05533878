"""What pays on which engine: networks lowered under different rules, timed side by side.

The rules of flyweight.lowering.rules come from this. Writes results/<machine>/lowering_rules.jsonl.
On an idle machine:

    .venv/bin/python benchmarks/lowering_rules.py [SECONDS A NETWORK AND ENGINE]
"""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from lowering import ENGINES
from resuming import resume

from flyweight.api import network_facts, to_time
from flyweight.engines import Options, Runner
from flyweight.graph import frozen_copy, to_onnx
from flyweight.lowering import lower
from flyweight.lowering.rules import RULES, Rules
from flyweight.measuring import measure
from flyweight.records import paired_ratio
from flyweight.records.schema import Record

VARIANTS = {
    "basic": Rules(),
    "aligned": Rules(align_read=4, align_block=8),
    "indexed": Rules(index_groups=99),
    "siblings": Rules(merge_siblings=True),
}
CASES = {
    "shufflenet_v2_x1_0": ("basic", "aligned"),
    "shufflenet_v2_x2_0": ("basic", "aligned"),
    "shufflenet_v1_x1_0_g2": ("basic", "indexed"),
    "shufflenet_v1_x1_0_g3": ("basic", "indexed"),
    "shufflenet_v1_x1_0_g4": ("basic", "indexed"),
    "shufflenet_v1_x1_0_g8": ("basic", "indexed"),
    "googlenet_bn": ("basic", "siblings"),
}
INSTANCES = 4


def compared(name: str, engine: str, seconds: float) -> list[Record]:
    """Records of a network as it is and under each of its rules."""
    example = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    model = to_time(name)
    facts = network_facts(model, example.shape, name)
    written: dict[str, bytes] = {}
    for variant in ("plain", *CASES[name]):
        module: torch.nn.Module = model
        if variant != "plain":
            RULES["tried"] = VARIANTS[variant]
            module = lower(model, torch.from_numpy(example), "tried")
        written[variant] = to_onnx(frozen_copy(module), torch.from_numpy(example))
    prepared: dict[str, Runner] = {}
    for instance in range(1, INSTANCES + 1):
        # What is prepared later may lie worse in memory: they take turns.
        for variant in list(written)[:: 1 if instance % 2 else -1]:
            runner = ENGINES[engine].from_onnx(written[variant], name, example, Options(1))
            key = f"{name}/{engine} {variant} #{instance}"
            prepared[key] = replace(runner, facts=facts, lowered=variant != "plain")
    records = measure(prepared, seconds).records
    means = {
        variant: np.mean([r.samples_s for r in records if f" {variant} #" in r.runner], axis=0)
        for variant in ("plain", *CASES[name])
    }
    for variant in CASES[name]:
        ratio = paired_ratio(means[variant], means["plain"])
        print(
            f"{name}/{engine} {variant}: {ratio.value:.3f} ({ratio.low:.3f}-{ratio.high:.3f})",
            flush=True,
        )
    return records


def main(seconds: str = "8") -> int:
    todo = {
        f"{name}/{engine} ": partial(compared, name, engine, float(seconds))
        for name in CASES
        for engine in ENGINES
    }
    resume("lowering_rules.jsonl", todo)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
