"""What a block alone says of the whole network."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from flyweight.advising.alone import Block, alone, around, block_of, module_around, takes_place_of
from flyweight.advising.elements import simplified
from flyweight.advising.findings import EXACT, Costs, Finding
from flyweight.advising.reading import Reading
from flyweight.advising.rebuilding import CannotBuildError, Edit, Rebuilt, rebuilt
from flyweight.advising.widths import widths_of


@dataclass(frozen=True)
class Sample:
    """The block with which exact advice is timed alone.

    Attributes:
        name: of its module.
        plain: as it is.
        simpler: without what is repeated or undone.
        share: of the network's time that blocks like it take; None where nobody knows. Rewriting
            changes these alone.
    """

    name: str
    plain: Block
    simpler: Block
    share: float | None

    @cached_property
    def modules(self) -> tuple[nn.Module, nn.Module]:
        """Both as they are timed; the same modules each time, so that engines know them again."""
        return self.plain.to_time([self.simpler]), self.simpler.to_time([self.plain])


def sample_of(reading: Reading, findings: Sequence[Finding], costs: Costs) -> Sample | None:
    """The block that takes most time of those that exact advice is about.

    Without such findings it stands for the whole network. None where it can't run by itself.
    """
    exact = [one for one in findings if one.kind == EXACT]
    if exact:
        name, nodes = block_of(exact[0], reading)
        layers = {one.node: one for finding in exact for one in around(finding, reading)}
        share = costs.share(layers.values())
    elif reading.layers:
        name, nodes = module_around(costs.dearest(reading.layers.values())[0].node, reading)
        share = 1.0
    else:
        return None
    widths = widths_of(reading.graph.graph)
    try:
        plain = alone(rebuilt(reading, widths, Edit()), nodes)
        simpler = alone(rebuilt(reading, widths, simplified(reading)), nodes)
    except CannotBuildError:
        return None
    if plain is None or simpler is None or plain.input != simpler.input:
        return None
    return Sample(name, plain, simpler, share)


def predicted(
    finding: Finding, reading: Reading, costs: Costs, changed: Rebuilt, alone: float
) -> float | None:
    """The time that an alternative should take of the network's.

    The blocks around the finding's operations change as the one that was timed by itself, for the
    same multiply-adds: widths that follow others may leave more of them in one block than in the
    next. Convolutions elsewhere, whose widths change with theirs, change as their multiply-adds do;
    but a part of each one's time doesn't grow with them, so that none changes by more than these
    multiply-adds take on the average of the network.

    Args:
        finding: what is to be changed.
        reading: the network.
        costs: what its operations take.
        changed: the network with the alternative.
        alone: the time of a changed block over that of the block as it is.

    Returns:
        None where it isn't known what operations take.
    """
    inside = around(finding, reading)
    share = costs.share(inside)
    if share is None:
        return None
    within = frozenset(one.node for one in inside)
    _, block = block_of(finding, reading)
    grown = _growth(block, reading, changed)
    if grown and within:
        alone *= (_growth(within, reading, changed) or grown) / grown
    saved = share * (1 - alone)
    computing = [one for one in reading.layers.values() if one.madds]
    usual = (costs.share(computing) or 0.0) / max(reading.madds, 1)
    for layer in computing:
        now = changed.madds_of.get(layer.node)
        if layer.node not in within and now is not None:
            each = min((costs.share([layer]) or 0.0) / layer.madds, usual)
            saved += each * (layer.madds - now)
    return 1 - saved


def _growth(nodes: frozenset[str], reading: Reading, changed: Rebuilt) -> float | None:
    """The multiply-adds of some operations after a change over those before."""
    before = sum(one.madds for one in reading.layers.values() if one.node in nodes)
    after = sum(
        madds
        for name, madds in changed.madds_of.items()
        if name in nodes or takes_place_of(name, nodes)
    )
    return after / before if before else None
