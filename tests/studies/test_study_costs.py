"""Computed columns of the guidelines' tables, against figures worked out by hand from Eq. 1, 2."""

import math
import re

import pytest
import torch

from flyweight.studies import STUDIES, Case, case_cost, study_named
from flyweight.studies.guidelines import Concatenated, Parallel, fragment_width

PIXELS = 56 * 56


def cases(study: str, series: str) -> tuple[Case, ...]:
    (found,) = [one.cases for one in STUDIES[study].series if one.name == series]
    return found


# M multiply-adds, M elements of memory access, M of its bound.
G1 = {
    "GPU x1": [(1027.6, 16.384, 16.384), (1016.1, 17.258, 16.290), (1017.6, 23.155, 16.302),
               (975.4, 29.664, 15.954)],
    "ARM x1": [(64.23, 4.035, 4.035), (60.71, 4.159, 3.922), (63.60, 5.728, 4.015),
               (60.96, 7.358, 3.930)],
}  # fmt: skip


@pytest.mark.parametrize("series", G1)
def test_g1(series: str) -> None:
    for case, (madds, accessed, bound) in zip(cases("g1", series), G1[series], strict=True):
        cost = case_cost(case)
        assert cost.madds / 1e6 == pytest.approx(madds, abs=0.06)
        assert cost.memory_access / 1e6 == pytest.approx(accessed, abs=6e-4)
        assert cost.bound / 1e6 == pytest.approx(bound, abs=6e-4)
        assert cost.over_bound == pytest.approx(accessed / bound, abs=2e-3)


def test_larger_scales_of_g1() -> None:
    for scale, first, last in ((2, 33.423, 59.950), (4, 69.468, 122.388)):
        costs = [case_cost(case) for case in cases("g1", f"GPU x{scale}")]
        assert costs[0].memory_access / 1e6 == pytest.approx(first, abs=6e-4)
        assert costs[-1].memory_access / 1e6 == pytest.approx(last, abs=6e-4)
        assert costs[0].madds == pytest.approx(1027.6e6 * scale**2, rel=1e-4)


# M multiply-adds of x1 (x2 and x4 have four and sixteen times as many), M elements of memory access
# at each scale; and for x1 these over the bound of Eq. 2.
G2_MADDS = {"GPU": (513.8, 508.0, 513.8, 508.0), "CPU": (128.45, 127.01, 128.45, 127.01)}
G2 = {
    "GPU x1": (8.192, 11.452, 16.220, 22.741), "GPU x2": (16.712, 23.227, 32.768, 45.806),
    "GPU x4": (34.734, 47.750, 66.847, 92.909), "CPU x1": (4.055, 5.685, 8.069, None),
}  # fmt: skip
G2_OVER_BOUND = (1, 1.406, 1.980, 2.792)


@pytest.mark.parametrize("series", G2)
def test_g2(series: str) -> None:
    platform, _, scale = series.partition(" x")
    rows = zip(cases("g2", series), G2_MADDS[platform], G2[series], strict=True)
    for case, madds, accessed in rows:
        cost = case_cost(case)
        if accessed is None:  # of channels that 8 groups don't divide: see below
            continue
        assert cost.madds / 1e6 == pytest.approx(int(scale) ** 2 * madds, rel=2e-4)
        assert cost.memory_access / 1e6 == pytest.approx(accessed, abs=6e-4)
    if series == "GPU x1":
        found = [case_cost(case).over_bound for case in cases("g2", series)]
        assert found == pytest.approx(G2_OVER_BOUND, abs=6e-4)


def test_groups_that_do_not_divide() -> None:
    """180 channels in 8 groups is no network: 184 channels are, and the row says so."""
    case = cases("g2", "CPU x1")[-1]
    assert (case.shape, "184" in case.note) == ((184, 56, 56), True)
    assert case_cost(case).madds == 10 * PIXELS * 184 * 184 // 8
    assert case_cost(case).memory_access == 10 * (2 * PIXELS * 184 + 184 * 184 // 8)
    assert all(not case.note for case in cases("g2", "CPU x2"))


@pytest.mark.parametrize("joined", ["add", "concat"])
def test_fragments_have_equal_flops(joined: str) -> None:
    for series in study_named("g3", joined).series:
        madds = [case_cost(case).madds for case in series.cases]
        assert madds[0] == 10 * PIXELS * int(re.findall(r"c=(\d+)", series.name)[0]) ** 2
        assert all(abs(other / madds[0] - 1) < 0.012 for other in madds)


# What the convolutions of one block read and write, M elements, at c=64: two fragments have 45
# channels, four 32; where parallel ones are put side by side, each reads 64 and writes its share.
G3 = {
    "add": (0.405504, 2 * 0.284265, 4 * 0.201728, 2 * 0.284265, 4 * 0.201728),
    "concat": (0.405504, 2 * 0.284265, 4 * 0.201728, 2 * 0.303104, 4 * 0.251904),
}


@pytest.mark.parametrize("joined", G3)
def test_memory_access_of_fragments(joined: str) -> None:
    (found,) = [s for s in study_named("g3", joined).series if s.name.startswith("CPU c=64")]
    accessed = [case_cost(case).memory_access / 1e7 for case in found.cases]
    assert accessed == pytest.approx(G3[joined], abs=1e-9)


def test_fragment_widths() -> None:
    assert [fragment_width(c, 2) for c in (64, 128, 256, 512)] == [45, 91, 181, 362]
    assert [fragment_width(c, 4) for c in (64, 128)] == [32, 64]


def test_the_first_rows_of_g2_and_g3_are_one_network() -> None:
    one, other = cases("g2", "GPU x1")[0], cases("g3", "GPU c=128")[0]
    assert case_cost(one) == case_cost(other)


def test_other_readings_are_other_records() -> None:
    """A run that goes on with another reading must not take the times of the first."""
    for name, other in (("g3", study_named("g3", "concat")), ("g4", study_named("g4", middle=2))):
        assert not {s.name for s in other.series} & {s.name for s in STUDIES[name].series}


@pytest.mark.parametrize(
    ("middle", "expected"), [(4, (34.1, 136.5, 545.9)), (2, (104.4, 417.5, 1669.9))]
)
def test_g4(middle: int, expected: tuple[float, ...]) -> None:
    series = [one for one in study_named("g4", middle=middle).series if one.name.startswith("CPU")]
    for one, madds in zip(series, expected, strict=True):
        found = {case_cost(case).madds for case in one.cases}
        assert len(found) == 1  # ReLU and shortcut have no FLOPs
        assert found.pop() / 1e6 == pytest.approx(madds, abs=0.06)


def test_memory_access_of_g4() -> None:
    """c=32 with 8 channels in the middle; the 3x3 convolution, of equal width, is at its bound."""
    pointwise, spatial = PIXELS * (32 + 8) + 32 * 8, PIXELS * (8 + 8) + 9 * 8 * 8
    least = 2 * PIXELS * math.sqrt(32 * 8) + 32 * 8
    for case in cases("g4", "CPU c=32"):
        cost = case_cost(case)
        assert cost.memory_access == 10 * (2 * pointwise + spatial)
        assert cost.bound == pytest.approx(10 * (2 * least + spatial))


def test_parallel_branches() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 5, 5)
    both = Parallel(8, 2)
    weights = [branch.weight[:, :, 0, 0] for branch in both.branches]  # type: ignore[union-attr, index]
    torch.testing.assert_close(both(x), torch.einsum("oc,bchw->bohw", weights[0] + weights[1], x))
    beside = Concatenated(8, 4)
    assert beside(x).shape == (1, 8, 5, 5)


def test_what_g4_leaves_out() -> None:
    torch.manual_seed(0)
    full, bare = (cases("g4", "CPU c=32")[i].build() for i in (0, 3))
    bare.load_state_dict(full.state_dict())
    x = torch.randn(1, 32, 6, 6)
    assert bool((full(x) >= 0).all())
    # Without ReLU and shortcut ten units are one linear map.
    torch.testing.assert_close(bare(x) + bare(2 * x), bare(3 * x), rtol=1e-3, atol=1e-5)
    assert not torch.allclose(full(x) + full(2 * x), full(-3 * x))


def test_published_speeds() -> None:
    """Spot checks against the printed tables."""
    for study, series, speeds in (
        ("g1", "ARM x4", [5.3, 5.1, 4.6, 4.4]),
        ("g2", "GPU x2", [1289, 873, 644, 445]),
        ("g3", "CPU c=128", [10.1, 10.1, 10.1, 9.1, 8.4]),
        ("g4", "GPU c=64", [2066, 2256, 2121, 2376]),
    ):
        assert [case.published for case in cases(study, series)] == [(speed,) for speed in speeds]


def test_the_bound_is_a_bound() -> None:
    """Eq. 1, for every case: and it is reached where channels in and out are equal and dense."""
    for study in (study for study in STUDIES.values() if study.cost == "bound"):
        for case in study.series[0].cases:
            cost = case_cost(case)
            assert cost.over_bound >= 1 - 1e-9
    assert math.isclose(case_cost(cases("g1", "GPU x1")[0]).over_bound, 1)
