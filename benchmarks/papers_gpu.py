"""ShuffleNet V2's guidelines, its units and its whole networks on this machine's NVIDIA GPU.

Table 8, Appendix Table 1a, G1 to G4 and Appendix Table 1b in eager, CUDA-graph and torch.compile
form, at batch 1, 8 and 64, in float32 and bfloat16. Writes results/<gpu>/studies/STUDY.jsonl; what
these hold already isn't timed again, so that an interrupted run goes on where it was:

    .venv/bin/python benchmarks/papers_gpu.py [MINUTES]

What is left of the time is shared out before each setting; torch.compile, which takes half a minute
a network before anything is timed, gets four times as much as the others, and comes last.
"""

import re
import sys
import time
from itertools import product
from pathlib import Path

from flyweight.cli.app import run
from flyweight.engines import engine_named
from flyweight.engines.cuda import gpu_here

RESULTS = Path(__file__).resolve().parents[1] / "results"
STUDIES = ("g1", "g2", "g3", "g4", "units", "table8", "table1a")
FORMS = {"cuda-eager": 1, "cuda-graph": 1, "cuda-compile": 4}
"""With their weights when time is shared out."""
PRECISIONS = ("float32", "bfloat16")
BATCHES = (1, 8, 64)


def main(minutes: str = "40") -> int:
    for form in FORMS:
        engine_named(form).load()  # says why where there is no GPU
    name = "-".join(re.findall(r"[a-z0-9]+", str(gpu_here()).lower()))
    folder = RESULTS / name / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * float(minutes)
    settings = list(product(FORMS, PRECISIONS, BATCHES))
    weight = sum(FORMS[form] for form, _, _ in settings)
    for form, precision, batch in settings:
        left = (end - time.monotonic()) * FORMS[form] / weight
        weight -= FORMS[form]
        print(f"{form}, {precision}, batch {batch}: {left:.0f} s", flush=True)
        code = run([
            "study", *STUDIES, "--engine", form, "--precision", precision, "--batch", str(batch),
            "--within", f"{max(left, 1):.0f}s", "--records", str(folder),
        ])  # fmt: skip
        if code not in (0, 1):  # 1: something that it can't run was left out, and said
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
