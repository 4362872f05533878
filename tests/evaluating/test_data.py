"""Which class each image of a folder shows, and what is said where that can't be known."""

from pathlib import Path

import pytest

from flyweight.errors import FlyweightError, UsageError
from flyweight.evaluating import Labelled, labelled_images
from flyweight.zoo.weights.classes import class_names, class_synsets
from tests.data_dir import DATA, needs_data


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def labels(folder: Path, classes: int, file: Path | None = None) -> dict[str, int]:
    return {image.name: image.label for image in labelled_images(folder, classes, file).images}


def test_synsets_are_imagenets() -> None:
    """The classes' order is that of the synsets; some as they are known from elsewhere."""
    assert len(set(class_synsets())) == 1000
    assert list(class_synsets()) == sorted(class_synsets())
    for number, synset, name in (
        (0, "n01440764", "tench"),
        (207, "n02099601", "golden retriever"),
        (281, "n02123045", "tabby"),
        (386, "n02504458", "African elephant"),
        (817, "n04285008", "sports car"),
        (999, "n15075141", "toilet tissue"),
    ):
        assert (class_synsets()[number], class_names()[number]) == (synset, name)


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        # ImageNet's classes by synset, by name, by both.
        (["n02123045/a.jpg", "n01440764/deep/b.PNG"], 1000, [0, 281]),
        (["African_elephant/a.jpg", "tench/b.jpg"], 1000, [386, 0]),
        (["african elephant/a.jpg", "n01440764/b.jpg"], 1000, [386, 0]),
        # Numbers, in any spelling; a folder may be empty.
        (["0/a.jpg", "10/b.jpg", "2/c.jpg", "3/notes.txt"], 11, [0, 10, 2]),
        (["000/a.jpg", "002/b.jpg"], 1000, [0, 2]),
        # As many folders as classes: their order, whatever they are called.
        (["cat/a.jpg", "ant/b.jpg", "dog/notes.txt"], 3, [0, 1]),
        (["n02123045/a.jpg", "n01440764/b.jpg"], 2, [0, 1]),
        # Files that are called as ImageNet's training images are.
        (["n02123045_1.JPEG", "n01440764_tench.jpg"], 1000, [0, 281]),
    ],
)
def test_labels_by_names(
    names: list[str], classes: int, expected: list[int], tmp_path: Path
) -> None:
    assert list(labels(files(tmp_path, *names), classes).values()) == expected


def test_what_is_said_of_the_labels(tmp_path: Path) -> None:
    files(tmp_path, "cat/a.jpg", "ant/b.jpg", "c.jpg", ".hidden/d.jpg")
    found = labelled_images(tmp_path, 2)
    assert found.rule == (
        "labels: the folders in sorted order, from ant = 0 to cat = 1;"
        " left out, because they are in no folder of a class: 1"
    )
    assert found.names == {0: "ant", 1: "cat"}
    assert found.images == (Labelled(tmp_path, "ant/b.jpg", 0), Labelled(tmp_path, "cat/a.jpg", 1))


@pytest.mark.parametrize(
    ("names", "classes", "words"),
    [
        (["cat/a.jpg", "dog/b.jpg"], 10, "which class is the folder 'cat'?"),
        (["n01440764/a.jpg", "val/b.jpg"], 1000, "which class is the folder 'val'?"),
        (["0/a.jpg", "10/b.jpg"], 10, "no class 10: the network's 10 classes are 0 to 9"),
        (["1/a.jpg", "01/b.jpg"], 10, "01 and 1 are both class 1"),
        (["tench/a.jpg", "n01440764/b.jpg"], 1000, "n01440764 and tench are both class 0"),
        (["crane/a.jpg"], 1000, "two classes are called 'crane'.*n02012849 or n03126707"),
        (["ILSVRC2012_val_00000001.JPEG"], 1000, "which class does ILSVRC2012_val.*--labels FILE"),
        (["n01440764_1.jpg", "n00000000_1.jpg"], 1000, "which class does n00000000_1.jpg show"),
        (["n01440764_1.jpg"], 10, "which class does n01440764_1.jpg show"),
    ],
)
def test_names_that_say_no_class(
    names: list[str], classes: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        labelled_images(files(tmp_path, *names), classes)


def test_folders_without_images(tmp_path: Path) -> None:
    for folder, words in (
        (tmp_path / "none", "no such folder"),
        (files(tmp_path, "a.txt") / "a.txt", "it is not a folder"),
        (tmp_path, "no images in"),
        (files(tmp_path, "cat/b.txt"), "no images in"),
    ):
        with pytest.raises(FlyweightError, match=words):
            labelled_images(folder, 1000)


def test_labels_from_a_file(tmp_path: Path) -> None:
    """Whatever separates them; the images needn't be there, and other images are left alone."""
    text = "\ufeffa.jpg 3\nb c.jpg\t0\n\n./deep/d.jpg,12\n  e, f.jpg , 7  \n"
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8")
    folder = files(tmp_path / "images", "a.jpg", "other.jpg")
    expected = {"a.jpg": 3, "b c.jpg": 0, "deep/d.jpg": 12, "e, f.jpg": 7}
    assert labels(folder, 13, tmp_path / "labels.txt") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg 0\nb.jpg\n", r"line 2: 'b\.jpg' is no file name and class"),
        ("a.jpg -1", "line 1: 'a.jpg -1' is no file name and class"),
        ("name,label\na.jpg,0", "line 1: 'name,label' is no file name"),
        ("a.jpg 0\n\nb.jpg 10\n", "line 3: no class 10: the network's 10 classes are 0 to 9"),
        ("a.jpg 0\nb.jpg 1\n./a.jpg 0\n", "line 3: a.jpg was in line 1 before"),
        ("/etc/passwd 0", "line 1: '/etc/passwd' is not within"),
        ("deep/../../a.jpg 0", "line 1: 'deep/../../a.jpg' is not within"),
        ("..\\a.jpg 0", "is not within"),
        ("C:\\a.jpg 0", "is not within"),
        ("\n\n", "names no images"),
        ("", "names no images"),
    ],
)
def test_lines_of_labels_that_are_wrong(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(UsageError, match=words):
        labelled_images(tmp_path, 10, tmp_path / "labels.txt")


def test_files_of_labels_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    for name, words in (("none", "No such file"), ("binary", "it is not text")):
        with pytest.raises(FlyweightError, match=f"can't read labels from .*{name}: {words}"):
            labelled_images(tmp_path, 10, tmp_path / name)


def test_some_of_the_images_are_spread_over_all(tmp_path: Path) -> None:
    names = [f"{number}/{image}.jpg" for number in range(4) for image in "ab"]
    found = labelled_images(files(tmp_path, *names), 4)
    assert [image.label for image in found.spread(4)] == [0, 1, 2, 3]
    assert [image.name for image in found.spread(3)] == ["0/a.jpg", "1/a.jpg", "2/b.jpg"]
    assert found.spread(100) == found.images


@needs_data
def test_the_samples_labels_are_the_order_of_its_files() -> None:
    found = labelled_images(DATA / "imagenet_sample_1000_s256", 1000)
    assert [image.label for image in found.images] == list(range(1000))
    validation = labelled_images(
        DATA / "imagenet_val1300_227", 1000, DATA / "imagenet_val1300_227.txt"
    )
    assert len(validation.images) == 1300
    assert all(image.path.is_file() for image in validation.images)
