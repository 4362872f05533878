"""Exported files: what others read in them is the network, whole, described, and checked."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import flyweight
from flyweight import create_model, export
from flyweight.engines import ENGINES, Engine
from flyweight.errors import CaptureError, FlyweightError, UsageError
from flyweight.exporting import FORMATS, Exported, onnx_file, torch_file
from flyweight.files import replaced_together, sha256
from flyweight.nn import channel_shuffle
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing, open_image, prepare
from flyweight.zoo.weights import class_names, load_pretrained, save_weights
from tests.data_dir import DATA, needs_data

needs_openvino = pytest.mark.skipif(not ENGINES["openvino"].installed, reason="no openvino")
EVERY = [
    pytest.param(name, marks=needs_openvino if name == "openvino" else ())
    for name, one in FORMATS.items()
    if one.suffix  # folders have tests of their own
]
REST = [
    pytest.param(param.values[0], marks=[*param.marks, pytest.mark.slow])
    if param.values[0] != "onnx"
    else param
    for param in EVERY
]

Scores = NDArray[np.float32]


class Small(nn.Module):
    """A shuffle, a split, a concatenation, batch norms with statistics of their own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.classifier = nn.Linear(8, 5)
        nn.init.uniform_(self.norm.running_mean, -1, 1)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = channel_shuffle(torch.relu(self.norm(self.stem(x))), 2)
        kept, worked = x.chunk(2, 1)
        x = torch.cat((kept, self.branch(worked)), 1)
        return self.classifier(x.mean((2, 3)))


def read(file: Path) -> tuple[Callable[[Scores], Scores], dict[str, Any]]:
    """A file as somebody without Flyweight reads it: a function, and its metadata."""
    if file.suffix == ".onnx":
        session = onnxruntime.InferenceSession(file)
        name = session.get_inputs()[0].name
        entries = session.get_modelmeta().custom_metadata_map
        return lambda x: session.run(None, {name: x})[0], _parsed(entries)
    if file.suffix == ".xml":
        import openvino as ov

        model = ov.Core().read_model(file)
        entries = model.get_rt_info(["flyweight"]).value
        compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: compiled(x)[0].copy(), _parsed(entries)
    extra = {"flyweight.json": ""}
    module = torch.export.load(file, extra_files=extra).module()
    return lambda x: module(torch.from_numpy(x)).detach().numpy(), json.loads(
        extra["flyweight.json"]
    )


def _parsed(entries: Mapping[str, str]) -> dict[str, Any]:
    structured = ("options", "preprocessing", "class_names", "input", "lowered", "opset")
    return {
        key: json.loads(text) if key in structured or text.startswith("{") else text
        for key, text in entries.items()
    }


def agree(file: Path, model: nn.Module, size: int = 32) -> None:
    run, _ = read(file)
    for batch in (1, 2, 5):
        x = np.random.default_rng(batch).standard_normal((batch, 3, size, size), np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(run(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def path_of(folder: Path, name: str) -> Path:
    return folder / f"network{FORMATS[name].suffix}"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("lowered", [False, True])
def test_others_read_the_same_network_for_any_batch(
    name: str, lowered: bool, tmp_path: Path
) -> None:
    model = Small().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    file = path_of(tmp_path, name)
    result = export(model, file, input_size=(1, 3, 32, 32), lowered=lowered)
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    agree(file, model.eval())
    assert set(tmp_path.iterdir()) == set(result.files)
    assert result.files[0] == file
    assert result.bytes == sum(one.stat().st_size for one in result.files)
    assert 0 <= result.check.random_error < 1e-5
    assert result.check.images == 0
    _, metadata = read(file)
    assert metadata == result.metadata
    assert metadata["network"] == "Small"
    assert metadata["lowered"] is lowered
    assert metadata["weights"] == "as the module had them"
    assert metadata["input"]["shape"] == ["batch", 3, 32, 32]
    assert metadata["flyweight"] == flyweight.__version__
    assert metadata["torch"] == torch.__version__
    assert not {"class_names", "preprocessing", "options"} & set(metadata)
    assert json.loads(json.dumps(result.to_json()))["metadata"] == metadata


def test_the_opset_and_the_batch_of_onnx(tmp_path: Path) -> None:
    result = export(Small(), tmp_path / "a.onnx", input_size=(1, 3, 32, 32))
    proto = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(proto, full_check=True)
    (opset,) = (one.version for one in proto.opset_import if one.domain in ("", "ai.onnx"))
    assert result.metadata["opset"] == opset == 20
    for value in (proto.graph.input[0], proto.graph.output[0]):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert proto.graph.input[0].name == result.metadata["input"]["name"]


@pytest.mark.parametrize("name", EVERY)
def test_no_paths_of_this_machine(name: str, tmp_path: Path) -> None:
    for file in export(Small(), path_of(tmp_path, name), input_size=(1, 3, 32, 32)).files:
        content = file.read_bytes()
        for path in (Path(__file__).name, "site-packages", str(Path.home())):
            assert path.encode() not in content or path == "/"


@pytest.mark.slow
def test_weights_of_a_file_bring_their_form_and_preprocessing(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = create_model("mobilenet_v1_x0_25", num_classes=7, padding="same")
    theirs = Preprocessing(crop=64, resize=70, colour="BGR", mean=(0.1, 0.2, 0.3))
    weights = tmp_path / "w.safetensors"
    save_weights(model, weights, theirs)
    result = export("mobilenet_v1_x0_25", tmp_path / "a.pt2", weights=weights)
    agree(tmp_path / "a.pt2", model.eval(), size=64)
    _, metadata = read(tmp_path / "a.pt2")
    assert metadata["network"] == "mobilenet_v1_x0_25"
    assert metadata["options"] == {"padding": "same"}
    assert metadata["weights"] == {
        "file": "w.safetensors",
        "sha256": sha256(weights),
        "layout": "flyweight",
    }
    assert metadata["input"]["shape"] == ["batch", 3, 64, 64]
    assert metadata["preprocessing"]["colour"] == "BGR"
    assert metadata["preprocessing"]["crop"] == 64
    assert "class_names" not in metadata
    assert result.metadata == metadata


def test_fresh_weights_are_the_same_each_time_and_said(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    sizes = (1, 3, 32, 32)
    result = export("mobilenet_v1_x0_25", tmp_path / "a.pt2", input_size=sizes)
    assert torch.equal(torch.get_rng_state(), before)
    assert result.metadata["weights"] == "none: fresh initialisation, seed 0"
    assert result.metadata["class_names"] == list(class_names())
    assert result.metadata["preprocessing"]["mean"] == list(IMAGENET.mean)
    assert "only random input was checked: --images" in str(result)
    torch.manual_seed(0)
    agree(tmp_path / "a.pt2", create_model("mobilenet_v1_x0_25").eval())


def test_own_weights_and_preprocessing(tmp_path: Path) -> None:
    trained = Small()
    nn.init.normal_(trained.classifier.weight)
    torch.save(trained.state_dict(), tmp_path / "mine.pt")
    model = Small()
    how = Preprocessing(crop=32, resize=32)
    export(
        model, tmp_path / "a.onnx", weights=tmp_path / "mine.pt", preprocessing=how,
        input_size=(1, 3, 32, 32),
    )  # fmt: skip
    agree(tmp_path / "a.onnx", trained.eval())
    assert not torch.equal(model.classifier.weight, trained.classifier.weight)
    _, metadata = read(tmp_path / "a.onnx")
    assert metadata["weights"]["file"] == "mine.pt"
    assert metadata["preprocessing"]["resize"] == 32


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_images_are_compared(tmp_path: Path, photos: Path) -> None:
    sizes = (1, 3, 32, 32)
    result = export(Small(), tmp_path / "a.pt2", input_size=sizes, images=[photos])
    assert result.check.images == 32
    assert result.check.same_top1 == 32
    assert result.check.image_error is not None
    assert "the same first class in 32 of 32 images" in str(result)
    assert "only random" not in str(result)
    few = [photos / "00.png", photos / "01.png", photos / "02.png"]
    assert export(
        Small(), tmp_path / "b.pt2", input_size=sizes, images=few
    ).check.images == 3  # fmt: skip


def test_images_that_do_not_fit(tmp_path: Path, photos: Path) -> None:
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    with pytest.raises(UsageError, match="photographs are prepared as 3 x side x side"):
        export(grey, tmp_path / "a.pt2", input_size=(1, 1, 8, 8), images=[photos])
    with pytest.raises(FlyweightError, match="no such file or folder"):
        export(Small(), tmp_path / "a.pt2", images=[tmp_path / "none"])
    (photos / "00.png").write_text("no photograph")
    with pytest.raises(FlyweightError, match=r"00\.png: not an image"):
        export(Small(), tmp_path / "a.pt2", input_size=(1, 3, 32, 32), images=[photos])
    assert not list(tmp_path.glob("*.pt2"))


def test_several_outputs(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"map": x * 2, "mean": x.mean((2, 3))}

    result = export(Two(), tmp_path / "a.onnx", input_size=(2, 3, 8, 8))
    assert result.check.same_top1 is None
    x = np.ones((4, 3, 8, 8), np.float32)
    doubled, mean = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"x": x})
    np.testing.assert_array_equal(doubled, 2 * x)
    np.testing.assert_array_equal(mean, x.mean((2, 3)))


def _wrong(change: Callable[[nn.Module], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the torch format write a network that isn't the one it was given."""
    write = torch_file.write

    def other(model: nn.Module, *rest: Any) -> Mapping[str, Any]:
        change(model)
        result = write(model, *rest)
        change(model)  # and back, for the comparison
        return result

    monkeypatch.setattr(torch_file, "write", other)


def test_a_file_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.pt2"
    file.write_text("what was here before")

    def swap(model: nn.Module) -> None:
        model.classifier.bias.data = model.classifier.bias.data.flip(0)

    _wrong(swap, monkeypatch)
    with pytest.raises(FlyweightError, match=r"the file differs from eager by \d\.\de[-+]\d\d of"):
        export(Small(), file, input_size=(1, 3, 32, 32), force=True)
    assert file.read_text() == "what was here before"
    assert list(tmp_path.iterdir()) == [file]


def test_not_a_number_is_not_kept(tmp_path: Path) -> None:
    model = Small()
    model.classifier.bias.data[0] = float("nan")
    with pytest.raises(FlyweightError, match="own scores on random input are not all finite"):
        export(model, tmp_path / "a.onnx", input_size=(1, 3, 32, 32))
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_shape_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "load", lambda path: lambda x: (x.sum((1, 2, 3)),))
    with pytest.raises(FlyweightError, match=r"have the shapes \(1,\), eager's \(1, 5\); nothing"):
        export(Small(), tmp_path / "a.onnx", input_size=(1, 3, 32, 32))
    assert not list(tmp_path.iterdir())


def test_refusals_come_before_the_work(tmp_path: Path) -> None:
    work = "no_such_module:factory"
    there = tmp_path / "there.onnx"
    there.write_text("x")
    (tmp_path / "beside.bin").write_text("x")
    refused: dict[tuple[Path, str | None], str] = {
        (tmp_path / "a.pt", "torch"): r"in format torch ends in \.pt2 \(--out .*a\.pt2\)",
        (tmp_path / "a.onnx", "openvino"): r"in format openvino ends in \.xml",
        (tmp_path / "a.tflite", None): r"which format\? Give --format, or a name with \.onnx for",
        (tmp_path / "a.onnx", "onxx"): "unknown format 'onxx'; did you mean onnx",
        (there, None): "is there already: --force overwrites it",
    }
    if ENGINES["openvino"].installed:
        refused[tmp_path / "beside.xml", None] = r"beside\.bin is there already: --force"
    for (path, name), message in refused.items():
        with pytest.raises(UsageError, match=message):
            export(work, path, name)
    with pytest.raises(FlyweightError, match="there is no folder"):
        export(work, tmp_path / "none" / "a.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(FlyweightError, match="it is a folder"):
        export(work, tmp_path / "folder.onnx", force=True)
    with pytest.raises(UsageError, match="doesn't import"):
        export(work, tmp_path / "a.onnx")
    assert there.read_text() == "x"


def test_an_engine_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Engine("openvino", "flyweight.engines.open_vino", "no_such_package", "pip install it")
    monkeypatch.setitem(ENGINES, "openvino", absent)
    with pytest.raises(FlyweightError, match="'openvino' is not installed: pip install it"):
        export("mobilenet_v1_x0_25", tmp_path / "a.xml")


def test_what_cannot_be_captured_leaves_nothing(tmp_path: Path) -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.mean() > 0 else x

    with pytest.raises(CaptureError, match=r"Gate can't be captured: .*test_exporting\.py:\d+ `"):
        export(Gate(), tmp_path / "a.onnx", input_size=(1, 3, 8, 8))
    with pytest.raises(UsageError, match="doesn't run on an input of"):
        export(Small(), tmp_path / "a.onnx", input_size=(1, 4, 32, 32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "engine"), [("onnx", "onnxruntime"), ("torch", None)])
def test_lowered_for_the_formats_engine(
    name: str, engine: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def lower(
        model: nn.Module, example: Tensor, engine: str | None, merge_siblings: bool
    ) -> nn.Module:
        asked.append(engine)
        return model

    monkeypatch.setattr("flyweight.lowering.lower", lower)
    export(Small(), path_of(tmp_path, name), input_size=(1, 3, 32, 32), lowered=True)
    assert asked == [engine]


def test_files_that_belong_together(tmp_path: Path) -> None:
    first, second = tmp_path / "a.bin", tmp_path / "a.xml"
    first.write_text("old")
    with pytest.raises(FlyweightError, match=r"can't write .*a\.bin: No such file"):
        with replaced_together([first, second]):
            pass  # nothing was written into the folder
    assert first.read_text() == "old"
    with replaced_together([first, second]) as folder:
        for file in (first, second):
            (folder / file.name).write_text("new")
        assert first.read_text() == "old"
    assert [file.read_text() for file in (first, second)] == ["new", "new"]
    assert set(tmp_path.iterdir()) == {first, second}
    with pytest.raises(FlyweightError, match="can't write"):
        with replaced_together([tmp_path / "none" / "a"]):
            pass


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("name", REST)
def test_real_weights_name_the_same_classes(name: str, tmp_path: Path) -> None:
    """Prepared, run and compared here, beside what the export says of itself."""
    weights = DATA / "weights" / "mobilenet_v1_025_224_keras.safetensors"
    photographs = sorted((DATA / "imagenet_sample_1000_s256").glob("*.jpg"))[::60]
    file = path_of(tmp_path, name)
    result: Exported = export("mobilenet_v1_x0_25", file, weights=weights, images=photographs)
    pretrained = load_pretrained("mobilenet_v1_x0_25", weights)
    how = pretrained.loaded.preprocessing
    x = np.stack([prepare(open_image(path), how) for path in photographs])
    with torch.no_grad():
        expected = pretrained.model(torch.from_numpy(x)).numpy()
    run, metadata = read(file)
    np.testing.assert_array_equal(run(x).argmax(1), expected.argmax(1))
    assert len(set(expected.argmax(1))) > 10  # the network really tells them apart
    assert result.check.same_top1 == result.check.images == len(photographs) == 17
    assert metadata["weights"]["layout"] == pretrained.loaded.layout
    assert metadata["preprocessing"]["scale"] == how.scale
    assert metadata["class_names"][0] == "tench"
