"""Several processes learn what one does, and none of them is lost when killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flyweight.training.checkpoints import checkpoints, read_checkpoint
from tests.training.small import image_folder

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
import torch
from flyweight.training.distributed import joined
from flyweight.training.running import train
from tests.training.small import Small, data, run_of

torch.set_num_threads(1)
norm, accumulate, out = sys.argv[1] == "norm", int(sys.argv[2]), Path(sys.argv[3])
found = []
with joined(torch.device("cpu")) as team:
    torch.manual_seed(7)
    model = Small(norm=norm, dropout=0.2 if norm else 0.0)
    run = run_of(model, data(), accumulate=accumulate, steps=10)
    def show(step):
        if step.result is not None:
            found.append((step.result.loss, step.result.right, step.result.images))
        if step.step == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGTERM)
    folder = out / f"run{team.rank if sys.argv[5:] else ''}"
    outcome = train(run, folder, team, 1, resume=True, show=show)
    if team.first:
        (out / "found.json").write_text(json.dumps(found))
"""


def environment() -> dict[str, str]:
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}


def done(folder: Path, processes: int, *args: str | int) -> subprocess.CompletedProcess[str]:
    """The program by torchrun, or in one process."""
    folder.mkdir(exist_ok=True)
    program = folder / "program.py"
    program.write_text(PROGRAM)
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [*start, str(program), *map(str, args)], cwd=ROOT, env=environment(), capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip


def losses(
    folder: Path, processes: int, norm: str, accumulate: int, stop: int = 0
) -> list[list[float]]:
    """Each step's loss, right answers and images."""
    ended = done(folder, processes, norm, accumulate, folder, stop)
    assert ended.returncode == 0, ended.stderr
    found: list[list[float]] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "accumulate"), [("plain", 1), ("norm", 2)])
def test_two_processes_learn_as_one(tmp_path: Path, norm: str, accumulate: int) -> None:
    """The same losses, up to the order of float32 sums: 1 part in 10,000 over ten steps.

    With batch norm, whose statistics are a piece's, one process must compute the same pieces.
    Crops, flips and colours are an image's, and dropout is a piece's, in either.
    """
    alone = losses(tmp_path / "alone", 1, norm, accumulate)
    together = losses(tmp_path / "together", 2, norm, 1)
    assert len(alone) == len(together) == 10
    for one, two in zip(alone, together, strict=True):
        assert two[0] == pytest.approx(one[0], rel=1e-4)
        assert two[2] == one[2] == 16
    assert sum(two[1] for two in together) == pytest.approx(sum(one[1] for one in alone), abs=2)


@pytest.mark.slow
def test_two_processes_go_on_as_one_did(tmp_path: Path) -> None:
    """A run that one process began is continued by two, with the same losses."""
    straight = losses(tmp_path / "straight", 1, "plain", 1)
    first = losses(tmp_path / "moved", 1, "plain", 1, stop=3)
    rest = losses(tmp_path / "moved", 2, "plain", 1)
    assert (len(first), len(rest)) == (3, 7)
    for one, two in zip(straight, [*first, *rest], strict=True):
        assert two[0] == pytest.approx(one[0], rel=1e-4)


@pytest.mark.slow
def test_processes_that_see_different_folders(tmp_path: Path) -> None:
    """On machines without a folder in common the second would begin anew beside the first."""
    losses(tmp_path, 1, "plain", 1, stop=3)
    (tmp_path / "run").rename(tmp_path / "run0")
    ended = done(tmp_path, 2, "plain", 1, tmp_path, 0, "apart")
    assert ended.returncode != 0
    assert "the processes find different checkpoints in" in ended.stderr


COMMAND = (
    *(sys.executable, "-m", "flyweight", "train", "tests.training.small:Small"),
    *("--input", "12", "--centre", "1", "--batch", "8", "--threads", "1", "--workers", "1"),
    *("--checkpoint", "1ms", "--resume", "--device", "cpu"),
)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    """Kill -9 ten times: every checkpoint that is there can be read, and the run ends as ever."""
    data = image_folder(tmp_path / "data", 60)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    command = [*COMMAND, "--data", str(data), "--steps", "300"]
    subprocess.run([*command, "--out", str(straight)], cwd=ROOT, env=environment(), check=True)
    chance = random.Random(0)
    reached = [0]
    for _ in range(10):
        process = subprocess.Popen([*command, "--out", str(killed)], cwd=ROOT, env=environment())
        began = time.monotonic()
        while process.poll() is None:
            steps = [int(path.stem[-9:]) for path in checkpoints(killed)]
            if max(steps, default=0) > reached[-1] or time.monotonic() - began > 60:
                break
            time.sleep(0.02)
        time.sleep(chance.random() / 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in checkpoints(killed):
            read_checkpoint(path)
        reached.append(max(int(path.stem[-9:]) for path in checkpoints(killed)))
    assert reached == sorted(reached)
    assert 0 < reached[1] < 300
    subprocess.run([*command, "--out", str(killed)], cwd=ROOT, env=environment(), check=True)
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (straight, killed)]
    assert weights[0] == weights[1]
