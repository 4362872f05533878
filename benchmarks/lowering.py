"""Plain against lowered: the networks of ShuffleNet V2's Table 8 on ONNX Runtime and OpenVINO.

Paired, one thread, batch 1, in float32 and, where the CPU has it, in bfloat16. One instance of a
network can be 5 % slower than another of the same network by where its weights happen to lie, so
each form is prepared several times and the instances are timed side by side; figures are of the
mean over instances in each round. Writes results/<machine>/lowering.jsonl. On an idle machine:

    .venv/bin/python benchmarks/lowering.py [SECONDS A NETWORK AND ENGINE] [NETWORK ...]

Networks that the file has already are kept, so that an interrupted run goes on where it was.
"""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from resuming import resume

from flyweight.api import network_facts, to_time
from flyweight.engines import Options, Runner, onnx_runtime, open_vino
from flyweight.graph import frozen_copy, to_onnx
from flyweight.lowering import lower
from flyweight.measuring import measure
from flyweight.records import NetworkFacts, paired_ratio
from flyweight.records.schema import Record
from flyweight.zoo import table8_entries

ENGINES = {"onnxruntime": onnx_runtime, "openvino": open_vino}
INSTANCES = 4
ALSO = [("shufflenet_v2_x1_0_halved", 224)]
"""Not in Table 8, but the form of most public weights."""


def runners(
    models: dict[str, bytes],
    name: str,
    engine: str,
    precision: str,
    example: np.ndarray,
    facts: NetworkFacts | None,
) -> dict[str, Runner]:
    """Several instances of a network in both forms, by name.

    The forms take turns in being prepared first: what is prepared later may lie worse in memory.
    """
    found: dict[str, Runner] = {}
    options = Options(1, precision)
    mark = "" if precision == "float32" else f" {precision}"
    for instance in range(1, INSTANCES + 1):
        forms = list(models) if instance % 2 else list(models)[::-1]
        for form in forms:
            runner = ENGINES[engine].from_onnx(models[form], name, example, options)
            key = f"{name}@{example.shape[-1]}/{engine}{form}{mark} #{instance}"
            found[key] = replace(runner, facts=facts, lowered=form != "")
    return found


def precisions(engine: str) -> list[str]:
    """Those that an engine has on this CPU."""
    return ["float32", "bfloat16"] if ENGINES[engine].has_bf16() else ["float32"]


def compared(name: str, size: int, seconds: float) -> list[Record]:
    """Records of one network in all forms on all engines."""
    example = np.random.default_rng(0).standard_normal((1, 3, size, size), np.float32)
    model = to_time(name)
    facts = network_facts(model, example.shape, name)
    images = torch.from_numpy(example)
    plain = to_onnx(frozen_copy(model), images)
    written: dict[str, bytes] = {}
    found: list[Record] = []
    for engine in ENGINES:
        lowered = lower(model, images, engine)
        # Most networks are the same under the rules of both engines, and are written once.
        same = "\n".join([lowered.code, *(str(t.shape) for t in lowered.buffers())])
        written[same] = written.get(same) or to_onnx(frozen_copy(lowered), images)
        for precision in precisions(engine):
            forms = {"": plain, "+lowered": written[same]}
            prepared = runners(forms, name, engine, precision, example, facts)
            records = measure(prepared, seconds).records
            found += records
            print(said(records), flush=True)
    return found


def said(records: list[Record]) -> str:
    """The ratio of the forms of one network on one engine."""
    plain, lowered = (
        np.mean([r.samples_s for r in records if bool(r.environment.lowered) is form], axis=0)
        for form in (False, True)
    )
    ratio = paired_ratio(lowered, plain)
    return (
        f"{records[0].runner.split(' #')[0]}: {np.median(plain) * 1e3:.2f} ->"
        f" {np.median(lowered) * 1e3:.2f} ms, ratio {ratio.value:.3f}"
        f" ({ratio.low:.3f}-{ratio.high:.3f})"
    )


def main(seconds: str = "10", *names: str) -> int:
    entries = [*table8_entries([40, 140, 300, 500]), *ALSO]
    todo = {
        f"{name}@{size}/": partial(compared, name, size, float(seconds))
        for name, size in entries
        if not names or name in names
    }
    resume("lowering.jsonl", todo)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
