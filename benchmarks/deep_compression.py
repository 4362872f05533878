"""Deep Compression on real networks: SqueezeNet's published stream, and a network trained here.

Writes results/<machine>/deep_compression.json, from which docs/compress.md is generated: an entry
for each network, with the size of every step, its accuracy, and its time beside the first step's.
What is there is left out, and training goes on with what is in WORK, so that an interrupted run
goes on. A few minutes for each step of SqueezeNet, and as long as training takes for the other:

    python benchmarks/deep_compression.py STREAM IMAGES LABELS RUN SMALL WORK

Args:
    STREAM: compressed_SqueezeNet.net, as SqueezeNet's authors published it.
    IMAGES, LABELS: images of 227 x 227 pixels, and a text file with the class of each.
    RUN, SMALL: a folder that examples/train_on_small_images.py wrote, and the images it read.
    WORK: a folder for checkpoints.
"""

import contextlib
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resuming import RESULTS, keep_rows, kept_rows

from flyweight.cli.app import run
from flyweight.compress import read_published
from flyweight.compress.relative import entropy, relative
from flyweight.measuring.environment import machine_name

NAME = "squeezenet_1_0"
FILE = "deep_compression.json"
BUDGET = "40s"
SQUEEZENET_BITS = (8, 6, 5, 4)
SMALL = (("0.3", "1", "6"), ("0.3", "1", "4"), ("0.5", "2", "6"))
"""Densities, rounds of pruning, and bits."""
EPOCHS = "2"


def said(*args: str) -> Any:
    """What a command prints as JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*args, "--json"])
    if code != 0:
        sys.exit(code)
    return json.loads(out.getvalue())


def squeezenet(stream: str, images: str, labels: str, bits: int) -> dict[str, Any]:
    """The published weights again in codes of so many bits, without training; 8 are theirs."""
    with tempfile.TemporaryDirectory() as folder:
        out, weights = Path(folder, "sq.fwc"), Path(folder, "sq.safetensors")
        found = said("compress", NAME, "--weights", stream, "--out", str(out), "--bits",
                     str(bits), "--budget", BUDGET)  # fmt: skip
        run(["decompress", str(out), "--out", str(weights)])
        accuracy = said("evaluate", NAME, "--weights", str(weights), "--data", images, "--labels",
                        labels, "--resize", "none")  # fmt: skip
    last = found["steps"][-1]
    return {
        "network": NAME,
        "bits": bits,
        "bytes_before": found["steps"][0]["bytes"],
        **{key: last[key] for key in ("bytes", "density", "median_s", "time_over_first")},
        **{key: accuracy[key] for key in ("n", "top1", "top5")},
    }


def stream_size(stream: str) -> dict[str, Any]:
    """The stream as it was published, and what Huffman codes can't go below."""
    bits = 0.0
    for one in read_published(Path(stream)).coded().values():
        entries, gaps = relative(one.codes.reshape(-1))
        bits += len(entries) * (entropy(entries) + entropy(gaps))
    return {"network": NAME, "stream_bytes": Path(stream).stat().st_size, "entropy_bytes": bits / 8}


def small(trained: str, images: str, work: Path, *plan: str) -> dict[str, Any]:
    """A network trained here: pruned, shared, and trained between the steps."""
    density, rounds, bits = plan
    checkpoints = work / f"{density}-{rounds}-{bits}"
    like = [folder for folder in work.glob(f"{density}-{rounds}-*") if folder != checkpoints]
    if like and not checkpoints.exists():  # pruning is the same for all bits
        shutil.copytree(like[0], checkpoints, ignore=shutil.ignore_patterns("share"))
    with tempfile.TemporaryDirectory() as folder:
        found = said("compress", trained, "--data", images, "--density", density, "--rounds",
                     rounds, "--bits", bits, "--epochs", EPOCHS, "--work", str(checkpoints),
                     "--resume", "--out", str(Path(folder, "small.fwc")), "--budget",
                     BUDGET)  # fmt: skip
    about = json.loads(Path(trained, "run.json").read_text(encoding="utf-8"))
    return {
        "network": about["network"], "density": float(density), "rounds": int(rounds),
        "bits": int(bits), "epochs": int(EPOCHS), "engine": found["engine"],
        "steps": found["steps"],
    }  # fmt: skip


def main(stream: str, images: str, labels: str, trained: str, small_images: str, work: str) -> int:
    todo: dict[str, Callable[[], dict[str, Any]]] = {"stream": lambda: stream_size(stream)}
    for bits in SQUEEZENET_BITS:
        todo[f"squeezenet {bits}"] = lambda bits=bits: squeezenet(stream, images, labels, bits)
    for plan in SMALL:
        todo[f"small {' '.join(plan)}"] = lambda plan=plan: small(
            trained, small_images, Path(work), *plan
        )
    path = RESULTS / machine_name() / FILE
    rows = kept_rows(path)
    for case, measured in todo.items():
        if any(row["case"] == case for row in rows):
            continue
        print(case, flush=True)
        rows.append({"case": case, **measured()})
        keep_rows(path, rows)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
