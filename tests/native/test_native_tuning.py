"""Blocks: any gives the same bits, what was measured is kept, and a file is never trusted."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from flyweight import compile
from flyweight.errors import FlyweightError
from flyweight.native import building, tuning
from flyweight.native.blocks import Shape, candidates, fixed_block
from flyweight.native.building import build, host_flags, host_isa
from flyweight.native.compiling import program_of
from flyweight.native.emitting import emit
from flyweight.native.isa import ISAS
from flyweight.native.plan import Block
from flyweight.native.planning import plan_of
from flyweight.native.running import Network
from flyweight.native.tuning import Tuner, tuner

pytestmark = pytest.mark.skipif(not building.has_compiler(), reason="needs a C compiler")

SHAPE = Shape(28, 28, 232, 116, 1, 1, 1, 1)
SHAPES = (
    SHAPE,
    Shape(112, 112, 27, 24, 1, 2, 3, 3),
    Shape(1, 1, 1024, 1000, 1, 1, 1, 1),
    Shape(7, 7, 9 * 61, 61, 3, 1, 3, 3),
    Shape(1, 1, 1, 1, 1, 1, 1, 1),
)
PORTABLE = ISAS["portable"]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Shape, Block]]:
    """An empty cache, and the questions that would be measured; larger tiles are faster."""
    questions: list[tuple[Shape, Block]] = []

    def time(self: Tuner, shape: Shape, block: Block, seconds: float) -> float:
        questions.append((shape, block))
        return 1 / (block.pixels * block.vectors)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(Tuner, "_time", time)
    return questions


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "flyweight" / "tuning").iterdir())


def test_the_fastest_is_taken(asked: list[tuple[Shape, Block]]) -> None:
    block = tuner(PORTABLE)(SHAPE, PORTABLE)
    assert len(asked) >= len(candidates(SHAPE, PORTABLE))
    assert {shape for shape, _ in asked} == {SHAPE}
    most = max(p * v for p, v in PORTABLE.tiles)
    assert block.pixels * block.vectors == most
    assert block in [block for _, block in asked]


def test_what_is_hardly_faster_is_not_taken(
    asked: list[tuple[Shape, Block]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = fixed_block(SHAPE, PORTABLE)
    monkeypatch.setattr(
        Tuner, "_time", lambda self, shape, block, seconds: 0.99 + 0.01 * (block == fixed)
    )
    assert tuner(PORTABLE)(SHAPE, PORTABLE) == fixed


def test_what_was_lucky_once_is_not_taken(
    asked: list[tuple[Shape, Block]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = fixed_block(SHAPE, PORTABLE)
    other = next(block for block in candidates(SHAPE, PORTABLE) if block != fixed)
    times: dict[Block, list[float]] = {other: [0.5]}

    def time(self: Tuner, shape: Shape, block: Block, seconds: float) -> float:
        return times[block].pop() if times.get(block) else 1.0

    monkeypatch.setattr(Tuner, "_time", time)
    assert tuner(PORTABLE)(SHAPE, PORTABLE) == fixed


def test_what_cannot_be_measured_is_not_taken(
    asked: list[tuple[Shape, Block]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there is no memory to measure in."""
    monkeypatch.setattr(Tuner, "_time", lambda self, shape, block, seconds: float("inf"))
    assert tuner(PORTABLE)(SHAPE, PORTABLE) == fixed_block(SHAPE, PORTABLE)


def test_choices_are_kept(asked: list[tuple[Shape, Block]], tmp_path: Path) -> None:
    first = tuner(PORTABLE)
    blocks = [first(shape, PORTABLE) for shape in SHAPES]
    assert {shape for shape, _ in asked} == set(SHAPES)
    count = len(asked)
    assert [first(shape, PORTABLE) for shape in SHAPES] == blocks
    assert len(asked) == count
    first.save()
    assert len(kept(tmp_path)) == 1
    again = tuner(PORTABLE)
    assert [again(shape, PORTABLE) for shape in SHAPES] == blocks
    assert len(asked) == count
    # Another instruction set, another processor: nothing is known of them.
    other = tuner(ISAS["neon"])
    other(SHAPE, ISAS["neon"])
    assert len(asked) > count
    other.save()
    assert len(kept(tmp_path)) == 2


def test_another_processor_or_compiler_is_measured_anew(
    asked: list[tuple[Shape, Block]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose() -> None:
        mine = tuner(PORTABLE)
        mine(SHAPE, PORTABLE)
        mine.save()

    choose()
    monkeypatch.setattr(tuning, "processor", lambda: "another one")
    choose()
    monkeypatch.setattr(tuning, "version", lambda: "cc 99")
    choose()
    assert len(kept(tmp_path)) == 3


def test_two_runs_at_a_time_keep_what_both_measured(asked: list[tuple[Shape, Block]]) -> None:
    a, b = tuner(PORTABLE), tuner(PORTABLE)
    a(SHAPES[0], PORTABLE)
    b(SHAPES[1], PORTABLE)
    a.save()
    b.save()
    assert set(tuner(PORTABLE).known.values()) == {*a.known.values(), *b.known.values()}
    assert len(tuner(PORTABLE).known) == 2


def one_kept(change: Callable[[dict[str, object]], None]) -> Callable[[str], str]:
    def write(key: str) -> str:
        block: dict[str, object] = asdict(fixed_block(SHAPE, PORTABLE))
        change(block)
        return json.dumps({key: block})

    return write


DAMAGED: dict[str, Callable[[str], str]] = {
    "empty": lambda key: "",
    "cut short": lambda key: '{"' + key,
    "no text": lambda key: "\udcff\udcfe",
    "a list": lambda key: f'["{key}"]',
    "nested": lambda key: "[" * 100_000,
    "numbers for blocks": lambda key: json.dumps({key: 3}),
    "keys that are words": lambda key: json.dumps({"a b c d e f g h": {}, "": {}, "1": {}}),
    "a key of zeros": lambda key: json.dumps({"0 0 0 0 0 0 0 0": asdict(Block(1, 1))}),
    "a key beyond all numbers": lambda key: json.dumps({"9" * 5000: asdict(Block(1, 1))}),
    "no pixels": one_kept(lambda block: block.pop("pixels")),
    "one field more": one_kept(lambda block: block.update(more=1)),
    "words for numbers": one_kept(lambda block: block.update(pixels="6")),
    "a tile of nothing": one_kept(lambda block: block.update(pixels=0)),
    "a negative tile": one_kept(lambda block: block.update(vectors=-1)),
    "a tile that isn't compiled": one_kept(lambda block: block.update(pixels=1000, vectors=1000)),
    "inputs at once of nothing": one_kept(lambda block: block.update(inputs=-128)),
    "half an input": one_kept(lambda block: block.update(inputs=0.5)),
    "neither true nor false": one_kept(lambda block: block.update(tiles_outside="no")),
    "not a number": one_kept(lambda block: block.update(pixels=float("nan"))),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_made_again(
    asked: list[tuple[Shape, Block]], tmp_path: Path, damage: str
) -> None:
    first = tuner(PORTABLE)
    block = first(SHAPE, PORTABLE)
    first.save()
    (file,) = kept(tmp_path)
    (key,) = json.loads(file.read_text())
    good = file.read_bytes()
    file.write_text(DAMAGED[damage](key), encoding="utf-8", errors="surrogateescape")
    asked.clear()
    second = tuner(PORTABLE)
    assert second.known == {}
    assert second(SHAPE, PORTABLE) == block
    assert asked
    second.save()
    assert file.read_bytes() == good


def test_blocks_of_a_file_have_the_types_of_the_engine(
    asked: list[tuple[Shape, Block]], tmp_path: Path
) -> None:
    """JSON has one kind of number, and what equals 1 isn't yet a whole number for C."""
    first = tuner(PORTABLE)
    first(SHAPE, PORTABLE)
    first.save()
    (file,) = kept(tmp_path)
    content = json.loads(file.read_text())
    for block in content.values():
        block.update(pixels=float(block["pixels"]), tiles_outside=int(block["tiles_outside"]))
    file.write_text(json.dumps(content))
    (block,) = tuner(PORTABLE).known.values()
    assert [type(value) for value in asdict(block).values()] == [int, int, int, bool]


def test_nowhere_to_keep_choices(
    asked: list[tuple[Shape, Block]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tuner(PORTABLE)
    mine(SHAPE, PORTABLE)
    mine.path.mkdir()
    with pytest.raises(FlyweightError, match=r"can't keep what was measured: .*XDG_CACHE_HOME"):
        mine.save()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(FlyweightError, match="set XDG_CACHE_HOME to a folder") as raised:
        tuner(PORTABLE)
    assert "\n" not in str(raised.value)


def test_nothing_new_needs_no_writing(
    asked: list[tuple[Shape, Block]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tuner(PORTABLE)
    first(SHAPE, PORTABLE)
    first.save()
    again = tuner(PORTABLE)
    again(SHAPE, PORTABLE)
    monkeypatch.setattr(tuning, "replaced", None)  # calling it would fail
    again.save()


@pytest.mark.parametrize("isa", ISAS.values(), ids=ISAS)
def test_the_fixed_rule_is_a_rule(isa) -> None:
    for shape in SHAPES:
        block = fixed_block(shape, isa)
        assert block == fixed_block(Shape(**asdict(shape)), isa)
        assert block in candidates(shape, isa)
        assert block.pixels <= shape.height * shape.width
        assert block.vectors * isa.lanes < shape.outputs + isa.lanes


def small() -> nn.Module:
    """Dense, grouped and strided convolutions, enough inputs to be read in parts, a classifier."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 21, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(21, 60, 3, padding=1),
        nn.Conv2d(60, 70, 3, padding=1, groups=2), nn.Hardswish(), nn.Conv2d(70, 45, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(45, 11),
    ).eval()  # fmt: skip


@pytest.mark.slow
def test_every_block_gives_the_same_bits() -> None:
    model, isa = small(), host_isa()
    x = torch.randn(2, 3, 25, 23, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.double()(x.double()).numpy()
    model.float()
    outputs, used = [], set()
    for turn in range(4):

        def choose(shape: Shape, isa, turn: int = turn) -> Block:
            choices = tuning._choices(shape, isa)
            used.add(block := choices[-1 - turn * len(choices) // 4])
            return block

        emitted = emit(plan_of(program_of(model, x), isa, choose=choose), "blocks")
        files = {f"{emitted.name}.h": emitted.header, f"{emitted.name}.c": emitted.source}
        library = build(files, f"{emitted.name}.c", host_flags())
        outputs += Network(library, emitted.name, emitted.weights, 1)(x.numpy())
    assert any(block.inputs for block in used)
    assert any(block.tiles_outside for block in used)
    assert np.abs(outputs[0] - expected).max() < 1e-5 * np.abs(expected).max()
    for output in outputs[1:]:
        np.testing.assert_array_equal(output, outputs[0])


@pytest.mark.slow
def test_tuned_and_untuned_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in earnest; a second time nothing is."""
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32)
    untuned = compile(small(), x, engine="native", tune=False)(x)
    np.testing.assert_array_equal(compile(small(), x, engine="native")(x), untuned)
    monkeypatch.setattr(Tuner, "_time", None)  # calling it would fail
    np.testing.assert_array_equal(compile(small(), x, engine="native")(x), untuned)
