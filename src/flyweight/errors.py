"""Errors for people: what was wrong, where, and what to do about it, in one line."""

import difflib
from collections.abc import Iterable


class FlyweightError(Exception):
    """Something failed that the user can act on. The command line exits with `exit_code`."""

    exit_code = 1


class UsageError(FlyweightError, ValueError):
    """The request itself was wrong: an unknown name, an impossible number, a bad file format."""

    exit_code = 2


class WeightsError(FlyweightError):
    """A weights file is missing, damaged, or belongs to another network."""


class CaptureError(FlyweightError):
    """A network could not be captured, exported or compiled for an engine."""


class RecordError(FlyweightError):
    """A file of records is missing, damaged, or newer than this version understands."""


def unknown(kind: str, name: str, known: Iterable[str], remedy: str = "") -> UsageError:
    """A did-you-mean error for `name`, which is none of the `known` names of this `kind`."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(choices)}"
    if not near and remedy:
        hint = ";"
    return UsageError(f"unknown {kind} {name!r}{hint} {remedy}".rstrip("; "))


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
