"""The commands as a stranger types them, with good and bad input.

In this process, for speed, where it isn't the process that is tested: `run` is all that the command
does beside exiting.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flyweight.cli.app import run
from flyweight.records import read_records
from flyweight.zoo import create_model
from flyweight.zoo.weights import save_weights

NETWORK = """
import torch
from torch import nn
def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
def grey():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
class Branches(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))
def branches():
    return Branches()
def broken():
    raise RuntimeError("no weights here")
def nothing():
    return 3
"""


def flyweight(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flyweight", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def here_and_now(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
    ):  # fmt: skip
        code = run(args)
    return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module, an image and a weights file."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "mine.py").write_text(NETWORK)
    (folder / "unimportable.py").write_text("import no_such_module_anywhere")
    (folder / "text.jpg").write_text("This is no photograph.")
    pixels = np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)
    (folder / "photos").mkdir()
    Image.fromarray(pixels).save(folder / "photos" / "a.png")
    Image.fromarray(pixels[:, ::-1]).save(folder / "photos" / "b.jpg")
    model = create_model("shufflenet_v2_x0_5")
    save_weights(model, folder / "good.safetensors")
    whole = (folder / "good.safetensors").read_bytes()
    (folder / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    with_nan = create_model("shufflenet_v2_x0_5")
    with_nan.stages["stage3"][1].main[0].conv.weight.data[0, 0] = float("nan")
    save_weights(with_nan, folder / "nan.safetensors")
    return folder


WRONG = {
    "unknown network": (
        ["bench", "shufflenet_v2_x3_0"], 2,
        "unknown model 'shufflenet_v2_x3_0'; did you mean shufflenet_v2_x2_0?",
    ),
    "unknown network to info": (["info", "mobilnet_v1_x1_0"], 2, "did you mean mobilenet_v1_x1_0"),
    "pattern without match": (["bench", "renset*"], 2, "no network matches 'renset*'"),
    "nothing to bench": (["bench"], 2, "name networks, or give --level 40"),
    "unknown level": (["bench", "--level", "41"], 2, "no level 41"),
    "unknown engine": (
        ["bench", "mobilenet_v1_x0_25", "--engine", "onnx"], 2, "did you mean onnxruntime?",
    ),
    "unknown precision": (
        ["bench", "mine:small", "--precision", "bf16"], 2, "did you mean bfloat16?",
    ),
    "two forms": (["bench", "mine:small", "--both", "--lowered"], 2, "one of --plain, --lowered"),
    "unknown form": (["bench", "mine:small/eager+fast"], 2, "is +lowered, not '+fast'"),
    "form without an engine": (
        ["compare", "mine:small", "mine:small+lowered"], 2, "as in mine:small/openvino+lowered",
    ),
    "unknown form of an engine": (
        ["compare", "eager", "eager+fast", "--model", "mine:small"], 2, "is +lowered, not '+fast'",
    ),
    "lowered with itself": (
        ["compare", "eager+lowered", "mine:small/eager+lowered", "--model", "mine:small"], 2,
        "both sides are mine:small/eager+lowered",
    ),
    "unknown command": (["bnch"], 2, "bnch"),
    "unknown option": (["bench", "--thread", "1"], 2, "--thread"),
    "module that is not there": (["cost", "nowhere:f"], 2, "'nowhere' doesn't import"),
    "module that doesn't import": (["cost", "unimportable:f"], 2, "no_such_module_anywhere"),
    "no such factory": (["cost", "mine:other"], 2, "has no function 'other'"),
    "factory that raises": (["cost", "mine:broken"], 2, "RuntimeError: no weights here"),
    "factory of no module": (["cost", "mine:nothing"], 2, "returned int, not a torch.nn.Module"),
    "wrong channels": (["cost", "mine:grey"], 2, "to have 1 channels, but got 3 channels"),
    "wrong channels to bench": (
        ["bench", "mine:grey", "--engine", "eager"], 2, "to have 1 channels, but got 3 channels",
    ),
    "size of too few numbers": (["cost", "mine:small", "--input", "3,224"], 2, "doesn't run on"),
    "size that is no number": (["cost", "mine:small", "--input", "big"], 2, "'big' is no size"),
    "size of zero": (["bench", "mine:small", "--input", "0"], 2, "'0' is no size"),
    "size after @": (["bench", "mobilenet_v1_x0_25@big"], 2, "after @ comes the input size"),
    "zero threads": (["bench", "mine:small", "--threads", "0"], 2, "threads must be 1 or more"),
    "negative threads": (["compare", "mobilenet_v1_x0_25", "mobilenet_v1_x0_5",
                          "--threads", "-2"], 2, "threads must be 1 or more, not -2"),
    "zero batch": (["bench", "mine:small", "--batch", "0"], 2, "batch must be 1 or more, not 0"),
    "budget of nothing": (["bench", "mine:small", "--budget", "0s"], 2, "'0s' is no duration"),
    "budget of words": (["bench", "mine:small", "--budget", "soon"], 2, "'soon' is no duration"),
    "no folder to write to": (
        ["bench", "mine:small", "--json", "no/r.jsonl"], 1, "there is no folder no",
    ),
    "a folder to write to": (["bench", "mine:small", "--html", "photos"], 1, "it is a folder"),
    "compare with itself": (
        ["compare", "mobilenet_v1_x0_25", "mobilenet_v1_x0_25"], 2, "there is nothing to compare",
    ),
    "compare engines of nothing": (["compare", "eager", "onnxruntime"], 2, "with --model NAME"),
    "can't be captured": (
        ["bench", "mine:branches", "--engine", "onnxruntime"], 1, "can't be captured",
    ),
    "report of nothing": (["report", "none.jsonl", "--html", "r.html"], 1, "can't read none.jsonl"),
    "report to nowhere": (["report", "mine.py"], 2, "--html FILE, --png FILE, or both"),
    "report of no records": (["report", "mine.py", "--png", "r.png"], 1, "line 2: not JSON"),
    "weights that aren't there": (
        ["classify", "photos", "--model", "shufflenet_v2_x0_5", "--weights", "none.pth"], 1,
        "no such file: none.pth",
    ),
    "weights cut short": (
        ["classify", "photos", "--model", "shufflenet_v2_x0_5", "--weights", "short.safetensors"],
        1, "cut short",
    ),
    "weights that aren't numbers": (
        ["classify", "photos", "--model", "shufflenet_v2_x0_5", "--weights", "nan.safetensors"],
        1, "'stages.stage3.1.main.0.conv.weight' holds values that are infinite or not numbers",
    ),
    "weights of another width": (
        ["classify", "photos", "--model", "shufflenet_v2_x1_0", "--weights", "good.safetensors"],
        1, "shufflenet_v2_x0_5",
    ),
    "text for weights": (
        ["classify", "photos", "--model", "shufflenet_v2_x0_5", "--weights", "mine.py"], 1,
        "neither safetensors nor a PyTorch checkpoint",
    ),
    "no such image": (
        ["classify", "none.jpg", "--model", "shufflenet_v2_x0_5", "--weights", "good.safetensors"],
        1, "no such file or folder: none.jpg",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_clear_line(
    here: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args, code, words = WRONG[case]
    monkeypatch.chdir(here)
    assert run(args) == code
    said = capsys.readouterr()
    usual = ("flyweight: left", "flyweight: using engine")  # the latter without a C compiler
    lines = [line for line in said.err.splitlines() if not line.startswith(usual)]
    assert words in said.err
    assert len(lines) == 1, said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_exit_codes_of_the_process(here: Path) -> None:
    assert flyweight(cwd=here).stdout.startswith("Usage: flyweight")
    assert flyweight("info", "shufflenet_v2_x3_0", cwd=here).returncode == 2
    done = flyweight("report", "none.jsonl", "--html", "r.html", cwd=here)
    assert done.returncode == 1
    assert done.stderr == "flyweight: can't read none.jsonl: No such file or directory\n"


def test_debug_shows_the_traceback(here: Path) -> None:
    done = flyweight("cost", "mine:broken", "--debug", cwd=here)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "no weights here" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    [
        [],
        *(
            [c]
            for c in ("list", "info", "cost", "bench", "compare", "explain", "classify", "report")
        ),
    ],
)
def test_help_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "-h"]) == 0
    assert "Example: flyweight " in capsys.readouterr().out


def test_list_info_cost(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)

    def said(*args: str) -> str:
        assert run(args) == 0
        return capsys.readouterr().out

    listed = said("list", "shufflenet_v1*")
    assert "shufflenet_v1_x2_0_g3" in listed
    assert "mobilenet" not in listed
    names = [row["name"] for row in json.loads(said("list", "mobilenet*", "--json"))]
    assert names[0] == "mobilenet_v1_x0_25"
    info = json.loads(said("info", "mobilenet_v2_x0_75", "--json"))
    assert info["counted"]["192"]["madds"] == 153941888
    assert info["min_size"] == 32
    assert "its own channels give 134.3 M" in said("info", "shufflenet_v1_x1_0_g4")
    counted = json.loads(said("cost", "mine:small", "--input", "1,3,10,10", "--json"))
    assert counted["madds"] == 8 * 8 * 3 * 4 * 9
    by_module = said("cost", "mobilenet_v1_x0_25", "--by", "module", "--depth", "2")
    assert "stages.stage4" in by_module


def test_bench_writes_records_report_and_picture(here: Path, tmp_path: Path) -> None:
    done = here_and_now(
        "bench", "mine:small", "mobilenet_v1_x0_25@96", "--engine", "eager", "--engine",
        "onnxruntime", "--input", "64", "--budget", "2s", "--batch", "2",
        "--json", str(tmp_path / "r.jsonl"), "--html", str(tmp_path / "r.html"),
        "--png", str(tmp_path / "r.png"), cwd=here,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = read_records(tmp_path / "r.jsonl")
    assert [record.runner for record in records] == [
        "mine:small/eager", "mine:small/onnxruntime",
        "mobilenet_v1_x0_25@96/eager", "mobilenet_v1_x0_25@96/onnxruntime",
    ]  # fmt: skip
    assert {record.environment.input for record in records} == {(2, 3, 64, 64), (2, 3, 96, 96)}
    assert {record.environment.threads for record in records} == {1}
    assert records[0].network is not None
    assert records[0].network.madds == 62 * 62 * 3 * 4 * 9
    assert "<html" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert "mine:small/eager" in done.stdout
    drawn = here_and_now("report", "r.jsonl", "--html", "again.html", cwd=tmp_path)
    assert drawn.returncode == 0
    assert (tmp_path / "again.html").exists()


def test_json_on_stdout_is_json_alone(here: Path) -> None:
    done = here_and_now(
        "bench", "mine:small", "--engine", "eager", "--budget", "300ms", "--json", "-", cwd=here
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["runner"] for line in lines] == ["mine:small/eager"]
    assert {"median_s", "samples_s", "environment"} <= set(lines[0])


@pytest.mark.slow
def test_one_network_that_fails_does_not_end_the_rest(here: Path) -> None:
    done = here_and_now(
        "bench", "mine:branches", "mine:small", "--engine", "onnxruntime", "--budget", "300ms",
        cwd=here,
    )  # fmt: skip
    assert done.returncode == 1
    assert "left out: mine:branches/onnxruntime" in done.stderr
    assert "mine:small/onnxruntime" in done.stdout


def test_compare(here: Path) -> None:
    done = here_and_now(
        "compare", "mine:small@32/eager", "mine:small@256/eager", "--budget", "1s", cwd=here
    )
    assert done.returncode == 0
    assert "mine:small@32/eager is" in done.stdout
    assert "95% interval" in done.stdout
    engines = here_and_now(
        "compare", "eager", "onnxruntime", "--model", "mine:small", "--budget", "1s", cwd=here
    )
    assert "mine:small/onnxruntime" in engines.stdout


def test_classify(here: Path) -> None:
    weights = ["--model", "shufflenet_v2_x0_5", "--weights", "good.safetensors"]
    done = here_and_now("classify", "photos", "text.jpg", *weights, "--json", cwd=here)
    assert done.returncode == 1
    assert "text.jpg: not an image" in done.stderr
    answer = json.loads(done.stdout)
    assert [Path(image["image"]).name for image in answer["images"]] == ["a.png", "b.jpg"]
    assert answer["skipped"] == ["text.jpg"]
    assert (answer["layout"], answer["preprocessing"]["crop"]) == ("flyweight", 224)
    top = answer["images"][0]["top"]
    assert len(top) == 5
    assert [guess["probability"] for guess in top] == sorted(
        (guess["probability"] for guess in top), reverse=True
    )
    few = ["--top", "2", "--input", "64"]
    text = here_and_now("classify", "photos/a.png", *weights, *few, cwd=here)
    assert text.returncode == 0
    assert len(text.stdout.splitlines()) == 3


def start(here: Path, target: Path) -> "subprocess.Popen[str]":
    """A long run, once its first records are there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flyweight", "bench", "mine:small", "--engine", "eager",
         "--budget", "60s", "--json", str(target)],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    written = [target, target.with_name(target.name + ".partial")]
    sizes = [path.stat().st_size if path.exists() else 0 for path in written]
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        now = [path.stat().st_size if path.exists() else 0 for path in written]
        if now != sizes:
            time.sleep(0.5)
            return process
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate()[1])


def test_ctrl_c_keeps_what_was_measured(here: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    process = start(here, target)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what was measured until then is kept" in err
    assert "mine:small/eager" in out
    record = read_records(target)[0]
    assert not record.complete
    assert record.n >= 1
    assert os.listdir(tmp_path) == ["r.jsonl"]


@pytest.mark.slow
def test_killed_run_leaves_readable_records(here: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    process = start(here, target)
    process.kill()
    process.communicate()
    first = read_records(target)
    assert not first[0].complete
    # A second run that is killed leaves the first one's file alone.
    process = start(here, target)
    process.kill()
    process.communicate()
    assert read_records(target) == first
    partial = read_records(target.with_name("r.jsonl.partial"))
    assert partial[0].run != first[0].run


@pytest.mark.slow
def test_reader_that_goes_away(here: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m flyweight list | head -1",
        shell=True, cwd=here, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
