"""Where networks' time goes: those of ShuffleNet V2's Figure 2, and ShuffleNet V2 itself.

Writes results/<machine>/decompose/NETWORK.json, what 'flyweight decompose --json' does; networks
that have their file already aren't done again. On an idle machine, some minutes each:

    .venv/bin/python benchmarks/decompose.py [NETWORK...]
"""

import json
import sys
from pathlib import Path

from resuming import RESULTS

from flyweight.cli.app import run
from flyweight.files import replaced
from flyweight.measuring.environment import machine_name

NETWORKS = ("shufflenet_v1_x1_0_g3", "mobilenet_v2_x1_0", "shufflenet_v2_x1_0")
ENGINES = "eager,onnxruntime,openvino,native"


def main(*names: str) -> int:
    folder = RESULTS / machine_name() / "decompose"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NETWORKS:
        file = folder / f"{name}.json"
        if file.exists():
            continue
        code = run(["decompose", name, "--engine", ENGINES, "--budget", "15s", "--json", str(file)])
        if code:
            file.unlink(missing_ok=True)
            return code
        _shorten(file)
        print()
    return 0


def _shorten(file: Path) -> None:
    """A line for each operation would be most of the file."""
    found = json.loads(file.read_text(encoding="utf-8"))
    with replaced(file) as temporary:
        temporary.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
