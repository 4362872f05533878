"""Planted waste is found, the right one first; clean networks have none."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.advising import ARCHITECTURAL, NOTE, find, read
from flyweight.advising.findings import Overhead, Times
from flyweight.advising.reading import Reading
from flyweight.advising.rebuilding import Edit, rebuilt
from flyweight.advising.thresholds import LEAST_SHARE
from flyweight.advising.widths import widths_of
from flyweight.decomposing import Decomposition
from flyweight.decomposing.kinds import CONVOLUTION, ELEMENTWISE
from flyweight.decomposing.peaks import Peaks
from flyweight.decomposing.profile import Operation
from flyweight.decomposing.result import Part
from flyweight.decomposing.roofline import Bound
from flyweight.records import Ratio
from tests.advising.planted import CLEAN, MIXED, PLANTED, SIZE, in_series, misfit, unequal
from tests.advising.synthetic import times
from tests.report.conftest import record


def reading_of(model: nn.Module) -> Reading:
    """A network as the advisor reads it."""
    torch.manual_seed(0)
    return read(model.eval(), torch.randn(1, 3, SIZE, SIZE))


@pytest.fixture(params=PLANTED, scope="module")
def planted(request: pytest.FixtureRequest) -> tuple[str, nn.Module, Reading]:
    """What is planted, the network, and the reading."""
    model = PLANTED[request.param]().eval()
    return request.param, model, reading_of(model)


def test_planted_waste_ranks_first(planted: tuple[str, nn.Module, Reading]) -> None:
    key, _, reading = planted
    assert find(reading, times(reading))[0].key == key


def test_it_is_found_without_times_too(planted: tuple[str, nn.Module, Reading]) -> None:
    key, _, reading = planted
    found = {one.key: one for one in find(reading, None)}
    assert found[key].seconds is None


def test_findings_name_the_authors_line(planted: tuple[str, nn.Module, Reading]) -> None:
    _, model, reading = planted
    one = find(reading, times(reading))[0]
    modules = dict(model.named_modules())
    assert one.places
    for place in one.places:
        assert place.path in modules
        assert place.kind == type(modules[place.path]).__name__
        assert place.file.endswith(("planted.py", "shuffle.py"))
        assert place.source


def test_alternatives_run_at_the_same_flops(planted: tuple[str, nn.Module, Reading]) -> None:
    _, model, reading = planted
    one = find(reading, times(reading))[0]
    if one.kind != ARCHITECTURAL:
        return
    assert one.edit is not None, one.why_no_edit
    changed = rebuilt(reading, widths_of(reading.graph.graph), one.edit)
    assert changed.module is not None
    x = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        assert changed.module(x).shape == model(x).shape
        assert changed.module(x).isfinite().all()
    assert 0.98 <= changed.madds / reading.madds <= 1.25


@pytest.mark.parametrize("name", CLEAN)
def test_clean_networks_have_no_findings(name: str) -> None:
    reading = reading_of(CLEAN[name]())
    assert [one.key for one in find(reading, times(reading)) if one.kind != NOTE] == []


def test_an_empty_edit_changes_nothing(planted: tuple[str, nn.Module, Reading]) -> None:
    _, model, reading = planted
    same = rebuilt(reading, widths_of(reading.graph.graph), Edit())
    assert same.module is not None
    assert same.madds == reading.madds
    x = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(same.module(x), model(x), rtol=1e-4, atol=1e-5)


def test_widths_end_up_equal() -> None:
    # 16 -> 192 -> 16 has 6144 multiply-adds for each position, two layers of 56 channels 6272:
    # sqrt(16 * 192) is 55.4. The stem makes 56 channels too, so that some have a block less.
    reading = reading_of(unequal(12))
    (one,) = [f for f in find(reading, None) if f.key == "unequal widths"]
    assert one.edit is not None
    changed = rebuilt(reading, widths_of(reading.graph.graph), one.edit, made=False)
    assert {changed.shapes[name][1] for name in one.layers} == {48, 56}
    assert 0.98 <= changed.madds / reading.madds <= 1.02


def test_widths_are_whole_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    # With 16 floats in a vector, 48 and 64 channels in turn have the multiply-adds of 16 and 192.
    monkeypatch.setattr("flyweight.advising.widths.channel_block", lambda: 16)
    reading = reading_of(unequal(12))
    (one,) = [f for f in find(reading, None) if f.key == "unequal widths"]
    assert one.edit is not None
    changed = rebuilt(reading, widths_of(reading.graph.graph), one.edit, made=False)
    assert {changed.shapes[name][1] for name in one.layers} == {48, 64}
    assert 0.98 <= changed.madds / reading.madds <= 1.02


@pytest.mark.parametrize("block", [8, 16])
def test_channels_fit_at_the_same_flops(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyweight.advising.widths.channel_block", lambda: block)
    reading = reading_of(misfit())
    (one,) = [f for f in find(reading, None) if f.key == "channels that don't fit"]
    assert one.edit is not None
    changed = rebuilt(reading, widths_of(reading.graph.graph), one.edit, made=False)
    found = {changed.shapes[name][1] for name in one.layers}
    assert len(found) == 2  # 58 channels are between two whole numbers of blocks
    assert all(width % block == 0 for width in found)
    assert changed.madds / reading.madds == pytest.approx(1.0, abs=0.1)


def test_four_behind_each_other_become_one_of_twice_the_width() -> None:
    # 16 convolutions of 32 to 32 channels have the multiply-adds of 4 of 64 to 64.
    reading = reading_of(in_series())
    (one,) = [f for f in find(reading, None) if f.key == "serial fragments"]
    assert one.edit is not None
    changed = rebuilt(reading, widths_of(reading.graph.graph), one.edit, made=False)
    left = [name for name in one.layers if name in changed.madds_of]
    assert len(left) == 4
    assert {changed.shapes[name][1] for name in left} <= {56, 64}
    assert len(one.units) == 4
    assert all(len(nodes) == 4 for nodes in one.units)


def test_a_bottleneck_is_no_fragment() -> None:
    reading = reading_of(unequal(12))
    assert "serial fragments" not in {one.key for one in find(reading, None)}


@pytest.mark.parametrize("name", MIXED)
def test_several_kinds_of_waste_are_all_found(name: str) -> None:
    make, wanted = MIXED[name]
    reading = reading_of(make())
    found = find(reading, times(reading))
    assert {one.key for one in found if one.kind != NOTE} == wanted
    first = found[0]
    assert first.share == max(one.share or 0 for one in found)


def test_memory_access_and_its_bound() -> None:
    # G1, by hand: hw (c1 + c2) + c1 c2 elements, and 2 sqrt(hwB) + B / hw at least.
    reading = reading_of(unequal(12))
    (one,) = [f for f in find(reading, None) if f.key == "unequal widths"]
    layer = reading.layers[one.layers[0]]
    positions = SIZE * SIZE
    biases = max(layer.widths) if layer.widths[1] == 192 else 16
    assert layer.elements == positions * (16 + 192) + 16 * 192 + biases
    flops = positions * 16 * 192
    assert layer.madds == flops
    assert layer.access_bound == pytest.approx(2 * (positions * flops) ** 0.5 + 16 * 192)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "guidelines"),
    [
        (lambda: create_model("shufflenet_v1_x1_0_g3"), {"G1", "G2"}),
        (lambda: create_model("mobilenet_v2_x1_0"), {"G1", "G4"}),
        (lambda: create_model("nasnet_a_4_1056", repeats=1, filters=16), {"G3"}),
    ],
    ids=["ShuffleNet V1", "MobileNet V2", "NASNet-A"],
)
def test_what_the_paper_says_of_famous_networks(
    make: Callable[[], nn.Module], guidelines: set[str]
) -> None:
    # ShuffleNet V2, section 2, at the end: ShuffleNet V1 violates G1 and G2, MobileNet V2 G1 and
    # G4 (depthwise convolutions, and ReLUs that engines may fuse), generated structures G3.
    reading = read(make().eval(), torch.randn(1, 3, 64, 64))
    found = find(reading, times(reading))
    assert guidelines <= {one.guideline for one in found}
    assert all(one.share is not None and one.share >= LEAST_SHARE for one in found)
    assert guidelines <= {one.guideline for one in find(reading, None)}


def test_overhead_is_what_is_neither_arithmetic_nor_traffic() -> None:
    model = PLANTED["groups"]()
    reading = reading_of(model)
    known = times(reading)
    blocks = frozenset(key for key in known.parts if key[0].startswith("blocks"))
    held = Overhead(blocks, 4, 0.3 * known.total, 0.1 * known.total)
    (one,) = [f for f in find(reading, replace(known, overhead=held)) if f.key == "overhead"]
    assert (one.guideline, one.kind) == ("G3", NOTE)
    assert one.share == pytest.approx(0.4)
    assert one.seconds == pytest.approx(0.4 * known.total)
    assert "4 operations" in one.evidence
    assert "30% of the time lies beyond that need, and 10% between operations" in one.evidence
    assert all(place.path.startswith("blocks") for place in one.places)
    little = replace(held, beyond_s=0.0, between_s=0.01 * known.total)
    assert "overhead" not in {f.key for f in find(reading, replace(known, overhead=little))}
    assert "overhead" not in {f.key for f in find(reading, known)}


def made_up(peaks: Peaks | None) -> Decomposition:
    """Two operations of 10 us each and 5 us between them."""
    fast = Operation("a", "Conv", CONVOLUTION, (1, 8, 8, 8), 1000, 10, 40)
    slow = Operation("b", "Add", ELEMENTWISE, (1, 8, 8, 8), 0, 10, 40)
    parts = (
        Part(fast, 10_000_000, 1e-5, Bound("compute-bound", 8e-6, 25.0)),
        Part(slow, 10_000_000, 1e-5, Bound("overhead-bound", 2e-6, 0.0)),
    )
    return Decomposition(
        "net", record(0.025), "a profiler", Ratio(1.0, 1.0, 1.0, 0.95, 9), 10, parts, 5_000_000,
        25_000_000, peaks,
    )  # fmt: skip


def test_overhead_comes_from_the_decomposition() -> None:
    assert Times.of(made_up(None)).overhead is None
    held = Times.of(made_up(Peaks(1, 1e9, (1, 10), (1e9, 1e9)))).overhead
    assert held is not None
    assert held.operations == {("b", ELEMENTWISE)}
    assert held.count == 1
    assert held.beyond_s == pytest.approx(8e-6)
    assert held.between_s == pytest.approx(5e-6)


def test_depthwise_convolutions_are_of_the_fourth_guideline() -> None:
    # "Specially, we also consider depthwise convolution as an element-wise operator as it also has
    # a high MAC/FLOPs ratio" (ShuffleNet V2, G4).
    depthwise = nn.Sequential(
        nn.Conv2d(3, 64, 1), nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.Conv2d(64, 64, 1)
    )
    reading = reading_of(depthwise)
    (one,) = [one for one in find(reading, times(reading)) if "depthwise" in one.key]
    assert (one.guideline, one.kind) == ("G4", NOTE)
