"""The page "paper beside code": every network's printed figures beside what is counted here."""

from collections.abc import Iterable

from flyweight import list_models, model_info
from flyweight.catalogue import Beside, beside

HEAD = """# Networks: the paper beside the code

Generated from the zoo by `make docs`; nothing here is typed by hand.

- **FLOPs** are multiply-adds of convolutions and linear layers for one image, in millions: as the
  source prints them, and as counted here on the network that `create_model` builds.
- **Parameters** are weights, biases, and the scales and shifts of batch norm, in millions.
- **Error** is top-1 on ImageNet's validation set as the source prints it, in per cent. None of it
  was measured here.
- A number in brackets points to the reason why two figures differ, below the table. Where there is
  none, the difference is rounding: sources round up, down or to the nearest, some to three digits.
- *From the paper* is what the paper or its authors' code has. *Our reading* is what they leave
  open or contradict.

"""


def _by_family() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in list_models():
        found.setdefault(model_info(name).family, []).append(name)
    return found


def families() -> str:
    """How many networks there are of each family, for README."""
    found = _by_family()
    listed = " · ".join(f"{family} ({len(names)})" for family, names in found.items())
    return f"{len(list_models())} networks in {len(found)} families: {listed}."


def page() -> str:
    """The whole page, one section a family."""
    found = _by_family()
    links = " · ".join(f"[{family}](#{_anchor(family)})" for family in found)
    summary = f"{len(list_models())} networks in {len(found)} families: {links}\n"
    sections = [_section(family, names) for family, names in found.items()]
    return HEAD + summary + "\n" + "\n".join(sections)


def _anchor(family: str) -> str:
    return "".join(c for c in family.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _section(family: str, names: list[str]) -> str:
    reasons: list[str] = []
    rows = [
        "| network | input | FLOPs printed | counted | difference | parameters printed | counted"
        " | error | source |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name in names:
        rows += [_row(name, line, reasons) for line in beside(name)]
    notes = "".join(f"\n{number}. {reason}" for number, reason in enumerate(reasons, start=1))
    told = "\n".join(_told(names))
    return (
        f"## {family}\n\n{model_info(names[0]).paper}\n\n"
        + "\n".join(rows)
        + (f"\n\nWhere figures differ:\n{notes}" if reasons else "")
        + f"\n\n{told}\n"
    )


def _row(name: str, line: Beside, reasons: list[str]) -> str:
    published = line.published
    mark = ""
    if published.note:
        if published.note not in reasons:
            reasons.append(published.note)
        mark = f" [{reasons.index(published.note) + 1}]"
    off = line.madds_off
    cells = (
        f"`{name}`",
        str(published.resolution),
        _number(published.mflops),
        f"{line.counted.madds / 1e6:.2f}",
        ("" if off is None else f"{off:+.1%}") + mark,
        _number(published.params_m),
        f"{line.counted.params / 1e6:.3f}",
        _number(published.top1_error),
        published.source,
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _told(names: Iterable[str]) -> Iterable[str]:
    """Where the structure is from, once for all networks of which the same is said."""
    told: dict[tuple[str, str], list[str]] = {}
    for name in names:
        info = model_info(name)
        told.setdefault((info.from_paper, info.our_reading), []).append(name)
    for (paper, reading), same in told.items():
        of = "" if len(told) == 1 else f"{', '.join(f'`{name}`' for name in same)}: "
        yield f"- {of}*From the paper:* {paper}" + (f" *Our reading:* {reading}" if reading else "")
