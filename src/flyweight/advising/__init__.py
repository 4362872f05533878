"""Why a network is slow and what would help, each piece of advice proven by measurement."""

from flyweight.advising.deciding import KEPT, NOT_TRIED, WITHDRAWN, Decision, decide
from flyweight.advising.finding_all import find
from flyweight.advising.findings import ARCHITECTURAL, EXACT, NOTE, Change, Finding, Times
from flyweight.advising.reading import Reading, read
from flyweight.advising.result import Advice, Setting, Trial
from flyweight.advising.running import advise_model

__all__ = [
    "ARCHITECTURAL",
    "EXACT",
    "KEPT",
    "NOTE",
    "NOT_TRIED",
    "WITHDRAWN",
    "Advice",
    "Change",
    "Decision",
    "Finding",
    "Reading",
    "Setting",
    "Times",
    "Trial",
    "advise_model",
    "decide",
    "find",
    "read",
]
