"""Images are counted as arithmetic says, whatever the batch, the threads and the interruptions."""

import dataclasses
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from flyweight.errors import FlyweightError, UsageError
from flyweight.evaluating import (
    Evaluation,
    Labelled,
    Step,
    evaluate,
    labelled_images,
    outputs,
    wilson,
)
from flyweight.zoo import create_model
from flyweight.zoo.preprocessing import Preprocessing
from flyweight.zoo.weights import load_pretrained
from tests.data_dir import DATA, needs_data
from tests.evaluating.greys import (
    FIRST_FIVE,
    IMAGES,
    PIXELS,
    SIDE,
    TOP1,
    TOP5,
    Greys,
    grey_image,
    grey_images,
)


def counts(result: Evaluation) -> Evaluation:
    """An evaluation without the time that it took."""
    return dataclasses.replace(result, seconds=0.0)


# Correct, n and the interval: 15 of 148 is Newcombe's example (Statistics in Medicine, 1998, table
# I), 8 of 10 the usual one of textbooks; for none and all, the far end is z² / (n + z²) by hand;
# for very many it is that of the normal distribution, 0.7613 ± 0.00264.
@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (15, 148, 0.0624, 0.1605),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (76130, 100000, 0.7586, 0.7639),
    ],
)
def test_intervals_are_wilsons(correct: int, n: int, low: float, high: float) -> None:
    assert wilson(correct, n) == pytest.approx((low, high), abs=6e-5)
    mirrored = wilson(n - correct, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=6e-5)


@pytest.mark.parametrize("batch", [1, 3, 16, 100])
@pytest.mark.parametrize("threads", [None, 1, 3])
def test_counts_are_those_of_arithmetic(batch: int, threads: int | None, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    result = evaluate(Greys(), grey_images(tmp_path), PIXELS, batch=batch, threads=threads)
    assert (result.n, result.top1_correct, result.top5_correct) == (len(IMAGES), TOP1, TOP5)
    assert result.skipped == ()
    n, top1, top5 = (Counter[int]() for _ in range(3))
    for _, _, label, first, within in IMAGES:
        n[label] += 1
        top1[label] += first
        top5[label] += within
    assert [dataclasses.astuple(one) for one in result.per_class] == [
        (label, n[label], top1[label], top5[label]) for label in sorted(n)
    ]
    assert result.top1.accuracy == TOP1 / len(IMAGES)
    assert result.top5 is not None
    assert result.top5.interval == wilson(TOP5, len(IMAGES))
    assert result.images_per_s == pytest.approx(len(IMAGES) / result.seconds)
    assert torch.get_num_threads() == before


def test_the_first_five_are_kept_in_order(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    evaluate(Greys(), images, PIXELS, batch=4, resume=tmp_path / "state.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "state.jsonl").read_text().splitlines()]
    entries = [entry for line in lines[1:] for entry in line["images"]]
    assert [entry["name"] for entry in entries] == [name for name, *_ in IMAGES]
    assert [tuple(entry["top"]) for entry in entries] == [
        FIRST_FIVE[grey] for _, grey, *_ in IMAGES
    ]


def test_of_equal_scores_the_lower_class_is_first(tmp_path: Path) -> None:
    grey_image(tmp_path / "between.png", 45)  # as far from class 1 as from class 2
    for label, right in ((1, 1), (2, 0)):
        images = [Labelled(tmp_path, "between.png", label)]
        assert evaluate(Greys(), images, PIXELS).top1_correct == right


def test_five_classes_have_no_top5(tmp_path: Path) -> None:
    grey_image(tmp_path / "a.png", 61)
    images = [Labelled(tmp_path, "a.png", 2)]
    five = evaluate(Greys(5), images, PIXELS)
    assert (five.top5_correct, five.top5, five.per_class[0].top5_correct) == (None, None, None)
    assert evaluate(Greys(6), images, PIXELS).top5_correct == 1


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    model = nn.Sequential(Greys(), nn.Dropout())
    model.train()
    model[0].norm.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    evaluate(model, grey_images(tmp_path), PIXELS)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_images_that_cannot_be_read_are_listed_and_not_counted(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    whole = (tmp_path / "d.png").read_bytes()
    (tmp_path / "d.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "e.png").write_text("no image")
    (tmp_path / "f.png").unlink()
    result = evaluate(Greys(), images, PIXELS, batch=2)
    assert (result.n, result.top1_correct, result.top5_correct) == (8, TOP1 - 2, TOP5 - 2)
    assert [one.name for one in result.skipped] == ["d.png", "e.png", "f.png"]
    assert "unknown format" in result.skipped[1].reason
    assert "no such file" in result.skipped[2].reason
    for name, *_ in IMAGES:
        (tmp_path / name).write_text("no image")
    with pytest.raises(FlyweightError, match=r"none of 11 images could be read: .*a\.png"):
        evaluate(Greys(), images, PIXELS)


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_resumed_is_as_uninterrupted(kept: int, tmp_path: Path) -> None:
    """Stopped after some batches, its last line cut, and continued with batches of another size."""
    images = grey_images(tmp_path)
    (tmp_path / "d.png").write_text("no image")
    whole = evaluate(Greys(), images, PIXELS)
    state = tmp_path / "state.jsonl"

    def stop(step: Step) -> None:
        if step.done == 2 * kept:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(Greys(), images, PIXELS, batch=2, resume=state, show=stop)
    lines = state.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + kept
    state.write_bytes(b"".join(lines) + lines[-1][:-1])  # all of a line but its end
    for name, *_ in IMAGES[: 2 * kept]:
        (tmp_path / name).unlink()  # what is kept is not looked at again
    steps: list[Step] = []
    resumed = evaluate(Greys(), images, PIXELS, batch=3, resume=state, show=steps.append)
    assert steps[0].done == 2 * kept
    assert (steps[-1].done, steps[-1].skipped) == (len(images), 1)
    assert steps[-1].top1_correct == resumed.top1_correct
    assert counts(resumed) == counts(whole)
    assert state.read_bytes().startswith(b"".join(lines))
    again = evaluate(Greys(), images, PIXELS, resume=state)
    assert again == resumed
    assert again.seconds == resumed.seconds


def test_a_killed_run_is_continued(tmp_path: Path) -> None:
    """The first process ends at once in the middle of its work, as by kill -9."""
    images = grey_images(tmp_path)
    code = f"""
import os
from pathlib import Path
from tests.evaluating.greys import Greys, PIXELS, grey_images
from flyweight.evaluating import evaluate
folder = Path({str(tmp_path)!r})
def show(step):
    if step.done == 6:
        os.kill(os.getpid(), 9)
evaluate(Greys(), grey_images(folder), PIXELS, batch=2, resume=folder / "state", show=show)
"""
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False, timeout=60
    )
    assert killed.returncode == -9
    steps: list[Step] = []
    result = evaluate(Greys(), images, PIXELS, resume=tmp_path / "state", show=steps.append)
    assert steps[0].done == 6
    assert (result.n, result.top1_correct, result.top5_correct) == (len(IMAGES), TOP1, TOP5)


def test_a_state_cut_anywhere_is_continued_or_begun_again(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    state = tmp_path / "state.jsonl"
    whole = evaluate(Greys(), images, PIXELS, batch=4, resume=state)
    written = state.read_bytes()
    for end in [*range(0, len(written), 97), len(written) - 1]:
        state.write_bytes(written[:end])
        assert counts(evaluate(Greys(), images, PIXELS, batch=4, resume=state)) == counts(whole)


class Other(Greys):
    """Another network with the same weights."""


def test_a_state_of_another_evaluation_is_refused_and_kept(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    state = tmp_path / "state.jsonl"
    evaluate(Greys(), images, PIXELS, resume=state)
    written = state.read_bytes()
    moved = Greys()
    moved.greys.data[3] += 1
    others = {
        "network": (Other(), images, PIXELS, "crop"),
        "weights": (moved, images, PIXELS, "crop"),
        "images": (Greys(), images[:-1], PIXELS, "crop"),
        "names and labels": (Greys(), images[::-1], PIXELS, "crop"),
        "squares": (Greys(), images, PIXELS, "squash"),
        "colour": (Greys(), images, dataclasses.replace(PIXELS, colour="BGR"), "crop"),
    }
    for what, (model, some, preprocessing, squares) in others.items():
        with pytest.raises(UsageError, match=rf"state\.jsonl belongs to another .* {what} \("):
            evaluate(model, some, preprocessing, squares, resume=state)  # type: ignore[arg-type]
        assert state.read_bytes() == written
    state.write_bytes(written.replace(b'"b.png"', b'"x.png"'))
    with pytest.raises(FlyweightError, match=r"state\.jsonl, line 2: damaged, or not the next"):
        evaluate(Greys(), images, PIXELS, resume=state)


@pytest.mark.parametrize(
    "content", [b"my thesis", b"my thesis\nin two lines\n", b'{"epoch": 3}\n', b"[1]\n", b"\x89P\n"]
)
def test_a_file_of_something_else_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(content)
    with pytest.raises(UsageError, match="holds no evaluation: it is left as it is"):
        evaluate(Greys(), grey_images(tmp_path), PIXELS, resume=mine)
    assert mine.read_bytes() == content
    with pytest.raises(FlyweightError, match="it is a folder"):
        evaluate(Greys(), grey_images(tmp_path), PIXELS, resume=tmp_path)


class Bad(Greys):
    """A network that gives one image something else than a score."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        scores = super().forward(x)
        scores[x.mean((1, 2, 3)) == 210, 4] = self.value
        return scores


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_end_it(value: float, tmp_path: Path) -> None:
    with pytest.raises(FlyweightError, match=r"scores of .*f\.png are not all finite numbers"):
        evaluate(Bad(value), grey_images(tmp_path), PIXELS)


def test_a_class_that_is_ruled_out_is_no_error(tmp_path: Path) -> None:
    """Without class 4, the first five of grey 210 are 7, 6, 5, 3 and 2: "g.png" shows 2."""
    result = evaluate(Bad(float("-inf")), grey_images(tmp_path), PIXELS)
    assert (result.top1_correct, result.top5_correct) == (TOP1, TOP5 + 1)


def test_wrong_requests(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    for arguments, words in (
        ({"batch": 0}, "the batch must be 1 or more, not 0"),
        ({"threads": 0}, "threads must be 1 or more, not 0"),
        ({"squares": "stretch"}, "not 'stretch'"),
    ):
        with pytest.raises(UsageError, match=words):
            evaluate(Greys(), images, PIXELS, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no images"):
        evaluate(Greys(), [], PIXELS)
    with pytest.raises(UsageError, match=r"c\.png: no class 5: the network's 4 classes are 0 to 3"):
        evaluate(Greys(4), images, PIXELS)
    with pytest.raises(UsageError, match="doesn't run on colour images of 8 x 8 pixels: Given"):
        evaluate(nn.Conv2d(1, 4, 3), images, PIXELS)
    with pytest.raises(UsageError, match=r"doesn't give scores of shape \(batch, classes\)"):
        outputs(nn.Conv2d(3, 4, 3), 8)


def test_squares(tmp_path: Path) -> None:
    """Black, white, black: the centre is white, all of it is a third white."""
    wide = np.zeros((SIDE, SIDE * 3, 3), np.uint8)
    wide[:, SIDE : 2 * SIDE] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    images = [Labelled(tmp_path, "wide.png", 7)]
    assert evaluate(Greys(), images, PIXELS).top1_correct == 1
    state = tmp_path / "state.jsonl"
    evaluate(Greys(), images, PIXELS, "squash", resume=state)
    assert json.loads(state.read_text().splitlines()[1])["images"][0]["top"][0] == 3  # 85 of 255
    with pytest.raises(UsageError, match="is 24 x 8 pixels, and the network's input 8 x 8"):
        evaluate(Greys(), images, PIXELS, "none")
    some = grey_images(tmp_path)
    assert counts(evaluate(Greys(), some, PIXELS, "none")) == counts(
        evaluate(Greys(), some, PIXELS)
    )


def test_images_are_read_ahead_but_not_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the second batch is classified, others are read, and no more than three batches."""
    from flyweight.evaluating import loop

    opened: list[Path] = []
    real = loop.open_image
    monkeypatch.setattr(loop, "open_image", lambda path: opened.append(path) or real(path))
    for number in range(60):
        grey_image(tmp_path / f"{number:02}.png", 0)
    images = [Labelled(tmp_path, f"{number:02}.png", 0) for number in range(60)]
    seen: list[tuple[int, int]] = []

    def show(step: Step) -> None:
        if step.done == 8:
            time.sleep(0.3)  # the readers' chance to run too far
        seen.append((step.done, len(opened)))

    evaluate(Greys(), images, PIXELS, batch=4, threads=2, show=show)
    done, ahead = seen[2]
    assert done == 8
    assert 8 < ahead <= 8 + 2 * 4 + 2 + 1
    assert sorted(opened) == [image.path for image in images]


def test_a_network_of_the_zoo_in_half_precision(tmp_path: Path) -> None:
    """Inputs take the type of the weights; a classifier of one known answer is right thrice."""
    model = create_model("mobilenet_v1_x0_25", num_classes=8).bfloat16()
    model.classifier.weight.data.zero_()
    model.classifier.bias.data.copy_(torch.tensor([9.0, 0, 0, 0, 0, 1, 2, 3]))
    result = evaluate(model, grey_images(tmp_path), Preprocessing(crop=32, resize=32))
    # First 0, then 7, 6, 5, 1: four images show 0, one shows 7 and three 5.
    assert (result.top1_correct, result.top5_correct) == (4, 8)


@needs_data
def test_real_weights_on_real_photographs(tmp_path: Path) -> None:
    """866 and 662 of these 1000 are right with these weights; of 100, about as many in 100."""
    pretrained = load_pretrained(
        "mobilenet_v1_x0_5", DATA / "weights" / "mobilenet_v1_0.5_160_quant.safetensors"
    )
    found = labelled_images(DATA / "imagenet_sample_1000_s256", 1000)
    assert len(found.images) == 1000
    images = found.spread(100)
    preprocessing = pretrained.loaded.preprocessing
    result = evaluate(pretrained.model, images, preprocessing, threads=1)
    assert result.n == 100
    assert result.top1.interval[0] < 0.662 < result.top1.interval[1]
    assert result.top5 is not None
    assert result.top5.interval[0] < 0.866 < result.top5.interval[1]
    other = evaluate(pretrained.model, images[:10], preprocessing, batch=7)
    same = evaluate(pretrained.model, images[:10], preprocessing, batch=1)
    assert counts(other) == counts(same)
