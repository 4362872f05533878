"""The kinds of layers that networks are compared by: none lost, none counted twice."""

import pytest
from torch import nn

from flyweight.accelerator import PRESETS, Simulation, read_network, simulate
from flyweight.accelerator.comparing import KINDS, over_first, parts


def simulated(*layers: nn.Module) -> Simulation:
    return simulate(read_network(nn.Sequential(*layers), (1, 3, 20, 20)), PRESETS["16x16"])


WHOLE = simulated(
    nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 1), nn.Conv2d(8, 8, (1, 3)), nn.Conv2d(8, 8, 3, groups=8),
    nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(4 * 16 * 14, 5),
)  # fmt: skip


def test_every_layer_is_of_one_kind() -> None:
    found = parts(WHOLE)
    assert list(found) == list(KINDS)
    assert {kind: part.layers for kind, part in found.items()} == {
        **dict.fromkeys(KINDS, 1), "1x1": 2,
    }  # fmt: skip
    assert sum(part.cycles for part in found.values()) == pytest.approx(WHOLE.cycles)
    assert sum(part.share for part in found.values()) == pytest.approx(1)
    assert sum(part.energy for part in found.values()) == pytest.approx(WHOLE.total_energy)
    busy = sum(part.utilisation * part.share for part in found.values())
    assert busy == pytest.approx(WHOLE.utilisation)


def test_what_a_network_lacks_is_left_out() -> None:
    assert list(parts(simulated(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)))) == ["first layer", "1x1"]


def test_over_the_first() -> None:
    small = simulated(nn.Conv2d(3, 4, 1))
    first, second = over_first([WHOLE, small])
    assert (first["time"], first["energy"]) == (1, 1)
    assert second["time"] == pytest.approx(small.cycles / WHOLE.cycles)
    assert second["energy"] == pytest.approx(small.total_energy / WHOLE.total_energy)
