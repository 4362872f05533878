"""Rows of the papers' tables that are networks of the zoo."""

from functools import partial

from flyweight.studies.study import Case
from flyweight.studies.tables import Value
from flyweight.zoo import create_model, model_info
from flyweight.zoo.published import Published


def zoo_case(
    label: str,
    name: str,
    published: tuple[Value, ...],
    size: tuple[int, int],
    group: str = "",
    note: str = "",
    num_classes: int = 1000,
) -> Case:
    """A row whose network the zoo has.

    Args:
        label: as the table has it.
        name: one of `list_models()`.
        published: what the paper prints, one for each column of the series.
        size: height and width of the images, in pixels.
        group: the network's architecture.
        note: where the network isn't quite the table's, and why.
        num_classes: outputs; 0 leaves the classifier away.
    """
    build = partial(create_model, name, num_classes)
    return Case(label, build, (3, *size), published, note, group)


def printed(name: str, source: str, level: int | None = None) -> Published:
    """What a source prints of a network.

    Args:
        name: one of `list_models()`.
        source: a part of its name, e.g. "Table 8".
        level: the complexity level under which it prints it; None for any.

    Raises:
        KeyError: nothing.
    """
    for row in model_info(name).published:
        if source in row.source and level in (None, row.level):
            return row
    raise KeyError(f"{name}: nothing from {source}")
