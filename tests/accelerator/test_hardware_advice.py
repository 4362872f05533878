"""Advice on small networks whose waste is planted."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from flyweight.accelerator import (
    PRESETS,
    advise_hardware,
    advise_moves,
    advise_stem,
    lost_cycles,
    read_network,
    simulate,
    simulate_layer,
)
from flyweight.accelerator.advice import stages
from flyweight.accelerator.advising import advice_to_json, badly_used


class Block(nn.Module):
    """Two 3x3 convolutions that keep their input's shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


def network(stem: int = 7) -> nn.Module:
    """Two stages of blocks at equal multiply-adds, on 8 and on 16 channels."""
    return nn.Sequential(
        nn.Conv2d(3, 8, stem, 2, stem // 2),
        nn.Sequential(*(Block(8) for _ in range(3))),
        nn.Conv2d(8, 16, 1, 2),
        nn.Sequential(*(Block(16) for _ in range(2))),
    )


SIZE = (1, 3, 64, 64)
LARGE = PRESETS["16x16"]


def test_stem() -> None:
    found = simulate(read_network(network(), SIZE), LARGE)
    swap = advise_stem(found)
    assert swap is not None
    smaller = simulate(read_network(network(5), SIZE), LARGE)
    assert swap.after.layer == smaller.layers[0].layer  # padding 2, the same output
    assert swap.saved == pytest.approx(found.cycles - smaller.cycles)
    assert swap.saved > 0
    assert advise_stem(smaller) is None
    third = advise_stem(found, 3)
    assert third is not None
    assert third.after == simulate(read_network(network(3), SIZE), LARGE).layers[0]


def test_moves() -> None:
    found = simulate(read_network(network(), SIZE), LARGE)
    first, second = stages(found)
    assert (first.name, first.blocks, second.name, second.blocks) == ("1", 3, "3", 2)
    assert first.madds == second.madds == 2 * 32 * 32 * 8 * 8 * 9
    (move,) = advise_moves(found)
    assert (move.source, move.target, move.madds) == (first, second, 0)
    blocks = [sum(one.cycles for one in found.layers[i : i + 2]) for i in (1, 8)]
    assert move.saved == pytest.approx(blocks[0] - blocks[1])
    # The other way round nothing is said: later stages only.
    backwards = replace(found, layers=found.layers[::-1])
    assert not advise_moves(backwards)


def test_blocks_of_other_multiply_adds_are_no_exchange() -> None:
    both = nn.Sequential(
        nn.Sequential(*(Block(8) for _ in range(2))),
        nn.Conv2d(8, 32, 1, 2),
        nn.Sequential(*(Block(32) for _ in range(2))),
    )
    found = simulate(read_network(both, (1, 8, 32, 32)), LARGE)
    assert len(stages(found)) == 2
    assert not advise_moves(found)


def test_reasons() -> None:
    """Each layer wastes the array in one way."""
    cases = [
        # 8192 words of DRAM for each multiply-add of a row: nothing to do with the array.
        (nn.Conv2d(4, 64, 1), (1, 4, 56, 56), "it waits for the DRAM"),
        # A weight is used once.
        (nn.Linear(64, 64), (1, 64), "it waits for weights"),
        # 9 weights for 256 outputs that have to leave.
        (nn.Conv2d(64, 64, 3, padding=1, groups=64), (1, 64, 16, 16), "inputs and outputs"),
        # 17 pixels need two blocks of 16, each way.
        (nn.Conv2d(3, 64, 7, padding=3), (1, 3, 17, 17), "a map of 17x17 fills no whole number"),
        # 17 channels need two tiles of 16, each way.
        (nn.Conv2d(17, 17, 1), (1, 17, 64, 64), "17 to 17 channels fill no whole number"),
    ]
    for module, size, reason in cases:
        machine = LARGE if "DRAM" in reason else replace(LARGE, bandwidth=1e15, latency=0)
        if "channels" in reason:
            machine = replace(machine, picking="weight")
        (lost,) = lost_cycles(simulate(read_network(module, size), machine))
        assert reason in lost.reason, (module, lost.reason)
        result = simulate_layer(lost.result.layer, machine)
        assert lost.cycles == pytest.approx(result.cycles * (1 - result.utilisation))


def test_worst_first() -> None:
    found = simulate(read_network(network(), SIZE), LARGE)
    lost = [one.cycles for one in lost_cycles(found, 100)]
    assert lost == sorted(lost, reverse=True)
    assert len(lost) == len(found.layers)
    assert sum(lost) == pytest.approx(found.cycles * (1 - found.utilisation))
    assert len(lost_cycles(found)) == 5


def test_all_of_it_is_simulated_as_one() -> None:
    found = simulate(read_network(network(), SIZE), LARGE)
    advice = advise_hardware(found)
    assert advice.together is not None
    # Two of the three blocks of stage 1 move: one is left, and four are in stage 2.
    names = [one.layer.name for one in advice.together.layers]
    assert names == [
        "0", "1.0.first", "1.0.second", "2", "3.0.first", "3.0.second", "3.1.first", "3.1.second",
        "3.0.first (moved 0)", "3.0.second (moved 0)", "3.0.first (moved 1)",
        "3.0.second (moved 1)",
    ]  # fmt: skip
    (move,) = advice.moves
    assert advice.stem is not None
    assert advice.together.cycles == pytest.approx(
        found.cycles - advice.stem.saved - 2 * move.saved
    )
    assert advice.ratio == pytest.approx(advice.together.cycles / found.cycles)
    assert "simulated, not measured" in advice.summary()
    assert all("simulated" in one for one in (*advice.proposals(), *advice.reasons()))


def test_large_maps_that_use_the_array_badly() -> None:
    few = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), Block(4), nn.Conv2d(4, 64, 1, 2), Block(64))
    (one,) = badly_used(simulate(read_network(few, SIZE), LARGE))
    assert one.size == (32, 32)
    assert one.channels == (4, 4)
    assert one.utilisation < one.later * 2 / 3
    assert not badly_used(simulate(read_network(network(), SIZE), LARGE))


def test_where_nothing_would_help() -> None:
    advice = advise_hardware(simulate(read_network(network(3)[2], (1, 8, 64, 64)), LARGE))
    assert advice.together is None
    assert advice.ratio == 1.0
    assert advice.proposals() == []
    assert advice.summary().startswith("Nothing found that would help")


def test_as_json() -> None:
    found = simulate(read_network(network(), SIZE), LARGE)
    told = advice_to_json(advise_hardware(found))
    assert told["simulated"] is True
    assert told["together"]["share"] == pytest.approx(advise_hardware(found).ratio)
    assert told["stem"]["to"] == "5x5/2"
    assert told["moves"][0]["from"] == "1"
    assert len(told["lost"]) == 5
    with torch.device("meta"):
        plain = simulate(read_network(nn.Linear(3, 4), (1, 3)), LARGE)
    assert advice_to_json(advise_hardware(plain))["stem"] is None
    assert advice_to_json(advise_hardware(plain))["moves"] == []
