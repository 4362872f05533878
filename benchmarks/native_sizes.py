"""What a network takes on the native engine and on ONNX Runtime: memory, files and code.

Memory is what a process of its own grows by at most while it loads a network and runs it three
times, weights and all, after the engine itself has run a network of one layer. One thread, batch 1,
224x224, the plain network for both. Writes results/<machine>/native_sizes.json (Linux):

    .venv/bin/python benchmarks/native_sizes.py [NETWORK ...]
"""

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

SHAPE = (1, 3, 224, 224)
RESULTS = Path(__file__).resolve().parents[1] / "results"
NETWORKS = (
    "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
    "shufflenet_v1_x1_0_g3", "mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "xception_light_x1_0",
    "densenet_light_x1_0", "igcv2_x1_0", "igcv3_d_x1_0", "condensenet_74_g8", "squeezenet_1_1",
    "resnet_18",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Bytes that a network takes.

    Attributes:
        network: its name.
        activations: memory of a native instance beside its weights.
        native_grows: what the process grows by at most, native.
        onnxruntime_grows: likewise, ONNX Runtime.
        native_weights: the file of weights.
        onnx: the file that ONNX Runtime reads.
        native_code: the network's compiled code, a shared library.
        onnxruntime_code: ONNX Runtime's.
    """

    network: str
    activations: int
    native_grows: int
    onnxruntime_grows: int
    native_weights: int
    onnx: int
    native_code: int
    onnxruntime_code: int


def resident(which: str) -> int:
    """This process's VmRSS or VmHWM, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = [line for line in lines if line.startswith(which)]
    return int(found.split()[1]) * 1024


def growth(load: Callable[[], Callable[[], object]]) -> int:
    """What this process grows by at most while it loads a network and runs it."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    run = load()
    for _ in range(3):
        run()
    return resident("VmHWM") - before


def child(engine: str, *files: str) -> int:
    """Measure in this process, and print what was found."""
    images = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1

        def session(file: str, x: np.ndarray) -> Callable[[], object]:  # type: ignore[type-arg]
            made = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
            feeds = {made.get_inputs()[0].name: x}
            return lambda: made.run(None, feeds)

        session(files[0], images[:, :, :8, :8])()
        print(growth(lambda: session(files[1], images)))
    else:
        library, name, weights = files
        code = ctypes.CDLL(library)
        scores = np.empty(getattr(code, f"{name}_output_size")(0), np.float32)
        outputs = (ctypes.c_void_p * 1)(scores.ctypes.data)

        def network() -> Callable[[], object]:
            """As a program in C does it."""
            made = ctypes.c_void_p()
            create = getattr(code, f"{name}_create_from_file")
            if create(ctypes.byref(made), weights.encode(), ctypes.c_int(1)):
                raise RuntimeError(f"{weights} can't be loaded")
            one, pixels = ctypes.c_int64(1), ctypes.c_void_p(images.ctypes.data)
            return lambda: getattr(code, f"{name}_run")(made, pixels, one, outputs)

        print(growth(network))
    return 0


def grows(*arguments: str) -> int:
    """What a process of its own grows by."""
    command = [sys.executable, __file__, "--child", *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def sizes_of(name: str) -> Sizes:
    """All that there is to say of one network."""
    import onnxruntime
    import torch

    from flyweight.api import to_time
    from flyweight.graph import frozen_copy, to_onnx
    from flyweight.native.compiling import compile_network

    with tempfile.TemporaryDirectory() as folder:
        model, images = to_time(name), torch.zeros(SHAPE)
        compiled = compile_network(model, images, name)
        weights, onnx, tiny = (f"{folder}/{file}" for file in ("net.bin", "net.onnx", "tiny.onnx"))
        Path(weights).write_bytes(compiled.emitted.weights)
        Path(onnx).write_bytes(to_onnx(frozen_copy(model), images))
        layer = torch.nn.Conv2d(3, 4, 3)
        Path(tiny).write_bytes(to_onnx(frozen_copy(layer), images[:, :, :8, :8]))
        library = compiled.network.library
        runtime = Path(onnxruntime.__file__).parent / "capi"
        return Sizes(
            network=name,
            activations=compiled.plan.memory_bytes(),
            native_grows=grows("native", str(library), compiled.emitted.name, weights),
            onnxruntime_grows=grows("onnxruntime", tiny, onnx),
            native_weights=len(compiled.emitted.weights),
            onnx=Path(onnx).stat().st_size,
            native_code=library.stat().st_size,
            onnxruntime_code=max(f.stat().st_size for f in runtime.glob("*.so*")),
        )


def main(*names: str) -> int:
    from flyweight.files import replaced
    from flyweight.measuring.environment import machine_name

    path = RESULTS / machine_name() / "native_sizes.json"
    known = {row["network"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    for name in names or NETWORKS:
        known[name] = asdict(sizes_of(name))
        print(json.dumps(known[name]), flush=True)
        with replaced(path) as temporary:
            temporary.write_text(json.dumps(list(known.values()), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(child(*arguments[1:]) if arguments[:1] == ["--child"] else main(*arguments))
