"""`flyweight simulate` as people type it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flyweight.cli.app import run
from flyweight.cli.arguments import byte_count, rate
from flyweight.errors import UsageError
from flyweight.graph import to_onnx

MINE = """
from torch import nn
def small():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
def nothing():
    return nn.ReLU()
"""


def told(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
    assert run(["simulate", *args, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["simulations"]
    return found


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line of an error with exit code 2."""
    assert run(["simulate", *args]) == 2
    caught = capsys.readouterr()
    assert not caught.out
    assert len(caught.err.splitlines()) == 1
    return caught.err


def test_one_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "squeezenext_x1_0_23", "--advice", "--choices"]) == 0
    caught = capsys.readouterr()
    assert caught.out.startswith("simulated, not measured: array and buffer 16x16, 128 KB")
    assert re.search(r"stages\.stem\.0\.conv +7x7/2 +3-64 +111x111 +output", caught.out)
    assert "a kernel of 5x5/2 instead of 7x7/2" in caught.out
    assert "a block of stages.stage1 moved to stages.stage3" in caught.out
    assert re.search(r"sparsity +0\.4 +as remembered", caught.out)
    assert "energy in that of a multiply-add" in caught.out
    assert "not simulated: normalisation (111x)" in caught.err


def test_several_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "squeezenext_x1_0_23_v5", "squeezenet_1_0", "--preset", "8x8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("simulated, not measured: array and buffer 8x8, 32 KB")
    first, second = (line.split() for line in lines if line.startswith("squeezene"))
    assert first[5] == "1.00"
    assert 3 < float(second[5]) < 4  # the paper: 3.42


def test_compared_by_kinds_of_layers(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["squeezenet_1_1", "mobilenet_v1_x0_25"]
    assert run(["simulate", "--compare", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:14].strip(): line[14:].split() for line in lines}
    assert rows["depthwise"][:3] == ["-", "-", "-"]
    assert rows["larger kernels"][3:] == ["-", "-", "-"]
    assert lines[-1] == "1: squeezenet_1_1, 2: mobilenet_v1_x0_25"
    assert run(["simulate", *names, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = found["simulations"]
    assert found["over_first"][0] == {"network": names[0], "time": 1.0, "energy": 1.0}
    assert found["over_first"][1]["time"] == pytest.approx(second["cycles"] / first["cycles"])
    assert "takes two networks" in refused(capsys, names[0], "--compare")


def test_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As the module that it was written from."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8)).eval()
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(model, torch.randn(1, 3, 20, 20)))
    (found,) = told(capsys, str(path))
    assert [layer["kind"] for layer in found["layers"]] == ["3x3", "depthwise 3x3"]
    assert found["madds"] == 18 * 18 * 3 * 8 * 9 + 16 * 16 * 8 * 9
    (larger,) = told(capsys, str(path), "--input", "30")
    assert larger["input_size"] == [1, 3, 30, 30]
    assert "no such file" in refused(capsys, str(tmp_path / "none.onnx"))


def test_every_field_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "array": 12, "buffer_bytes": 65536, "word_bytes": 1, "clock_hz": 5e8, "bandwidth": 8e9,
        "latency": 7, "sparsity": 0.5, "port": 6, "partial_sums": 32, "preload": "hidden",
        "drain": "hidden", "kept_share": 0.25, "keeping": "inputs", "halo": False,
        "picking": "output", "mac": 2.0, "register": 3.0, "hop": 4.0, "buffer": 5.0, "dram": 6.0,
        "weight_registers": 7.0, "weight_hops": 8.0, "output_registers": 9.0, "output_hops": 10.0,
    }  # fmt: skip
    options = [
        *("--array", "12", "--buffer", "64K", "--word", "1", "--clock", "500M"),
        *("--bandwidth", "8G", "--latency", "7", "--sparsity", "0.5", "--port", "6"),
        *("--partial-sums", "32", "--preload", "hidden", "--drain", "hidden"),
        *("--kept-share", "0.25", "--keeping", "inputs", "--no-halo", "--dataflow", "output"),
    ]
    energies = ["mac", "register", "hop", "buffer", "dram", "weight_registers", "weight_hops",
                "output_registers", "output_hops"]  # fmt: skip
    for number, name in enumerate(energies, 2):
        options += ["--energy", f"{name}={number}"]
    (found,) = told(capsys, "squeezenet_1_1", *options)
    assert found["accelerator"] == given
    assert set(found["sources"].values()) == {"given"}
    assert {layer["dataflow"] for layer in found["layers"]} == {"output"}
    (usual,) = told(capsys, "squeezenet_1_1")
    changed = {name for name, value in usual["accelerator"].items() if value != given[name]}
    assert changed == set(given)


def test_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = told(capsys, "mobilenet_v1_x0_25")
    layers = found["layers"]
    assert found["simulated"] is True
    assert found["input_size"] == [1, 3, 224, 224]
    assert sum(layer["cycles"] for layer in layers) == pytest.approx(found["cycles"])
    assert found["seconds"] == pytest.approx(found["cycles"] / 1e9)
    assert 2 * sum(layer["dram_words"] for layer in layers) == found["dram_bytes"]
    energy = sum(sum(layer["energy"].values()) for layer in layers)
    assert energy == pytest.approx(found["total_energy"]) == sum(found["energy"].values())
    assert sum(layer["madds"] for layer in layers) == found["madds"]
    assert set(found["left_out"]) >= {"normalisation", "elementwise"}
    assert {"lost", "stem", "moves", "together"} <= set(found["advice"])


def test_sizes(capsys: pytest.CaptureFixture[str], tmp_path: Path,
               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The paper's, the one behind @, or --input; a factory has 224 pixels without."""
    (tmp_path / "simulated_nets.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    found = told(capsys, "squeezenext_x1_0_23", "squeezenet_1_1@64", "simulated_nets:small")
    assert [one["input_size"][2] for one in found] == [227, 64, 224]
    assert found[2]["network"] == "simulated_nets:small"
    assert [layer["kind"] for layer in found[2]["layers"]] == ["3x3", "1x1"]
    (small,) = told(capsys, "simulated_nets:small", "--input", "3,20,30")
    assert small["input_size"] == [1, 3, 20, 30]
    assert small["madds"] == 18 * 28 * (3 * 8 * 9 + 8 * 4)
    assert "no convolution or linear layer" in refused(capsys, "simulated_nets:nothing")


def test_pictures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    png, html = tmp_path / "layers.png", tmp_path / "layers.html"
    names = ["squeezenet_1_1", "mobilenet_v1_x0_25"]
    assert run(["simulate", *names, "--png", str(png), "--html", str(html)]) == 0
    capsys.readouterr()
    assert png.read_bytes().startswith(b"\x89PNG")
    page = html.read_text(encoding="utf-8")
    assert "Simulated, not measured" in page
    assert all(name in page for name in names)
    assert page.count('data-chart="chart-time-') == page.count('data-chart="chart-util') == 2
    for figure in ("DRAM KB", "k buffer words", "M energy", "stationary", "our reading"):
        assert figure in page
    (found,) = told(capsys, names[0])
    for layer in found["layers"]:
        assert f'<th scope="row">{layer["name"]}</th>' in page
        assert f"<td>{layer['cycles'] / 1e3:,.1f}</td>" in page
    assert 'src="http' not in page  # it needs nothing from the network
    capsys.readouterr()
    assert run(["simulate", names[0], "--png", str(tmp_path / "no" / "a.png")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["squeezenet_1_2"], "did you mean squeezenet_1_1"),
        (["squeezenet_1_1", "--preset", "9x9"], "unknown preset"),
        (["squeezenet_1_1", "--array", "0"], "array must be 1 or more"),
        (["squeezenet_1_1", "--sparsity", "1"], "below 1"),
        (["squeezenet_1_1", "--buffer", "much"], "is no size in memory"),
        (["squeezenet_1_1", "--clock", "0"], "is no rate"),
        (["squeezenet_1_1", "--energy", "dramm=3"], "did you mean dram"),
        (["squeezenet_1_1", "--energy", "dram=cheap"], "write dram=NUMBER"),
        (["squeezenet_1_1", "--energy", "dram=-1"], "0 or more"),
        (["squeezenet_1_1", "--keeping", "nothing"], "nothing"),
        (["squeezenet_1_1/openvino"], "has no engine"),
        (["squeezenet_1_1@3"], "doesn't run"),
        (["no_such_module_at_all:net"], "doesn't import"),
    ],
)
def test_refused(args: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert what in refused(capsys, *args)


@pytest.mark.slow
def test_the_study(capsys: pytest.CaptureFixture[str]) -> None:
    """The paper's table beside the model's, without an engine."""
    assert run(["study", "squeezenext-hardware", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["setting"] is None
    names = [table["name"] for table in found["computed"]]
    assert names == ["simulated on 8x8, 32 KB", "simulated on 16x16, 128 KB",
                     "claims, 16x16, 128 KB", "deviation from the paper"]  # fmt: skip
    assert "nothing here is measured" in found["reading"]


def test_numbers_as_people_type_them() -> None:
    sizes = {"4096": 4096, "128K": 131072, "32KiB": 32768, "1 mb": 2**20, "2G": 2**31}
    assert {text: byte_count(text) for text in sizes} == sizes
    rates = {"16G": 16e9, "16e9": 16e9, "200M": 2e8, "1.5k": 1500, "7": 7}
    assert {text: rate(text) for text in rates} == rates
    for text in ("", "0", "-1", "K", "1.5K", "1e3"):
        with pytest.raises(UsageError, match="no size in memory"):
            byte_count(text)
    for text in ("", "0", "-1", "G", "1e999", "1..2", "nan"):
        with pytest.raises(UsageError, match="no rate"):
            rate(text)
