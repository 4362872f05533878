"""The papers' studies on this machine: all on the native engine, the main ones on ONNX Runtime too.

Writes results/<machine>/studies/STUDY.jsonl; what these hold already isn't timed again, so that an
interrupted run goes on where it was. On an idle machine:

    .venv/bin/python benchmarks/papers.py [MINUTES]

The time is for everything, preparing and building the networks included: what is left of it is
shared out before each table's column is timed, and a column gets 10 seconds for each four networks
at most. Two minutes of the 40 are left for drawing docs/results.md. The native engine cuts
convolutions up by its fixed rule: measuring for 200 networks would take most of the time.
"""

import sys
import time
from pathlib import Path

from flyweight.cli.app import run
from flyweight.measuring.environment import machine_name
from flyweight.studies import STUDIES

RESULTS = Path(__file__).resolve().parents[1] / "results"
NATIVE_SHARE = 0.7
"""Of the time, at most; ONNX Runtime has what is left."""
TWICE = ("g1", "g2", "g3", "g4", "table8")
"""The guidelines and the comparison of whole networks: run on ONNX Runtime as well."""


def main(minutes: str = "38") -> int:
    folder = RESULTS / machine_name() / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    total, began = 60 * float(minutes), time.monotonic()
    twice = [name for name in TWICE if name in STUDIES]
    parts = (("native", ["all"], NATIVE_SHARE), ("onnxruntime", twice, 1.0))
    for engine, names, share in parts:
        left = share * total - (time.monotonic() - began)
        if left <= 0:
            print(f"no time was left for {engine}", file=sys.stderr)
            continue
        within = ["--within", f"{max(left, 1):.0f}s", "--records", str(folder)]
        code = run(["study", *names, "--engine", engine, "--no-tune", *within])
        if code not in (0, 1):  # 1: something that the engine can't run was left out, and said
            return code
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
