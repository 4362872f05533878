"""What a block alone says of the whole network."""

from flyweight.advising.alone import around
from flyweight.advising.findings import Costs, Finding
from flyweight.advising.reading import Reading
from flyweight.advising.rebuilding import Rebuilt


def predicted(
    finding: Finding, reading: Reading, costs: Costs, changed: Rebuilt, alone: float
) -> float | None:
    """The time that an alternative should take of the network's.

    The blocks around the finding's operations change as the one that was timed by itself;
    convolutions elsewhere, whose widths change with theirs, as their multiply-adds do.

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
    within = {one.node for one in inside}
    saved = share * (1 - alone)
    for layer in reading.layers.values():
        now = changed.madds_of.get(layer.node)
        if layer.node not in within and layer.madds and now is not None:
            saved += (costs.share([layer]) or 0.0) * (1 - now / layer.madds)
    return 1 - saved
