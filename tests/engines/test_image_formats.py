"""What runners take beside float32 NCHW images: the native engine's NHWC and camera bytes."""

import numpy as np
import pytest
import torch

import flyweight
from flyweight.engines import ENGINES
from flyweight.errors import UsageError
from flyweight.native.building import has_compiler
from flyweight.zoo.preprocessing import IMAGENET, TENSORFLOW, Preprocessing
from tests.native.c_programs import Small

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler")
CAFFE = Preprocessing(colour="BGR", scale=255.0, mean=(104.0, 117.0, 123.0))
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)


def exact(model: torch.nn.Module, how: Preprocessing) -> np.ndarray:
    """Scores in double precision, the bytes prepared by the formula."""
    rgb = PIXELS[..., ::-1] if how.colour == "BGR" else PIXELS
    x = (rgb.astype(np.float64) * how.scale / 255 - how.mean) / how.std
    with torch.no_grad():
        scores = model.double()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    model.float()
    return scores


@needs_compiler
@pytest.mark.parametrize("how", [IMAGENET, TENSORFLOW, CAFFE], ids=["ImageNet", "-1 to 1", "BGR"])
def test_bytes_of_a_camera(how: Preprocessing) -> None:
    model = Small().eval()
    runner = flyweight.compile(model, PIXELS, "native", preprocessing=how, tune=False)
    assert (runner.layout, runner.dtype) == ("NHWC", "float32")
    expected = exact(model, how)
    assert np.abs(runner(PIXELS) - expected).max() <= 1e-5 * np.abs(expected).max()
    with pytest.raises(UsageError, match="prepared for uint8 inputs"):
        runner(PIXELS.astype(np.float32))


@pytest.mark.slow
@needs_compiler
def test_channels_last() -> None:
    model = Small().eval()
    x = ((PIXELS / 255 - IMAGENET.mean) / IMAGENET.std).astype(np.float32)
    runner = flyweight.compile(model, x, "native", layout="NHWC", tune=False)
    assert runner.layout == "NHWC"
    expected = exact(model, IMAGENET)
    assert np.abs(runner(x) - expected).max() <= 1e-5 * np.abs(expected).max()
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    plain = flyweight.compile(model, planes, "native", tune=False)
    np.testing.assert_array_equal(plain(planes), runner(x))
    assert plain.facts == runner.facts  # counted for the same image


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "native"])
def test_other_engines_refuse_them(engine: str) -> None:
    if not ENGINES[engine].installed:
        pytest.skip(f"no {engine}")
    with pytest.raises(UsageError, match=f"'{engine}' takes float32 NCHW images, not uint8 NHWC"):
        flyweight.compile(Small(), PIXELS, engine, preprocessing=IMAGENET)
    with pytest.raises(UsageError, match="not float32 NHWC ones: prepare them so, or use engine"):
        flyweight.compile(Small(), PIXELS.astype(np.float32), engine, layout="NHWC")


def test_images_that_are_none() -> None:
    floats = PIXELS.astype(np.float32)
    wrong = [
        (PIXELS, None, None, "nothing says how bytes become the inputs of Small"),
        (PIXELS, "NCHW", IMAGENET, "leave the layout NCHW out"),
        (PIXELS[0], None, IMAGENET, r"are \(batch, height, width, channels\), and the example is"),
        (PIXELS[..., :1], None, IMAGENET, "have 3 channels, and Small reads 1"),
        (floats, "NHCW", None, "unknown layout 'NHCW'"),
        (floats, None, IMAGENET, "a preprocessing is for uint8 examples"),
        (PIXELS.astype(np.int8), None, IMAGENET, "must be float32, or uint8 for engine 'native'"),
    ]
    for example, layout, how, message in wrong:
        with pytest.raises(UsageError, match=message):
            flyweight.compile(Small(), example, "native", layout=layout, preprocessing=how)
