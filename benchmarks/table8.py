"""The networks of ShuffleNet V2's Table 8, on three engines, in one interleaved run.

Writes results/<machine>/table8.jsonl. Run it on an idle machine:

    .venv/bin/python benchmarks/table8.py [BUDGET]
"""

import sys
from pathlib import Path

from flyweight.cli.app import run
from flyweight.measuring.environment import machine_name

# Not torch.compile: it takes half a minute a network before anything is measured.
ENGINES = ("eager", "onnxruntime", "openvino")
RESULTS = Path(__file__).resolve().parents[1] / "results"


def main(budget: str = "180s") -> int:
    folder = RESULTS / machine_name()
    folder.mkdir(parents=True, exist_ok=True)
    levels = [word for level in (40, 140, 300, 500) for word in ("--level", str(level))]
    engines = [word for name in ENGINES for word in ("--engine", name)]
    target = ["--budget", budget, "--json", str(folder / "table8.jsonl")]
    return run(["bench", *levels, *engines, *target])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
