"""int8 against float32: accuracy on real images, size and time, on ONNX Runtime and OpenVINO.

For each network with public weights, and for a ShuffleNet V2 that is trained here: calibrated on
300 photographs, counted on others, and timed in the same rounds, with the native engine's float32
beside. Also what each choice of the spare bit costs, which layers int8 alone hurts most, and what
it takes to leave the worst in float32. One thread, batch 1.

    .venv/bin/python benchmarks/int8.py DATA [SECONDS A NETWORK] [NETWORK ...]

DATA holds weights/, two folders of photographs and fashion_mnist.npz, as `CASES` names them.
Writes results/<machine>/int8.jsonl and int8.json; networks that those have already are kept.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from resuming import RESULTS, keep_rows, kept_rows

from flyweight.api import network_facts
from flyweight.cli.app import run
from flyweight.evaluating import Squares, change, evaluate_together
from flyweight.exporting import Source
from flyweight.measuring.environment import machine_name
from flyweight.quantizing import (
    SPARE_BITS,
    Photographs,
    Quantized,
    Settings,
    Timing,
    onnx_runtime,
    quantize,
    sensitive_layers,
)
from flyweight.quantizing.preparing import lowered_onnx, prepared
from flyweight.records import Record, read_records, write_records
from flyweight.trained import source_of

ENGINES = ("onnxruntime", "openvino")
ALSO = ("native",)
WORST = 10
"""Layers that are listed."""
EPOCHS = 2


@dataclass(frozen=True)
class Case:
    """A network, its weights and images.

    Attributes:
        network: its name in the zoo.
        weights: a file of DATA/weights; None where it is trained here.
        data: the folder of labelled images.
        labels: its file of labels, if any.
        squares: how they become squares.
        calibrate: the folder of images to calibrate on.
        keep: how many of the worst layers are left in float32 in a second run; 0 for no such run.
    """

    network: str
    weights: str | None
    data: str = "imagenet_val1300_227"
    labels: str | None = "imagenet_val1300_227.txt"
    squares: Squares = "squash"
    calibrate: str = "imagenet_sample_1000_s256"
    keep: int = 0


CASES = (
    Case("mobilenet_v1_x0_25", "mobilenet_v1_025_224_keras.safetensors", keep=8),
    Case("mobilenet_v1_x0_5", "mobilenet_v1_0.5_160_quant.safetensors"),
    Case("mobilenet_v2_x1_0", "mobilenet_v2_1.0_224_quant.safetensors"),
    Case("squeezenet_1_0", "squeezenet1_0_deepcompression.safetensors"),
    Case("squeezenet_1_1", "squeezenet1_1_caffe_fp16.safetensors"),
    Case("shufflenet_v2_x0_5", None, data="test", labels=None, squares="none", calibrate="train"),
)


def subject(case: Case, data: Path, folder: Path) -> tuple[Source, Photographs]:
    """A case's network and images; a network that is trained here takes about two minutes."""
    if case.weights is not None:
        labels = None if case.labels is None else data / case.labels
        photographs = Photographs((data / case.calibrate,), data / case.data, labels, case.squares)
        return source_of(case.network, data / "weights" / case.weights), photographs
    arrays = data / "fashion_mnist.npz"
    code = run(
        [
            *("train", case.network, "--data", str(arrays), "--out", str(folder / "run")),
            *("--epochs", str(EPOCHS), "--batch", "64", "--input", "28"),
            *("--option", "stem_stride=2", "--centre", "1", "--smallest", "0.7"),
        ]
    )
    if code:
        raise SystemExit(code)
    with np.load(arrays) as found:
        write_images(folder / "train", found["x_train"][:300], found["y_train"][:300])
        # They lie in the order of classes.
        write_images(folder / "test", found["x_test"][::5], found["y_test"][::5])
    photographs = Photographs((folder / "train",), folder / "test", None, case.squares)
    return source_of(str(folder / "run")), photographs


def write_images(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Grey images as files, a folder a class."""
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(label) / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def spare_bits(source: Source, photographs: Photographs, folder: Path) -> dict[str, Any]:
    """What each choice of the spare bit costs on ONNX Runtime."""
    known = prepared(source, photographs, Settings())
    proto, entries = lowered_onnx(known, "onnxruntime")
    path = folder / "spare.onnx"
    onnx_runtime.write_float(proto, path)
    forms = {"float32": scores_of(path, source.network, known.example)}
    for spare_bit in SPARE_BITS:
        settings = Settings(spare_bit=spare_bit)
        onnx_runtime.write_int8(proto, known.calibration, settings, entries, path)
        forms[spare_bit] = scores_of(path, source.network, known.example)
    answered = evaluate_together(
        forms, known.classes, known.images, known.preprocessing, photographs.squares
    )
    return {
        spare_bit: asdict(change(answered["float32"], answered[spare_bit]))
        for spare_bit in SPARE_BITS
    }


def scores_of(path: Path, network: str, example: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    runner = onnx_runtime.load(path, network, example, 1, "int8")
    return lambda x: np.asarray(runner(x))


def measured(case: Case, data: Path, seconds: float) -> tuple[dict[str, Any], list[Record]]:
    """What the committed files have of a network."""
    with tempfile.TemporaryDirectory(prefix="int8.") as temporary:
        source, photographs = subject(case, data, Path(temporary))
        source = replace(source, network=case.network)
        facts = network_facts(source.model, (1, *source.input_shape), case.network)
        timing = Timing(1, seconds, ALSO, facts)
        result = quantize(source, photographs, ENGINES, timing=timing)
        said(result)
        worst = sensitive_layers(source, photographs)
        layers = [asdict(one) for one in worst[:WORST]]
        entry: dict[str, Any] = {
            **plain(result, case),
            "spare_bit": spare_bits(source, photographs, Path(temporary)),
            "sensitive": layers,
            "layers": len(worst),
        }
        records = result.records
        if case.keep:
            names = tuple(one.layer.name for one in worst[: case.keep])
            kept = quantize(
                source, photographs, ENGINES, Settings(keep=names), Timing(1, seconds, (), facts)
            )
            said(kept)
            entry["kept"] = plain(kept, case)
            records = [
                *records,
                *(replace(one, runner=f"{one.runner} keep {case.keep}") for one in kept.records),
            ]
        return entry, records


def plain(result: Quantized, case: Case) -> dict[str, Any]:
    """A result without the paths of this machine."""
    return {**result.to_json(), "data": case.data, "calibrate": case.calibrate, "doubts": []}


def said(result: Quantized) -> None:
    for pair in result.pairs:
        print(result.network, *pair.sentences(), sep="\n  ", flush=True)


def main(data: str, seconds: str = "40", *names: str) -> int:
    folder = RESULTS / machine_name()
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "int8.json", folder / "int8.jsonl"
    entries = kept_rows(paths[0])
    records = read_records(paths[1]) if paths[1].exists() else []
    for case in CASES:
        known = any(entry["network"] == case.network for entry in entries)
        if known or (names and case.network not in names):
            continue
        entry, found = measured(case, Path(data), float(seconds))
        entries.append(entry)
        records += found
        write_records(paths[1], records)
        keep_rows(paths[0], entries)
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
