"""Image files of all kinds, and what networks read of them."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from flyweight.errors import FlyweightError, UsageError
from flyweight.zoo.preprocessing import (
    IMAGENET,
    TENSORFLOW,
    Preprocessing,
    list_images,
    open_image,
    prepare,
)

RAW = Preprocessing(crop=4, resize=4, scale=255.0)


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """Red at the left, with a blue corner at the top right."""
    image = Image.new("RGB", (width, height), (0, 128, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2 - 1, height), fill=(200, 0, 0))
    draw.rectangle((width * 3 // 4, 0, width, height // 4), fill=(0, 0, 250))
    return image


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(image)[y, x])


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("RGB", "png", (200, 0, 0)),
        ("RGBA", "png", (200, 0, 0)),
        ("P", "png", (200, 0, 0)),
        ("P", "gif", (200, 0, 0)),
        ("L", "png", (60, 60, 60)),
        ("LA", "png", (60, 60, 60)),
        ("1", "png", None),
        ("CMYK", "jpg", (200, 0, 0)),
        ("L", "jpg", (60, 60, 60)),
        ("YCbCr", "tiff", (200, 0, 0)),
        ("RGB", "webp", (200, 0, 0)),
        ("RGB", "bmp", (200, 0, 0)),
        ("RGB", "ppm", (200, 0, 0)),
    ],
)
def test_every_kind_of_image_becomes_rgb(
    mode: str, suffix: str, expected: tuple[int, int, int] | None, tmp_path: Path
) -> None:
    file = tmp_path / f"image.{suffix}"
    scene().convert(mode).save(file)
    image = open_image(file)
    assert (image.mode, image.size) == ("RGB", (60, 40))
    if expected:
        assert np.abs(np.subtract(pixel(image, 10, 20), expected)).max() <= 12


@pytest.mark.parametrize(
    ("suffix", "kind"), [("png", np.uint16), ("tiff", np.uint16), ("tiff", np.int32)]
)
def test_sixteen_bits_keep_their_upper_half(suffix: str, kind: type, tmp_path: Path) -> None:
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], dtype=kind)
    file = tmp_path / f"deep.{suffix}"
    Image.fromarray(deep).save(file)
    grey = np.asarray(open_image(file))[:, :, 0]
    assert grey.tolist() == [[0, 0, 1], [128, 255, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_data_says(orientation: int, tmp_path: Path) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene().transpose(undo[orientation]) if orientation in undo else scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.png"
    stored.save(file, exif=exif)
    assert np.array_equal(np.asarray(open_image(file)), np.asarray(scene()))


def photograph() -> bytes:
    content = io.BytesIO()
    scene(300, 200).save(content, "JPEG")
    return content.getvalue()


def drawing(width: int, height: int) -> bytes:
    """A small PNG file that says it is large."""
    content = io.BytesIO()
    scene().save(content, "PNG")
    data = bytearray(content.getvalue())
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: None, "no such file"),
    "folder": (Path.mkdir, "it is a folder"),
    "empty": (Path.touch, "not an image that Pillow can read (unknown format)"),
    "text": (lambda file: file.write_text("hello"), "not an image that Pillow can read (unknown"),
    "cut short": (
        lambda file: file.write_bytes(photograph()[:-900]),
        "not an image that Pillow can read (",
    ),
    "a header alone": (
        lambda file: file.write_bytes(photograph()[:30]),
        "not an image that Pillow can read (",
    ),
    "damaged": (
        lambda file: file.write_bytes(drawing(60, 40)[:60] + b"?" * 40),
        "not an image that Pillow can read (",
    ),
    "a bomb": (
        lambda file: file.write_bytes(drawing(100_000, 100_000)),
        "not an image that Pillow can read (",
    ),
    "PostScript": (
        lambda file: file.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        "not an image that Pillow can read (unknown format)",
    ),
    "fractions": (
        lambda file: Image.fromarray(np.ones((4, 4), np.float32)).save(file, "TIFF"),
        "fractions of an unknown range",
    ),
}


@pytest.mark.parametrize(("write", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_image_is_refused_in_one_line(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "image.jpg"
    write(file)
    with pytest.raises(FlyweightError) as caught:
        open_image(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_colour_order_range_mean_and_std() -> None:
    image = Image.new("RGB", (6, 5), (255, 51, 0))
    rgb = prepare(image, RAW)
    assert (rgb.shape, rgb.dtype, rgb.flags["C_CONTIGUOUS"]) == ((3, 4, 4), np.float32, True)
    assert rgb[:, 0, 0].tolist() == [255, 51, 0]
    bgr = Preprocessing(4, 4, "BGR", 255.0, mean=(104, 117, 123))
    assert prepare(image, bgr)[:, 0, 0].tolist() == [-104, 51 - 117, 255 - 123]
    assert prepare(image, TENSORFLOW)[:, 7, 9] == pytest.approx([1, 51 / 127.5 - 1, -1], abs=1e-6)
    assert prepare(image, IMAGENET)[:, 7, 9] == pytest.approx(
        [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, -0.406 / 0.225], abs=1e-5
    )


def test_the_shorter_side_is_resized_and_the_centre_cut_out() -> None:
    image = scene(301, 200)
    found = prepare(image, Preprocessing(crop=96, resize=110, scale=255.0))
    # 301 * 110 / 200 = 165.55 pixels wide, rounded down; 34.5 pixels off, rounded to even.
    resized = np.asarray(image.resize((165, 110), Image.Resampling.BILINEAR), np.float32)
    expected = resized[7 : 7 + 96, 34 : 34 + 96].transpose(2, 0, 1)
    assert np.array_equal(found, expected)


def test_an_image_of_the_right_size_is_only_cut() -> None:
    image = scene(80, 64)
    found = prepare(image, Preprocessing(crop=64, resize=64, scale=255.0))
    assert np.array_equal(found, np.asarray(image, np.float32)[:, 8:72].transpose(2, 0, 1))


def test_squashing_keeps_all_of_the_image() -> None:
    image = scene(90, 40)
    found = prepare(image, Preprocessing(crop=32, resize=64, scale=255.0), mode="squash")
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), np.float32)
    assert np.array_equal(found, expected.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(1, 1), (1, 200_000), (200_000, 1), (3, 5000)])
def test_images_of_any_shape_are_prepared(size: tuple[int, int]) -> None:
    assert prepare(Image.new("RGB", size, (9, 9, 9)), IMAGENET).shape == (3, 224, 224)


def test_sizes_go_together() -> None:
    assert (IMAGENET.at(160).crop, IMAGENET.at(160).resize) == (160, 183)
    assert (IMAGENET.at(224).crop, IMAGENET.at(224).resize) == (224, 256)
    assert IMAGENET.at(96).mean == IMAGENET.mean
    for crop, resize in ((0, 256), (300, 256), (-1, -1)):
        with pytest.raises(UsageError, match="can't crop"):
            Preprocessing(crop, resize)
    with pytest.raises(UsageError, match="colour must be"):
        Preprocessing(colour="HSV")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="mode must be"):
        prepare(scene(), RAW, mode="stretch")  # type: ignore[arg-type]


def test_images_are_listed_in_order(tmp_path: Path) -> None:
    names = ["b/2.JPG", "b/1.png", "a/deep/er/3.webp", "c.jpeg"]
    others = ["notes.txt", "b/.hidden.jpg", "odd"]
    for name in names + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list_images([tmp_path / "odd", str(tmp_path), tmp_path / "c.jpeg"])
    expected = ["odd", "a/deep/er/3.webp", "b/1.png", "b/2.JPG", "c.jpeg"]
    assert found == [tmp_path / name for name in expected]
    with pytest.raises(FlyweightError, match=r"no such file or folder: .*nowhere"):
        list_images([tmp_path, tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FlyweightError, match=r"no images in .*empty"):
        list_images([tmp_path / "empty"])
