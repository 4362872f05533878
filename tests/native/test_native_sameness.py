"""Bit for bit the same: any number of threads, any cut, instances side by side, batches."""

import copy
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.native.compiling import program_of
from flyweight.native.isa import ISAS, Isa
from flyweight.native.plan import Block
from tests.native.against import Choose, built, error, exact, needs_compiler

pytestmark = needs_compiler


class Mixed(nn.Module):
    """Widths that no vector divides, groups whose ends overlap, and all that threads share."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 21, 3, 2, 1)
        self.grouped = nn.Conv2d(21, 27, 3, padding=1, groups=3)
        self.alone = nn.Conv2d(27, 27, 5, padding=2, groups=27)
        self.squeeze, self.excite = nn.Conv2d(27, 5, 1), nn.Conv2d(5, 27, 1)
        self.wide = nn.Conv2d(27, 70, 1)
        self.near = nn.LocalResponseNorm(5)
        self.scores = nn.Linear(70 * 9, 37)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 1, 1)
        x = F.hardswish(self.grouped(F.channel_shuffle(x, 3)))
        x = F.relu(x + self.alone(x))
        x = x * self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))).sigmoid()
        x = self.near(F.avg_pool2d(F.relu6(self.wide(F.pad(x, (0, 1, 0, 1)))), 3, 2, 1))
        scores = self.scores(F.adaptive_avg_pool2d(x, 3).flatten(1))
        return x, scores.softmax(1)


@pytest.fixture(scope="module")
def model() -> Mixed:
    torch.manual_seed(0)
    return Mixed().eval()


def images(batch: int) -> Tensor:
    return torch.randn(batch, 3, 15, 17, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
def test_threads_and_batches(model: Mixed) -> None:
    x = images(3)
    results = []
    for threads in (1, 2, 3):
        _, network = built(program_of(model, x[:1]), threads=threads)
        results += [network(x.numpy()), network(x.numpy())]
        each = [network(one[None].numpy()) for one in x]
        results.append(tuple(np.concatenate(outputs) for outputs in zip(*each, strict=True)))
    for mine, true in zip(results[0], exact(model, x), strict=True):
        assert error(mine, true) < 2e-6
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(one, other)


def every_cut(isa: Isa, start: int) -> Choose:
    """Another tile, order of loops and part of the inputs for every convolution."""
    orders = itertools.cycle(((0, False), (0, True), (5, False), (16, True)))
    blocks = [Block(*tile, *next(orders)) for tile in isa.tiles]
    turn = itertools.count(start)
    return lambda shape, isa: blocks[next(turn) % len(blocks)]


@pytest.mark.slow
def test_cuts_and_instruction_sets(model: Mixed) -> None:
    """Plans for vectors as long give the same, however their convolutions are cut up."""
    x = images(2)
    program = program_of(model, x[:1])
    by_lanes: dict[int, tuple[np.ndarray, ...]] = {}
    for isa in ISAS.values():
        for start in (0, 1, 2):
            choose = every_cut(isa, start)
            _, network = built(copy.deepcopy(program), isa, choose, threads=2)
            found = network(x.numpy())
            for one, other in zip(by_lanes.setdefault(isa.lanes, found), found, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{isa.name} {start}")
    for found in by_lanes.values():
        for mine, true in zip(found, exact(model, x), strict=True):
            assert error(mine, true) < 2e-6


@pytest.mark.slow
def test_instances_side_by_side(model: Mixed) -> None:
    """Of one library and of several, with threads of their own; an instance takes turns."""
    x = images(6)
    expected = exact(model, x)
    networks = [built(program_of(model, x[:1]), threads=threads)[1] for threads in (1, 2, 1, 2)]

    def run(job: int) -> bool:
        start = job % 5
        found = networks[job % len(networks)](x[start : start + 2].numpy())
        return all(
            error(mine, true[start : start + 2]) < 2e-6
            for mine, true in zip(found, expected, strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(400)))
