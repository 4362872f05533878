"""What people type: networks with sizes and engines, durations, shapes."""

import re
from dataclasses import dataclass, replace

from flyweight.errors import UsageError

_LOWERED = "lowered"
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0}
_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_RATES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Subject:
    """A network to run: a name of the zoo or "package.module:factory", and how."""

    model: str
    size: int | None = None
    """Side of the input in pixels, where "@SIZE" was given."""
    engine: str | None = None
    """Where "/ENGINE" was given."""
    lowered: bool | None = None
    """True where "+lowered" was given behind the engine; None leaves it to the command."""


def _whole(text: str) -> bool:
    """Whether it is a whole number of 1 or more."""
    return re.fullmatch(r"\s*0*[1-9][0-9]{0,8}\s*", text) is not None


def subject(text: str) -> Subject:
    """Read "NAME", "NAME@SIZE", "NAME/ENGINE", "NAME@SIZE/ENGINE" or one with "+lowered" behind.

    Raises:
        UsageError: a size that is no positive whole number, or a "+" with anything else.
    """
    rest, _, form = text.partition("/")
    model, at, size = rest.partition("@")
    engine, lowered = engine_form(form)
    if (lowered and not engine) or rest.endswith(f"+{_LOWERED}"):
        name = rest.removesuffix(f"+{_LOWERED}")
        raise UsageError(f"{text!r}: +lowered follows an engine, as in {name}/openvino+lowered")
    if at and not _whole(size):
        raise UsageError(f"{text!r}: after @ comes the input size in pixels, e.g. {model}@160")
    return Subject(model, int(size) if at else None, engine or None, lowered)


def engine_form(text: str) -> tuple[str, bool | None]:
    """Read "ENGINE" or "ENGINE+lowered": the engine, and True where it is to run lowered.

    Raises:
        UsageError: anything else behind a "+".
    """
    engine, plus, form = text.partition("+")
    if plus and form != _LOWERED:
        raise UsageError(f"{text!r}: what may follow an engine is +lowered, not '+{form}'")
    return engine, True if plus else None


def forms(plain: bool, lowered: bool, both: bool) -> tuple[bool, ...]:
    """Whether to lower, for each form that was asked for: plain where none was.

    Raises:
        UsageError: more than one of them.
    """
    if plain + lowered + both > 1:
        raise UsageError("give one of --plain, --lowered and --both")
    return (False, True) if both else (lowered,)


def subjects(texts: list[str]) -> list[Subject]:
    """The same for several, in which a shell pattern stands for all networks that match.

    Raises:
        UsageError: a pattern that matches none.
    """
    found: list[Subject] = []
    for text in texts:
        one = subject(text)
        if not any(sign in one.model for sign in "*?["):
            found.append(one)
            continue
        from flyweight.zoo import list_models

        names = list_models(one.model)
        if not names:
            raise UsageError(f"no network matches {one.model!r}: 'flyweight list' shows all")
        found += [replace(one, model=name) for name in names]
    return list(dict.fromkeys(found))


def seconds(text: str) -> float:
    """Read a duration: "60", "60s", "2m", "500ms".

    Raises:
        UsageError: anything else, or no positive time.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*)\s*", text)
    if not match or match[2] not in _UNITS or float(match[1]) == 0:
        raise UsageError(f"{text!r} is no duration: write 60s, 2m or 500ms")
    return float(match[1]) * _UNITS[match[2]]


def shape(text: str) -> tuple[int, ...]:
    """Read an input size: "1,3,224,224" (batch, channels, height, width).

    Raises:
        UsageError: not whole numbers of 1 or more, separated by commas.
    """
    parts = text.replace("x", ",").split(",")
    if not all(_whole(part) for part in parts):
        raise UsageError(
            f"{text!r} is no size: write whole numbers of 1 or more, as in 1,3,224,224"
        )
    return tuple(int(part) for part in parts)


def image(text: str) -> tuple[int, int, int]:
    """Read an image size: "224", or "3,224,224" (channels, height, width).

    Raises:
        UsageError: anything else.
    """
    sizes = shape(text)
    if len(sizes) == 1:
        return (3, sizes[0], sizes[0])
    if len(sizes) != 3:
        raise UsageError(f"{text!r} is no image size: write 224, or channels,height,width")
    return (sizes[0], sizes[1], sizes[2])


def positive(name: str, value: int) -> int:
    """The value, if it is 1 or more.

    Raises:
        UsageError: it isn't.
    """
    if value < 1:
        raise UsageError(f"{name} must be 1 or more, not {value}")
    return value


def byte_count(text: str) -> int:
    """Read a size in memory: "32768", "32K", "1M", with K = 1024.

    Raises:
        UsageError: anything else, or none at all.
    """
    match = re.fullmatch(r"\s*([0-9]+)\s*([KMG]?)(?:i?B)?\s*", text, re.IGNORECASE)
    size = int(match[1]) * _SIZES[match[2].upper()] if match else 0
    if not size:
        raise UsageError(f"{text!r} is no size in memory: write 128K or 131072")
    return size


def rate(text: str) -> float:
    """Read a number per second: "16e9", "16G", "200M", with K = 1000.

    Raises:
        UsageError: anything else, or 0.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMG]?)\s*", text, re.IGNORECASE)
    try:
        value = float(match[1]) * _RATES[match[2].upper()] if match else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"{text!r} is no rate: write 16G or 16e9")
    return value
