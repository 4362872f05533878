"""Names to networks. A row in a family's table is a network: nothing else needs to know of it."""

import fnmatch
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flyweight.errors import UsageError, unknown
from flyweight.nn import Network
from flyweight.zoo.published import Published, Variant

Builder = Callable[..., Network]


@dataclass(frozen=True)
class Family:
    """A family of networks: the function that builds it and the rows it builds.

    Attributes:
        name: as its paper writes it.
        paper: title, authors' surnames, year and arXiv number.
        build: keyword arguments to a network.
        variants: the rows of its table.
    """

    name: str
    paper: str
    build: Builder
    variants: tuple[Variant, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """The arguments that `build` knows."""
        return tuple(inspect.signature(self.build).parameters)


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a network without building it."""

    name: str
    family: str
    paper: str
    resolution: int
    options: dict[str, object]
    """What makes this row; other options are at their defaults."""
    accepts: tuple[str, ...]
    """The options that `create_model` takes for it."""
    published: tuple[Published, ...]
    from_paper: str
    our_reading: str

    def at(self, resolution: int) -> Published | None:
        """What is published for an input of this size: the first source with an error, or any."""
        rows = [row for row in self.published if row.resolution == resolution]
        with_error = [row for row in rows if row.top1_error is not None]
        return next(iter(with_error or rows), None)


_FAMILY_OF: dict[str, tuple[Family, Variant]] = {}


def register(name: str, paper: str, variants: Sequence[Variant]) -> Callable[[Builder], Builder]:
    """Make the decorated function the builder of a family, and each of its rows a network.

    Raises:
        ValueError: a name that is already taken.
    """

    def decorate(build: Builder) -> Builder:
        family = Family(name, paper, build, tuple(variants))
        for variant in family.variants:
            if variant.name in _FAMILY_OF:
                raise ValueError(f"two networks are called {variant.name!r}")
            _FAMILY_OF[variant.name] = (family, variant)
        return build

    return decorate


def lookup(name: str) -> tuple[Family, Variant]:
    """The family and the row of a name.

    Raises:
        UsageError: an unknown name.
    """
    try:
        return _FAMILY_OF[name]
    except KeyError:
        raise unknown("model", name, _FAMILY_OF, "'flyweight list' shows all") from None


def list_models(pattern: str = "*") -> list[str]:
    """The names of all networks that match a shell pattern, in the order of the families' tables.

    Args:
        pattern: as in a shell: `*`, `?`, `[...]`; "shufflenet_v2*" for one family.
    """
    return [name for name in _FAMILY_OF if fnmatch.fnmatchcase(name, pattern)]


def create_model(
    name: str, num_classes: int = 1000, in_channels: int = 3, **options: object
) -> Network:
    """Build a network with fresh weights, in training mode, as `torch.nn` modules are.

    Args:
        name: one of `list_models()`.
        num_classes: outputs of the classifier; 0 leaves the pooled features.
        in_channels: channels of the input image.
        **options: further arguments of the family (`model_info(name).accepts` names them).

    Raises:
        UsageError: an unknown name or option, or a number below what makes sense.
    """
    family, variant = lookup(name)
    if num_classes < 0 or in_channels < 1:
        raise UsageError(
            f"{name}: num_classes must be 0 or more and in_channels 1 or more,"
            f" not {num_classes} and {in_channels}"
        )
    for option in options:
        if option not in family.options:
            raise unknown(f"option of {name}", option, family.options)
    settings = {**variant.options, **options}
    network = family.build(num_classes=num_classes, in_channels=in_channels, **settings)
    network.variant = name
    network.options = settings
    return network


def model_info(name: str) -> ModelInfo:
    """What is known of a network without building it: family, paper, published figures.

    Raises:
        UsageError: an unknown name.
    """
    family, variant = lookup(name)
    return ModelInfo(
        name=name,
        family=family.name,
        paper=family.paper,
        resolution=variant.resolution,
        options=dict(variant.options),
        accepts=family.options,
        published=variant.published,
        from_paper=variant.from_paper,
        our_reading=variant.our_reading,
    )


def table8_entries(levels: Sequence[int]) -> list[tuple[str, int]]:
    """The networks of ShuffleNet V2's Table 8 at some complexity levels, with their input sizes.

    Args:
        levels: of 40, 140, 300 and 500 (MFLOPs).
    """
    rows = [
        (level, name, row.resolution)
        for level in levels
        for name, (_, variant) in _FAMILY_OF.items()
        for row in variant.published
        if row.level == level
    ]
    return list(dict.fromkeys((name, resolution) for _, name, resolution in rows))
