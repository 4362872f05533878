"""Images from folders, arrays, tar shards and parquet files; orders, crops, and batches."""

import functools
import http.server
import io
import sys
import tarfile
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flyweight.errors import FlyweightError, UsageError
from flyweight.evaluating import labelled_images
from flyweight.training.augment import coloured, inputs
from flyweight.training.batches import (
    Showing,
    order,
    pieces,
    shown,
    training_batches,
    validation_batches,
)
from flyweight.training.images import Data, ImageSet, held_out
from flyweight.training.looks import RATIOS, Drawn
from flyweight.training.shards import expanded
from flyweight.training.sources import load_data
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing, open_image, prepare
from tests.training.small import CLASSES, PIXELS, SIDE, image_folder, image_set, pixels

NOTHING: Callable[[Image.Image], None] = lambda image: None  # noqa: E731
HOW = Showing(seed=3, side=SIDE, smallest=0.3, colour=0.2)


def encoded(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def shard(path: Path, numbers: range, images: np.ndarray, labels: np.ndarray) -> None:
    """As WebDataset writes it: KEY.png, KEY.cls, and something else of the same key."""
    with tarfile.open(path, "w") as file:
        for number in numbers:
            parts = {
                "png": encoded(images[number]),
                "json": b"{}",
                "cls": str(labels[number]).encode(),
            }
            for suffix, content in parts.items():
                entry = tarfile.TarInfo(f"part/{number:04d}.{suffix}")
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))


def shards(folder: Path, count: int = 60, each: int = 20) -> Path:
    folder.mkdir()
    images, labels = pixels(count, 0)
    for index in range(0, count, each):
        shard(folder / f"train-{index // each:03d}.tar", range(index, index + each), images, labels)
    shard(folder / "val-000.tar", range(9), *pixels(9, 1))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return folder


def tables(folder: Path, count: int = 60, each: int = 20) -> Path:
    """As Hugging Face's `datasets` writes it."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder.mkdir()
    features = '{"info": {"features": {"label": {"names": ["bottom", "middle", "top"]}}}}'
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),
        ],
        metadata={"huggingface": features},
    )
    for name, (images, labels) in (("train", pixels(count, 0)), ("validation", pixels(9, 1))):
        rows = [
            {"image": {"bytes": encoded(image), "path": None}, "label": int(label)}
            for image, label in zip(images, labels, strict=True)
        ]
        file = folder / f"{name}-00000-of-00001.parquet"
        parquet.write_table(pa.Table.from_pylist(rows, schema), file, row_group_size=each)
    return folder


def arrays(folder: Path) -> Path:
    folder.mkdir()
    (x, y), (x_test, y_test) = pixels(60, 0), pixels(9, 1)
    np.savez(folder / "small.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test,
             classes=np.array(CLASSES))  # fmt: skip
    return folder / "small.npz"


def split_folders(folder: Path) -> Path:
    image_folder(folder / "train", 60)
    image_folder(folder / "val", 9, 1)
    return folder


KINDS = {"folder": split_folders, "arrays": arrays, "shards": shards, "tables": tables}


def content(images: ImageSet) -> list[tuple[int, bytes]]:
    """Label and pixels of each image, in an order of their own."""
    return sorted(
        (int(images.labels[number]), images.open(number, NOTHING).tobytes())
        for number in range(len(images))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_same_images(tmp_path: Path, kind: str) -> None:
    found = load_data(str(KINDS[kind](tmp_path / "data")))
    assert found.train.classes == found.val.classes == CLASSES
    assert content(found.train) == content(image_set(60))
    assert content(found.val) == content(image_set(9, 1))
    names = [found.train.called(number) for number in range(60)]
    assert len(set(names)) == 60
    assert sum(found.train.blocks) == 60


def test_shards_by_pattern_pipe_and_address(tmp_path: Path) -> None:
    folder = shards(tmp_path / "data")
    wanted = content(image_set(60))
    by_pattern = load_data(f"{folder}/train-{{000..002}}.tar", f"{folder}/val-000.tar")
    assert content(by_pattern.train) == wanted
    assert content(by_pattern.val) == content(image_set(9, 1))
    piped = load_data(f"pipe:cat {folder}/train-{{000..002}}.tar", hold_out=0.1)
    assert sorted(content(piped.train) + content(piped.val)) == wanted
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/train-{{000..002}}.tar"
        fetched = load_data(address)
        server.shutdown()
    assert sorted(content(fetched.train) + content(fetched.val)) == wanted
    again = load_data(address)  # from the cache: nobody answers any more
    assert again.train.digest() == fetched.train.digest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_pipe_that_fails(tmp_path: Path) -> None:
    with pytest.raises(FlyweightError, match="the command ended with 3"):
        load_data(f"pipe:echo {tmp_path}; exit 3")


def test_braces() -> None:
    assert expanded("a{08..10}b{0..1}.tar") == [
        f"a{first}b{second}.tar" for first in ("08", "09", "10") for second in "01"
    ]


def test_classes_in_the_order_of_evaluate(tmp_path: Path) -> None:
    """Folders that are numbers are those classes, by training and by evaluation alike."""
    for number in range(11):
        (tmp_path / str(number)).mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (4, 4)).save(tmp_path / str(number) / name)
    images = load_data(str(tmp_path), hold_out=0.5)
    assert images.train.classes == tuple(map(str, range(11)))
    by_evaluate = labelled_images(tmp_path, 11, names=images.train.classes)
    assert {one.name.split("/")[0]: one.label for one in by_evaluate.images} == {
        str(number): number for number in range(11)
    }


WRONG = (
    ("nowhere", FlyweightError, "no such folder"),
    ("one", UsageError, "a folder of images for each class, two or more"),
    ("odd.npz", UsageError, "no array 'y_train'"),
    ("float.npz", UsageError, "images must be uint8"),
    ("labels.npz", UsageError, "labels must be from 0 to 2"),
    ("objects.npz", FlyweightError, "can't read .*objects.npz"),
    ("empty.tar", UsageError, "no images with a class"),
    ("no.tar", FlyweightError, "can't read .*no.tar"),
    ("s-{3..1}.tar", UsageError, "names no shard; write the smaller number first"),
)


@pytest.mark.parametrize(("name", "kind", "message"), WRONG)
def test_wrong_data(tmp_path: Path, name: str, kind: type[Exception], message: str) -> None:
    x, y = pixels(6, 0)
    image_folder(tmp_path / "one", 1)
    np.savez(tmp_path / "odd.npz", x_train=x)
    np.savez(tmp_path / "float.npz", x_train=x / 255, y_train=y)
    np.savez(tmp_path / "labels.npz", x_train=x, y_train=y, x_test=x, y_test=y + 1)
    np.savez(tmp_path / "objects.npz", x_train=np.array([{}]), y_train=y)
    tarfile.open(tmp_path / "empty.tar", "w").close()
    (tmp_path / "no.tar").write_bytes(b"x" * 2000)
    with pytest.raises(kind, match=message):
        load_data(str(tmp_path / name))


def test_a_validation_with_other_classes(tmp_path: Path) -> None:
    split_folders(tmp_path)
    (tmp_path / "val" / "bottom").rename(tmp_path / "val" / "other")
    with pytest.raises(UsageError, match="no class to learn is called 'other'"):
        load_data(str(tmp_path))


def test_held_out_images_stay_the_same() -> None:
    train, val = held_out(image_set(60), 0.2)
    assert [len(train), len(val)] == [48, 12]
    assert np.bincount(val.labels).tolist() == [4, 4, 4]
    assert sorted(content(train) + content(val)) == content(image_set(60))
    names = {val.called(number) for number in range(len(val))}
    _, later = held_out(image_set(66), 0.2)
    again = {later.called(number) for number in range(len(later))}
    assert len(names & again) >= 9
    assert sum(train.blocks) == 48


def test_an_epoch_has_every_image_once() -> None:
    images = image_set(50)
    first, second = (order(images, 1, epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(50))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, order(images, 1, 0))
    assert not np.array_equal(first, order(images, 2, 0))


def test_blocks_are_read_one_after_another() -> None:
    """Images move within a window of four blocks, so each block is needed once an epoch."""
    images = ImageSet(CLASSES, np.zeros(100, np.int64), lambda n, b: Image.new("RGB", (1, 1)), str,
                      (10,) * 10)  # fmt: skip
    found = order(images, 0, 0)
    assert sorted(found) == list(range(100))
    for window in (found[:40], found[40:80], found[80:]):
        assert len({number // 10 for number in window}) == -(-len(window) // 10)
        assert (np.diff(window) < 0).any()


def test_pieces_of_a_step_are_a_batch() -> None:
    images = image_set(50)
    whole = pieces(images, 5, 0, 12, 1, 0)
    parts = [pieces(images, 5, 0, 12, 3, piece) for piece in range(3)]
    for _ in range(9):
        epoch, numbers = next(whole)
        together = [next(part) for part in parts]
        assert {one for one, _ in together} == {epoch}
        assert np.concatenate([part for _, part in together]).tolist() == numbers.tolist()


def test_a_later_step_is_where_the_run_would_be() -> None:
    images = image_set(50)
    straight = list(islice(pieces(images, 5, 0, 12, 1, 0), 9))
    for first in (1, 4, 7):
        later = list(islice(pieces(images, 5, first, 12, 1, 0), 9 - first))
        assert all(a[0] == b[0] and (a[1] == b[1]).all()
                   for a, b in zip(straight[first:], later, strict=True))  # fmt: skip


def test_crops_are_those_asked_for() -> None:
    areas, ratios = [], []
    for number in range(400):
        left, top, right, bottom = Drawn(1, 0, number).look(300, 200, 0.2, 0.0).box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        areas.append((right - left) * (bottom - top))
        ratios.append((right - left) * 300 / ((bottom - top) * 200))
    assert 0.2 <= min(areas) < 0.23
    # The largest that has a shape that is allowed: 4/3 of the height, by the height.
    assert 0.8 < max(areas) <= (4 / 3 * 200) * 200 / (300 * 200) + 1e-9
    assert min(ratios) >= RATIOS[0] - 1e-9
    assert max(ratios) <= RATIOS[1] + 1e-9
    flips = [Drawn(1, 0, number).look(9, 9, 1.0, 0.0).flipped for number in range(400)]
    assert 150 < sum(flips) < 250


def test_a_long_image_is_cropped_to_a_shape_that_is_allowed() -> None:
    left, top, right, bottom = Drawn(0, 0, 0).look(1000, 10, 1.0, 0.0).box
    assert (top, bottom) == (0.0, 1.0)
    assert (right - left) * 1000 / 10 == pytest.approx(RATIOS[1])


def test_looks_belong_to_image_and_epoch() -> None:
    looks = {Drawn(1, epoch, number).look(9, 9, 0.1, 0.3) for epoch in (0, 1) for number in (0, 1)}
    assert len(looks) == 4
    assert Drawn(1, 1, 1).look(9, 9, 0.1, 0.3) in looks


@pytest.mark.parametrize("turned", [1, 6])
def test_a_crop_of_a_reduced_jpeg_shows_the_same(tmp_path: Path, turned: int) -> None:
    """Decoded at an eighth to a half, turned by EXIF or not, a crop shows what it would whole."""
    side, (across, down) = 32, np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 480))
    picture = Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / "bottom" / "a.jpg"
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for file in ("a.jpg", "b.jpg"):
            picture.save(tmp_path / name / file, quality=95, exif=exif)
    images = load_data(str(tmp_path), hold_out=0.5).train
    whole = open_image(path)
    assert whole.size == ((640, 480) if turned == 1 else (480, 640))
    for epoch in range(6):
        found, look = shown(images, 0, Drawn(0, epoch, 0), Showing(0, side, 0.3, 0.0))
        again = Drawn(0, epoch, 0).look(*whole.size, 0.3, 0.0)
        assert again == look
        left, top, right, bottom = look.box
        width, height = whole.size
        box = (left * width, top * height, right * width, bottom * height)
        wanted = np.asarray(whole.resize((side, side), Image.Resampling.BILINEAR, box=box))
        assert np.abs(found.astype(int) - wanted).mean() < 3


def test_colours_written_out() -> None:
    values = torch.rand(2, 3, 4, 4).double()
    factors = torch.tensor([[1.0, 1.0, 1.0], [0.8, 0.7, 0.6]]).double()
    found = coloured(values, factors)
    torch.testing.assert_close(found[0], values[0])
    bright = 0.8 * values[1]
    grey = 0.299 * bright[0] + 0.587 * bright[1] + 0.114 * bright[2]
    contrasted = grey.mean() + 0.7 * (bright - grey.mean())
    grey = 0.299 * contrasted[0] + 0.587 * contrasted[1] + 0.114 * contrasted[2]
    torch.testing.assert_close(found[1], grey + 0.6 * (contrasted - grey))


def test_flips_are_of_their_own_images() -> None:
    images = image_set(24)
    chosen = pieces(images, HOW.seed, 0, 24, 1, 0)
    batch = next(training_batches(images, Showing(3, SIDE, 1.0, 0.0), chosen, 2))
    values = inputs(batch, PIXELS, torch.device("cpu"))
    plain = (batch.pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    assert 0 < int(batch.flipped.sum()) < 24
    for index, flipped in enumerate(batch.flipped.tolist()):
        wanted = plain[index].flip(2) if flipped else plain[index]
        torch.testing.assert_close(values[index], wanted)


@pytest.mark.parametrize(
    "preprocessing",
    [
        IMAGENET.at(24),
        Preprocessing(24, 32, "BGR", 255.0, (104.0, 117.0, 123.0)),
        Preprocessing(24, 24, interpolation="bicubic"),
    ],
    ids=["imagenet", "caffe", "plain"],
)
def test_a_validation_shows_what_an_evaluation_shows(
    tmp_path: Path, preprocessing: Preprocessing
) -> None:
    random = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(4):
            noise = random.integers(0, 256, (30 + number, 50, 3)).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{number}.png")
    images: Data = load_data(str(tmp_path))
    batches = validation_batches(images.val, range(3), preprocessing, 2, 2)
    found = torch.cat([inputs(batch, preprocessing, torch.device("cpu")) for batch in batches])
    for number in range(3):
        picture = open_image(tmp_path / images.val.called(number))
        wanted = torch.from_numpy(prepare(picture, preprocessing))
        torch.testing.assert_close(found[number], wanted, rtol=1e-4, atol=1e-4)


def test_batches_do_not_depend_on_the_workers() -> None:
    def some(workers: int) -> list[torch.Tensor]:
        images = image_set(24)
        batches = training_batches(images, HOW, pieces(images, 1, 0, 8, 1, 0), workers)
        return [batch.pixels.clone() for batch in islice(batches, 5)]

    for one, four in zip(some(1), some(4), strict=True):
        assert torch.equal(one, four)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "train-0.parquet").touch()
    with pytest.raises(FlyweightError, match="need pyarrow: pip install 'flyweight"):
        load_data(str(tmp_path))


def test_few_row_groups_are_in_memory(tmp_path: Path) -> None:
    from flyweight.training import tables as module

    folder = tables(tmp_path / "data", count=60, each=3)
    images = load_data(str(folder)).train
    assert len(images.blocks) == 20
    read: list[int] = []
    parquet = pytest.importorskip("pyarrow.parquet")
    before = parquet.ParquetFile.read_row_group

    def counted(self: object, index: int, **options: object) -> object:
        read.append(index)
        return before(self, index, **options)

    parquet.ParquetFile.read_row_group = counted
    try:
        batches = training_batches(images, HOW, pieces(images, 1, 0, 6, 1, 0), 2)
        for _ in islice(batches, 10 - 4):
            pass
    finally:
        parquet.ParquetFile.read_row_group = before
    assert len(read) <= 20 + module.IN_MEMORY
