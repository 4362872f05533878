"""All findings about a network, the most expensive first."""

from flyweight.advising import elements, fitting_widths, fragments, guidelines
from flyweight.advising.findings import NOTE, Costs, Finding, Times
from flyweight.advising.reading import Reading
from flyweight.advising.thresholds import LEAST_SHARE
from flyweight.advising.widths import widths_of

DETECTORS = (
    guidelines.unequal_widths,
    guidelines.groups,
    fragments.fragments,
    elements.activations,
    elements.shortcuts,
    elements.norms,
    elements.moves,
    elements.layouts,
    elements.twice,
    fitting_widths.misfits,
    fitting_widths.depthwise,
    fitting_widths.ends,
    fitting_widths.overhead,
)
"""What is looked for. A new kind of waste is a function here."""


def find(reading: Reading, times: Times | None) -> list[Finding]:
    """Look for everything that may be waste.

    Args:
        reading: the captured network.
        times: what its operations take; None where that isn't known.

    Returns:
        Findings that hold at least `LEAST_SHARE` of the time, the most expensive first, and behind
        them what is only worth knowing.
    """
    costs = Costs.of(reading, times)
    widths = widths_of(reading.graph.graph)
    findings = [
        one
        for detector in DETECTORS
        for one in detector(reading, widths, costs)
        if one.share is None or one.share >= LEAST_SHARE
    ]
    return sorted(findings, key=lambda one: (one.kind == NOTE, -(one.seconds or 0.0)))
