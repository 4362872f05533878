"""Forms of a network on the same images: counts by arithmetic, intervals by the literature."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from flyweight.errors import FlyweightError, UsageError
from flyweight.evaluating import Change, Labelled, change, evaluate_together
from flyweight.evaluating.together import Scores
from tests.evaluating.greys import IMAGES, PIXELS, TOP1, TOP5, Greys, grey_images


def form(shift: float = 0.0) -> Scores:
    """The network of greys, to which every image looks so much brighter."""
    model = Greys().eval()

    def scores(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found: np.ndarray = model(torch.from_numpy(x) + shift).numpy()
        return found

    return scores


def test_counts_are_those_of_arithmetic(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    steps = []
    found = evaluate_together(
        {"plain": form(), "brighter": form(30.0)}, 8, images, PIXELS, workers=2, show=steps.append
    )
    plain = found["plain"].evaluation
    assert (plain.n, plain.top1_correct, plain.top5_correct) == (len(IMAGES), TOP1, TOP5)
    # One grey (30) brighter is one class up: of the table, only c.png (61, label 5), e.png (0,
    # label 5) and so on stay wrong; what was right (a, d, f, h, k) becomes wrong, but for f, since
    # there is no class above 7; nothing becomes right, since no label is one above the nearest.
    made = change(found["plain"], found["brighter"])
    assert (made.both, made.lost, made.won, made.neither) == (1, 4, 0, 6)
    assert made.same == 2  # f.png and g.png, whose grey is 210
    assert (made.before.correct, made.after.correct) == (5, 1)
    assert [step.done for step in steps] == list(range(1, len(IMAGES) + 1))
    assert steps[-1].top1_correct == TOP1


def test_images_that_cannot_be_read_are_in_neither_count(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    images[0].path.write_text("no image")
    found = evaluate_together({"a": form(), "b": form()}, 8, images, PIXELS)
    made = change(found["a"], found["b"])
    assert (made.n, made.same, made.lost, made.won) == (10, 10, 0, 0)
    assert [one.name for one in found["a"].evaluation.skipped] == ["a.png"]
    for image in images:
        image.path.write_text("no image")
    with pytest.raises(FlyweightError, match="none of 11 images"):
        evaluate_together({"a": form()}, 8, images, PIXELS)


def test_what_is_refused(tmp_path: Path) -> None:
    images = grey_images(tmp_path)
    with pytest.raises(UsageError, match="no images"):
        evaluate_together({"a": form()}, 8, [], PIXELS)
    with pytest.raises(FlyweightError, match="not all finite"):
        evaluate_together({"a": form(math.nan)}, 8, images, PIXELS)
    one = evaluate_together({"a": form()}, 8, images, PIXELS)["a"]
    other = evaluate_together({"a": form()}, 8, [Labelled(tmp_path, "a.png", 1)], PIXELS)["a"]
    with pytest.raises(UsageError, match="the same images"):
        change(one, other)


# Airways before and after (Bentur et al. 2009), as M. Fagerland, S. Lydersen and P. Laake print
# Newcombe's interval (Statistics in Medicine 2014): -0.507 to -0.026 for before less
# after, of 1 and 12 that agree, 1 and 7 that don't.
def test_the_interval_is_newcombes() -> None:
    made = Change(both=1, lost=1, won=7, neither=12, same=0)
    assert made.difference == pytest.approx(6 / 21)
    assert made.interval == pytest.approx((0.026, 0.507), abs=6e-4)
    turned = Change(both=1, lost=7, won=1, neither=12, same=0)
    assert turned.interval == pytest.approx((-0.507, -0.026), abs=6e-4)
    assert made.differs
    assert turned.differs


def test_the_interval_of_no_difference_holds_0() -> None:
    for made in (Change(5, 0, 0, 5, 10), Change(10, 0, 0, 0, 10), Change(0, 0, 0, 9, 9)):
        low, high = made.interval
        assert low <= 0 <= high
        assert not made.differs
        assert low >= -1
        assert high <= 1


def test_the_interval_holds_the_truth_19_times_of_20() -> None:
    random = np.random.default_rng(0)
    shares = (0.6, 0.08, 0.04, 0.28)  # both, lost, won, neither
    drawn = random.multinomial(400, shares, 2000)
    ends = [Change(*map(int, counts), same=0).interval for counts in drawn]
    held = np.mean([low <= -0.04 <= high for low, high in ends])
    assert 0.935 <= held <= 0.975
