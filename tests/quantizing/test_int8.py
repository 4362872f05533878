"""int8 files hold what they should, compute nearly what float32 does, and bad input is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper

from flyweight.errors import FlyweightError, UsageError, WeightsError
from flyweight.exporting import from_module
from flyweight.quantizing import (
    Photographs,
    Quantized,
    Settings,
    Timing,
    quantize,
    sensitive_layers,
)
from flyweight.quantizing import onnx_runtime as tool
from flyweight.quantizing.layers import layers_of
from flyweight.quantizing.preparing import Subject, lowered_onnx, prepared
from flyweight.quantizing.sensitivity import signal_to_noise
from tests.quantizing.tiny import CLASSES, SIDE, Tiny, image_files, labelled_by, source

BRIEF = Timing(budget_s=0.1)
Weights = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    folder = tmp_path_factory.mktemp("photographs")
    image_files(folder / "calibrate", 20, 1)
    labelled_by(Tiny().eval(), folder / "data", 40, 2)
    return Photographs((folder / "calibrate",), folder / "data")


@pytest.fixture(scope="module")
def subject(photographs: Photographs) -> Subject:
    return prepared(source(), photographs, Settings())


def written(subject: Subject, path: Path, settings: Settings) -> onnx.ModelProto:
    proto, entries = lowered_onnx(subject, "onnxruntime")
    tool.write_int8(proto, subject.calibration, settings, entries, path)
    return onnx.load_model(path)


def int8_weights(model: onnx.ModelProto) -> Weights:
    """Bytes and scales of every weight that is read through a DequantizeLinear, by its name."""
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    return {
        node.input[0].removesuffix("_quantized"): (
            constants[node.input[0]], constants[node.input[1]],
        )
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
        and constants[node.input[0]].dtype == np.int8
    }  # fmt: skip


def scores(path: Path, subject: Subject, optimised: bool = True) -> np.ndarray:
    """What any user's session makes of a file, or one that computes it literally, in float."""
    level = ort.GraphOptimizationLevel
    settings = ort.SessionOptions()
    settings.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": x})[0] for x in subject.calibration.inputs()])


def float_scores(subject: Subject) -> np.ndarray:
    with torch.no_grad():
        found = [subject.source.model(torch.from_numpy(x)) for x in subject.calibration.inputs()]
    return torch.cat(found).numpy()


@pytest.mark.parametrize(
    ("spare_bit", "largest"),
    [
        ("first", (64, 127, 127)),
        pytest.param("all", (64, 64, 64), marks=pytest.mark.slow),
        pytest.param("none", (127, 127, 127), marks=pytest.mark.slow),
    ],
)
def test_weights_are_int8_with_a_scale_a_channel(
    subject: Subject, tmp_path: Path, spare_bit: str, largest: tuple[int, ...]
) -> None:
    model = written(subject, tmp_path / "q.onnx", Settings(spare_bit=spare_bit))  # type: ignore[arg-type]
    found = int8_weights(model)
    proto, _ = lowered_onnx(subject, "onnxruntime")  # lowering has its own order of the channels
    before = {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}
    for name, limit in zip(("stem", "depthwise", "pointwise"), largest, strict=True):
        weights = before[f"{name}_weight"]
        values, scale = found[f"{name}_weight"]
        assert values.shape == weights.shape
        assert scale.shape == (len(weights),)
        assert np.abs(values.astype(int)).max() <= limit
        # Every channel uses its whole range, and no weight is off by more than half a step.
        by_channel = np.abs(values.astype(int)).reshape(len(values), -1).max(1)
        assert (by_channel >= limit - 1).all()
        steps = scale[:, None, None, None]
        assert (np.abs(values * steps - weights) <= 0.5001 * steps).all()


def test_the_file_says_what_it_is(subject: Subject, tmp_path: Path) -> None:
    model = written(subject, tmp_path / "q.onnx", Settings())
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["network"] == "tiny"
    assert '"crop": 16' in said["preprocessing"]


@pytest.mark.slow
def test_scores_are_near_those_of_float32(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    for spare_bit, least in (("first", 30), ("all", 20)):
        written(subject, path, Settings(spare_bit=spare_bit))  # type: ignore[arg-type]
        assert signal_to_noise(float_scores(subject), scores(path, subject)) > least


def test_weights_of_7_bits_overflow_on_no_cpu(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    written(subject, path, Settings(spare_bit="all"))
    assert signal_to_noise(scores(path, subject, False), scores(path, subject)) > 60


@pytest.mark.slow
def test_calibrating_twice_gives_the_same_file(subject: Subject, tmp_path: Path) -> None:
    graphs = []
    for name in ("a.onnx", "b.onnx"):
        model = written(subject, tmp_path / name, Settings())
        del model.metadata_props[:]  # with the date
        graphs.append(model.SerializeToString(deterministic=True))
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("name", ["depthwise", "pointwise", "stem"])
def test_a_layer_that_is_kept_is_in_float32_in_every_session(
    subject: Subject, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "q.onnx"
    model = written(subject, path, Settings(spare_bit="all", keep=(name,)))
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    assert constants[f"{name}_weight"].dtype == np.float32
    assert f"{name}_weight" not in int8_weights(model)
    # A session's own rewrites would quantise it with one scale (see `guarding`).
    assert signal_to_noise(scores(path, subject, False), scores(path, subject)) > 60


def test_the_result_has_accuracy_before_and_after(photographs: Photographs, tmp_path: Path) -> None:
    result = quantize(source(), photographs, ("onnxruntime",), timing=BRIEF, out=tmp_path / "out")
    (pair,) = result.pairs
    assert pair.before.evaluation.top1_correct == 40  # by construction
    assert pair.change.before.correct == 40
    assert pair.change.after.correct == pair.after.evaluation.top1_correct >= 34
    assert (pair.change.lost, pair.change.won) == (40 - pair.change.after.correct, 0)
    assert pair.files == (tmp_path / "out" / "tiny.int8.onnx",)
    assert pair.after.bytes == pair.files[0].stat().st_size
    assert result.calibrated == 20
    said = result.to_json()
    assert said["engines"][0]["float32"]["top1"]["correct"] == 40
    assert {record.environment.dtype for record in result.records} == {"float32", "int8"}
    assert len({record.run for record in result.records}) == 1  # interleaved
    with pytest.raises(UsageError, match=r"tiny\.int8\.onnx is there already"):
        quantize(source(), photographs, ("onnxruntime",), timing=BRIEF, out=tmp_path / "out")


def test_the_network_is_not_changed(photographs: Photographs) -> None:
    model = Tiny().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = replace(from_module(model, "tiny"), preprocessing=source().preprocessing)
    quantize(given, photographs, ("onnxruntime",), timing=BRIEF)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_openvino(photographs: Photographs, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    import openvino as ov

    result = quantize(source(), photographs, ("openvino",), timing=BRIEF, out=tmp_path / "out")
    (pair,) = result.pairs
    assert pair.before.evaluation.top1_correct == 40
    # Two of its classes are near each other: rounding alone takes some from one to the other.
    assert pair.after.evaluation.top1_correct >= 30
    model = ov.Core().read_model(tmp_path / "out" / "tiny.int8.xml")
    bytes_ = {
        op.get_friendly_name(): op.data
        for op in model.get_ops()
        if op.get_type_name() == "Constant" and op.get_element_type() == ov.Type.i8
    }
    assert sorted(value.size for value in bytes_.values()) == [64, 72, 128, 432]
    # Keeping one leaves its 64 weights in float32.
    quantize(
        source(), photographs, ("openvino",), Settings(keep=("pointwise",)), BRIEF,
        tmp_path / "out", force=True,
    )  # fmt: skip
    model = ov.Core().read_model(tmp_path / "out" / "tiny.int8.xml")
    sizes = [
        op.data.size
        for op in model.get_ops()
        if op.get_type_name() == "Constant" and op.get_element_type() == ov.Type.i8
    ]
    assert sorted(sizes) == [72, 128, 432]


@pytest.mark.slow
def test_the_layer_that_suffers_most_comes_first(photographs: Photographs) -> None:
    model = Tiny().eval()
    with torch.no_grad():
        # Half of the depthwise channels put out nothing and have the pointwise layer's largest
        # weights, beside which its other weights have hardly a step left.
        model.depthwise.weight[::2] = 0
        model.depthwise.bias[::2] = 0
        model.pointwise.weight[:, ::2] = 2000
    worst = sensitive_layers(source(model), photographs)
    assert {one.layer.name for one in worst} == {"stem", "depthwise", "pointwise", "classifier"}
    assert worst[0].layer.name == "pointwise"
    assert worst[0].signal_to_noise < worst[1].signal_to_noise - 6
    rest = sensitive_layers(source(model), photographs, Settings(keep=("pointwise",)))
    assert "pointwise" not in {one.layer.name for one in rest}


def test_signal_to_noise_by_hand() -> None:
    expected = np.array([[-1.0, 1.0]], np.float32)  # of variance 1
    assert signal_to_noise(expected, expected + np.float32(0.1)) == pytest.approx(20, abs=1e-4)
    assert signal_to_noise(expected, expected) == np.inf
    assert signal_to_noise(np.zeros((1, 2), np.float32), expected) == -np.inf


def test_layers_are_called_by_their_weights(subject: Subject) -> None:
    layers = layers_of(lowered_onnx(subject, "onnxruntime")[0])
    assert [one.name for one in layers] == ["stem", "depthwise", "pointwise", "classifier"]
    assert [one.activation is not None for one in layers] == [True, False, True, False]


def overlapping(photographs: Photographs, folder: Path) -> Photographs:
    return replace(photographs, calibrate=(photographs.data,))


def copied(photographs: Photographs, folder: Path) -> Photographs:
    one = next(photographs.data.rglob("*.png"))
    shutil.copy(one, folder / "another_name.png")
    return replace(photographs, calibrate=(*photographs.calibrate, folder))


@pytest.mark.parametrize("made", [overlapping, copied])
def test_images_in_both_sets_are_refused(
    photographs: Photographs, tmp_path: Path, made: Callable[[Photographs, Path], Photographs]
) -> None:
    with pytest.raises(UsageError, match="are among those to calibrate on"):
        quantize(source(), made(photographs, tmp_path), timing=BRIEF)


@pytest.mark.slow
def test_images_that_cannot_be_read_are_reported(photographs: Photographs, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    more = replace(photographs, calibrate=(*photographs.calibrate, tmp_path))
    result: Quantized = quantize(source(), more, timing=BRIEF)
    assert result.calibrated == 20
    assert [Path(one.name).name for one in result.skipped] == ["bad.png"]
    with pytest.raises(FlyweightError, match="none of 1 images to calibrate on could be read"):
        quantize(source(), replace(photographs, calibrate=(tmp_path,)), timing=BRIEF)


def test_weights_that_are_not_finite_are_refused(photographs: Photographs) -> None:
    model = Tiny().eval()
    with torch.no_grad():
        model.depthwise.weight[3, 0, 1, 1] = float("nan")
    with pytest.raises(WeightsError, match=r"tiny: depthwise\.weight holds values that are not"):
        quantize(source(model), photographs, timing=BRIEF)


def test_what_is_refused(photographs: Photographs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean onnxruntime"):
        quantize(source(), photographs, ("onnxrutime",), timing=BRIEF)
    with pytest.raises(UsageError, match="did you mean pointwise"):
        quantize(source(), photographs, settings=Settings(keep=("pointwize",)), timing=BRIEF)
    with pytest.raises(UsageError, match="1 image or more"):
        Settings(images=0)
    with pytest.raises(UsageError, match="unknown spare bit"):
        Settings(spare_bit="last")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1 image or more"):
        quantize(source(), replace(photographs, limit=0), timing=BRIEF)
    grey = from_module(torch.nn.Conv2d(1, CLASSES, SIDE), "grey")
    with pytest.raises(UsageError, match="only networks that read squares of 3 channels"):
        quantize(grey, photographs, timing=BRIEF)
    with pytest.raises(FlyweightError, match="no such file or folder"):
        quantize(source(), replace(photographs, calibrate=(tmp_path / "no",)), timing=BRIEF)
