"""Real weights and real photographs: what float32 names right is known, and int8 may lose little.

The bounds come from results/*/int8.json, with room for CPUs of other instructions.
"""

import json
from pathlib import Path

import pytest

from flyweight.exporting import from_zoo
from flyweight.quantizing import Photographs, Quantized, Settings, Timing, quantize
from tests.data_dir import DATA, needs_data

pytestmark = [pytest.mark.slow, needs_data]
RECORDS = sorted((Path(__file__).resolve().parents[2] / "results").glob("*/int8.json"))
ENGINES = ("onnxruntime", "openvino")

# Images on which the counts may differ, since decoders of JPEG differ.
TOLERANCE = 2
# Of the images' number: how far a count in int8 may be from the committed one.
ROOM = 0.02


def quantized(network: str, file: str, engines: tuple[str, ...], settings: Settings) -> Quantized:
    photographs = Photographs(
        (DATA / "imagenet_sample_1000_s256",),
        DATA / "imagenet_val1300_227",
        DATA / "imagenet_val1300_227.txt",
        "squash",
    )
    source = from_zoo(network, DATA / "weights" / file)
    return quantize(source, photographs, engines, settings, Timing(budget_s=0.5))


# The data's README: of 1300 photographs, right at first and within five.
@pytest.mark.parametrize(
    ("network", "file", "right"),
    [
        ("mobilenet_v1_x0_25", "mobilenet_v1_025_224_keras.safetensors", (830, 1130)),
        ("mobilenet_v2_x1_0", "mobilenet_v2_1.0_224_quant.safetensors", (1022, 1227)),
        ("squeezenet_1_1", "squeezenet1_1_caffe_fp16.safetensors", (947, 1181)),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_accuracy_before_and_after(
    network: str, file: str, right: tuple[int, int], engine: str
) -> None:
    if engine == "openvino":
        pytest.importorskip("nncf")
    (pair,) = quantized(network, file, (engine,), Settings()).pairs
    before, after = pair.before.evaluation, pair.after.evaluation
    assert before.top1_correct == pytest.approx(right[0], abs=TOLERANCE)
    assert before.top5_correct == pytest.approx(right[1], abs=TOLERANCE)
    committed = [
        pair["int8"]["top1"]["correct"]
        for record in RECORDS
        for entry in json.loads(record.read_text())
        if entry["network"] == network
        for pair in entry["engines"]
        if pair["engine"] == engine
    ]
    least = min(committed) - ROOM * 1300
    assert after.top1_correct >= least
    assert not pair.collapsed


def test_a_depthwise_layer_that_is_kept_does_no_harm() -> None:
    # Without what `guarding` does, 5 of 217 were right.
    settings = Settings(keep=("stages_stage2_1_0_conv",))
    file = "mobilenet_v1_025_224_keras.safetensors"
    (pair,) = quantized("mobilenet_v1_x0_25", file, ("onnxruntime",), settings).pairs
    assert pair.after.evaluation.top1_correct >= 700
