"""The native engine against its peers: Table 8's networks and the yardsticks, one thread, batch 1.

Every peer runs the plain network, as its users have it, on its own best settings for latency; ONNX
Runtime and OpenVINO also run our lowered graph. ncnn takes part where it and its converter are
installed (pip install ncnn pnnx). Runners of a network are timed interleaved in one process,
together with the core's arithmetic floor. Two instances of each, prepared in turns, since one can
be a few per cent slower by where its weights happen to lie; figures are of their mean in each
round. Writes results/<machine>/native.jsonl. On an idle machine:

    .venv/bin/python benchmarks/native_vs_peers.py [--brief] [SECONDS A NETWORK] [NETWORK ...]

`--brief` leaves out torch.compile, which takes longest to prepare and is far from the fastest, and
our lowered graphs, which benchmarks/lowering.py compares.
Networks that the file has already are kept, so that an interrupted run goes on where it was.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from resuming import resume

from flyweight.api import network_facts, to_time
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.graph import frozen_copy, to_onnx
from flyweight.lowering import lower
from flyweight.measuring import measure
from flyweight.native.building import host_isa
from flyweight.native.tuning import FLOOR_MADDS, floor_call
from flyweight.records import Record
from flyweight.report.peers import FLOOR, standings
from flyweight.zoo import table8_entries

INSTANCES = 2
YARDSTICKS = [
    ("squeezenet_1_1", 224), ("squeezenext_x1_0_23", 227), ("googlenet_bn", 224),
    ("resnet_18", 224), ("resnet_50", 224),
]  # fmt: skip
PEERS = ("eager", "compile", "onnxruntime", "openvino", "ncnn")
LOWERED = ("onnxruntime", "openvino")
ONCE = ("eager", "compile")
"""Far from the fastest, and slow to prepare: one instance does, as of our lowered graphs."""


def ncnn_runner(model: torch.nn.Module, example: Array) -> Runner:
    """A runner of ncnn, in float32, converted by its own converter."""
    import ncnn
    import pnnx

    folder = tempfile.mkdtemp()
    traced = torch.jit.trace(frozen_copy(model), torch.from_numpy(example), check_trace=False)
    traced.save(f"{folder}/net.pt")
    shape = ",".join(map(str, example.shape))
    subprocess.run(
        [pnnx.EXEC_PATH, "net.pt", f"inputshape=[{shape}]", "fp16=0"],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{half}", False)
    net.load_param(f"{folder}/net.ncnn.param")
    net.load_model(f"{folder}/net.ncnn.bin")
    (source,), (result,) = net.input_names(), net.output_names()

    def call(x: Array) -> Array:
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(x[0]))
        _, out = extractor.extract(result)
        return np.array(out)[None]

    return Runner("ncnn", "", 1, example, "float32", "NCHW", {"ncnn": ncnn.__version__}, call)


def makers(model: torch.nn.Module, example: Array, brief: bool) -> dict[str, Callable[[], Runner]]:
    """How each engine's runner is made, by what it is called."""
    images, options = torch.from_numpy(example), Options(1)
    from flyweight.engines import onnx_runtime, open_vino

    by_onnx = {"onnxruntime": onnx_runtime, "openvino": open_vino}
    plain = to_onnx(frozen_copy(model), images)
    found: dict[str, Callable[[], Runner]] = {}
    for name in ("eager", "native") if brief else ("eager", "compile", "native"):
        found[name] = lambda name=name: engine_named(name).load()(model, example, options)
    for name, module in by_onnx.items():
        found[name] = lambda module=module: module.from_onnx(plain, "", example, options)
        if brief:
            continue
        better = to_onnx(frozen_copy(lower(model, images, name)), images)
        found[f"{name}+lowered"] = lambda module=module, better=better: replace(
            module.from_onnx(better, "", example, options), lowered=True
        )
    found["ncnn"] = lambda: ncnn_runner(model, example)
    return found


def floor_runner(example: Array) -> Runner:
    """The core's arithmetic floor, as a runner that does a known number of multiply-adds."""
    multiply = floor_call(host_isa())

    def call(x: Array) -> Array:
        multiply()
        return x

    return Runner("floor", "floor", 1, example, "float32", "NCHW", {}, call)


def compared(name: str, size: int, seconds: float, brief: bool) -> list[Record]:
    """Records of one network on all engines."""
    example = np.random.default_rng(0).standard_normal((1, 3, size, size), np.float32)
    model = to_time(name)
    facts = network_facts(model, example.shape, name)
    with torch.no_grad():
        expected = frozen_copy(model)(torch.from_numpy(example)).numpy()
    prepared: dict[str, Runner] = {}
    make = makers(model, example, brief)
    for instance in range(1, INSTANCES + 1):
        for engine in list(make)[:: 1 if instance % 2 else -1]:
            if instance > 1 and (engine in ONCE or "+" in engine):
                continue
            try:
                runner = make[engine]()
                output = runner(example)
            except Exception as error:  # a peer that can't is left out, and named
                print(f"{name}: left out: {engine}: {str(error).splitlines()[0]}", flush=True)
                continue
            wrong = float(np.abs(output - expected).max() / np.abs(expected).max())
            if wrong > 1e-3:
                print(f"{name}: left out: {engine}: differs by {wrong:.1e}", flush=True)
                continue
            prepared[f"{name}@{size}/{engine} #{instance}"] = replace(
                runner, facts=facts, network=name
            )
    prepared[f"{name}@{size}/{FLOOR} #1"] = floor_runner(example)
    records = measure(prepared, seconds).records
    print(said(records), flush=True)
    return list(records)


def said(records: list[Record]) -> str:
    """Every engine's time over the native one's, and the native one's over the floor."""
    (one,) = standings(records, FLOOR_MADDS)
    ratios = ", ".join(f"{engine} {ratio.value:.2f}" for engine, ratio in one.over_native.items())
    time = f"{one.native_s * 1e3:.2f} ms"
    return f"{one.network}: {time}, {one.over_floor:.2f} of the floor; {ratios}"


def main(*arguments: str) -> int:
    brief = "--brief" in arguments
    seconds, *names = [a for a in arguments if a != "--brief"] or ["15"]
    entries = [*table8_entries([40, 140, 300, 500]), *YARDSTICKS]
    todo = {
        f"{name}@{size}/": partial(compared, name, size, float(seconds), brief)
        for name, size in entries
        if not names or name in names
    }
    resume("native.jsonl", todo)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
